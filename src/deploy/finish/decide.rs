//! How a run ends, decided from what was proven, what failed, what was found and what was known.

use crate::config::OnFailure;
use crate::status::{Outcome, PhaseName, ServiceState};

/// Why a run ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reason {
    /// The application is proven and settled.
    Proven,
    /// Nobody answered whether there is anything new to deploy: registry, network, role or parameters.
    Unanswered,
    /// This phase failed.
    Failed(PhaseName),
    /// A newer run takes its place.
    Superseded,
    /// The agent was told to stop.
    Interrupted,
}

/// What the engine shows of the applications that were proven before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Found {
    /// It does not answer, so nobody knows.
    Unknown,
    /// There is none.
    Nothing,
    /// The last good one is stopped.
    Stopped,
    /// It runs.
    Running,
    /// It runs, and the swap was cut between its stop and its successor's start: what was asked of
    /// the engine then may still stop it.
    HalfReplaced,
}

/// What was known before the run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Known {
    /// What was last seen of the application.
    pub(super) service: ServiceState,
    /// The last good deployment is this very configuration.
    pub(super) is_converged: bool,
    /// What the configuration asks for when a successor fails.
    pub(super) on_failure: OnFailure,
}

/// What serves after the run, and what is to be done for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Serves {
    /// The new application, which is recorded.
    New,
    /// The old one, which is not touched.
    Old,
    /// The old one, which is started again, and proven where that is worth a wait.
    OldAgain {
        /// Wait until it is as healthy as it was.
        prove: bool,
    },
    /// Nothing.
    Nothing,
}

/// How a run ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Ending {
    pub(super) outcome: Outcome,
    pub(super) serves: Serves,
    /// The state of the service, unless the engine or the proof of the old application says otherwise.
    pub(super) service: ServiceState,
}

/// The one decision. A failure to refresh what already serves, unchanged, is no failure.
pub(super) fn decide(reason: Reason, found: Found, known: Known) -> Ending {
    let serves = serves(reason, found, known.on_failure);
    let outcome = match (reason, serves) {
        (Reason::Proven, _) => Outcome::Ready,
        (Reason::Unanswered, Serves::Old | Serves::OldAgain { .. }) if known.is_converged => Outcome::Ready,
        (Reason::Superseded, _) => Outcome::Superseded,
        (Reason::Unanswered | Reason::Failed(_) | Reason::Interrupted, _) => Outcome::Failed,
    };
    let service = match serves {
        Serves::Old if known.service != ServiceState::None => known.service,
        Serves::New | Serves::Old | Serves::OldAgain { .. } => ServiceState::Up,
        Serves::Nothing if is_down(reason, found, known.service) => ServiceState::Down,
        Serves::Nothing => ServiceState::None,
    };
    Ending { outcome, serves, service }
}

fn serves(reason: Reason, found: Found, on_failure: OnFailure) -> Serves {
    match (reason, found, on_failure) {
        (Reason::Proven, ..) => Serves::New,
        (_, Found::Unknown | Found::Nothing, _) => Serves::Nothing,
        (_, Found::Running, _) => Serves::Old,
        (_, Found::Stopped | Found::HalfReplaced, OnFailure::Leave) => Serves::Nothing,
        (_, Found::Stopped | Found::HalfReplaced, OnFailure::Restore) => {
            Serves::OldAgain { prove: matches!(reason, Reason::Unanswered | Reason::Failed(_)) }
        }
    }
}

/// Where nothing ever served, nothing is down before it was started; and what a
/// newer run is about to start is not down for it.
fn is_down(reason: Reason, found: Found, before: ServiceState) -> bool {
    let started = matches!(reason, Reason::Failed(PhaseName::Start | PhaseName::Health));
    let replaced = reason == Reason::Superseded && found != Found::Unknown;
    (before != ServiceState::None || started) && !replaced
}

#[cfg(test)]
mod tests {
    use super::*;

    const PHASES: &[PhaseName] = PhaseName::ALL;
    const PREPARING: &[PhaseName] =
        &[PhaseName::Resolve, PhaseName::Image, PhaseName::Database, PhaseName::Jobs, PhaseName::Migrate];
    const STARTING: &[PhaseName] = &[PhaseName::Start, PhaseName::Health];

    const FOUND: &[Found] =
        &[Found::Unknown, Found::Nothing, Found::Stopped, Found::Running, Found::HalfReplaced];
    const STOPPED: &[Found] = &[Found::Stopped, Found::HalfReplaced];
    const RUNNING: &[Found] = &[Found::Running];
    const NOTHING: &[Found] = &[Found::Nothing];
    const UNKNOWN: &[Found] = &[Found::Unknown];
    const ABSENT: &[Found] = &[Found::Nothing, Found::Unknown];

    const BEFORE: &[ServiceState] = ServiceState::ALL;
    const NONE: &[ServiceState] = &[ServiceState::None];
    const SEEN: &[ServiceState] =
        &[ServiceState::Up, ServiceState::Degraded, ServiceState::Down, ServiceState::Unwatched];

    const ANY: &[bool] = &[true, false];
    const YES: &[bool] = &[true];
    const NO: &[bool] = &[false];

    const EITHER: &[OnFailure] = &[OnFailure::Restore, OnFailure::Leave];
    const RESTORE: &[OnFailure] = &[OnFailure::Restore];
    const LEAVE: &[OnFailure] = &[OnFailure::Leave];

    const AGAIN: Serves = Serves::OldAgain { prove: true };
    const AGAIN_UNPROVEN: Serves = Serves::OldAgain { prove: false };

    /// What was found, what was known of the service, whether the deployment is converged, what is asked
    /// for on failure; and what becomes of it.
    type Row = (
        &'static [Found],
        &'static [ServiceState],
        &'static [bool],
        &'static [OnFailure],
        Outcome,
        Serves,
        After,
    );

    /// The state of the service afterwards.
    #[derive(Clone, Copy)]
    enum After {
        AsBefore,
        Is(ServiceState),
    }
    use After::{AsBefore, Is};
    use Outcome::{Failed, Ready, Superseded};
    use Serves::{New, Nothing, Old};
    use ServiceState::{Down, None as Absent, Up};

    fn failed(phases: &[PhaseName]) -> Vec<Reason> {
        phases.iter().map(|phase| Reason::Failed(*phase)).collect()
    }

    /// Every way in which a run can end, and how it does.
    fn table() -> Vec<(Vec<Reason>, Vec<Row>)> {
        vec![
            (vec![Reason::Proven], vec![(FOUND, BEFORE, ANY, EITHER, Ready, New, Is(Up))]),
            (
                vec![Reason::Unanswered],
                vec![
                    (RUNNING, NONE, YES, EITHER, Ready, Old, Is(Up)),
                    (RUNNING, SEEN, YES, EITHER, Ready, Old, AsBefore),
                    (STOPPED, BEFORE, YES, RESTORE, Ready, AGAIN, Is(Up)),
                    (RUNNING, NONE, NO, EITHER, Failed, Old, Is(Up)),
                    (RUNNING, SEEN, NO, EITHER, Failed, Old, AsBefore),
                    (STOPPED, BEFORE, NO, RESTORE, Failed, AGAIN, Is(Up)),
                    (STOPPED, NONE, ANY, LEAVE, Failed, Nothing, Is(Absent)),
                    (STOPPED, SEEN, ANY, LEAVE, Failed, Nothing, Is(Down)),
                    (ABSENT, NONE, ANY, EITHER, Failed, Nothing, Is(Absent)),
                    (ABSENT, SEEN, ANY, EITHER, Failed, Nothing, Is(Down)),
                ],
            ),
            (
                failed(PREPARING),
                vec![
                    (RUNNING, NONE, ANY, EITHER, Failed, Old, Is(Up)),
                    (RUNNING, SEEN, ANY, EITHER, Failed, Old, AsBefore),
                    (STOPPED, BEFORE, ANY, RESTORE, Failed, AGAIN, Is(Up)),
                    (STOPPED, NONE, ANY, LEAVE, Failed, Nothing, Is(Absent)),
                    (STOPPED, SEEN, ANY, LEAVE, Failed, Nothing, Is(Down)),
                    (ABSENT, NONE, ANY, EITHER, Failed, Nothing, Is(Absent)),
                    (ABSENT, SEEN, ANY, EITHER, Failed, Nothing, Is(Down)),
                ],
            ),
            (
                failed(STARTING),
                vec![
                    (RUNNING, NONE, ANY, EITHER, Failed, Old, Is(Up)),
                    (RUNNING, SEEN, ANY, EITHER, Failed, Old, AsBefore),
                    (STOPPED, BEFORE, ANY, RESTORE, Failed, AGAIN, Is(Up)),
                    (STOPPED, BEFORE, ANY, LEAVE, Failed, Nothing, Is(Down)),
                    (ABSENT, BEFORE, ANY, EITHER, Failed, Nothing, Is(Down)),
                ],
            ),
            (
                vec![Reason::Interrupted],
                vec![
                    (RUNNING, NONE, ANY, EITHER, Failed, Old, Is(Up)),
                    (RUNNING, SEEN, ANY, EITHER, Failed, Old, AsBefore),
                    (STOPPED, BEFORE, ANY, RESTORE, Failed, AGAIN_UNPROVEN, Is(Up)),
                    (STOPPED, NONE, ANY, LEAVE, Failed, Nothing, Is(Absent)),
                    (STOPPED, SEEN, ANY, LEAVE, Failed, Nothing, Is(Down)),
                    (ABSENT, NONE, ANY, EITHER, Failed, Nothing, Is(Absent)),
                    (ABSENT, SEEN, ANY, EITHER, Failed, Nothing, Is(Down)),
                ],
            ),
            (
                vec![Reason::Superseded],
                vec![
                    (RUNNING, NONE, ANY, EITHER, Superseded, Old, Is(Up)),
                    (RUNNING, SEEN, ANY, EITHER, Superseded, Old, AsBefore),
                    (STOPPED, BEFORE, ANY, RESTORE, Superseded, AGAIN_UNPROVEN, Is(Up)),
                    (STOPPED, BEFORE, ANY, LEAVE, Superseded, Nothing, Is(Absent)),
                    (NOTHING, BEFORE, ANY, EITHER, Superseded, Nothing, Is(Absent)),
                    (UNKNOWN, NONE, ANY, EITHER, Superseded, Nothing, Is(Absent)),
                    (UNKNOWN, SEEN, ANY, EITHER, Superseded, Nothing, Is(Down)),
                ],
            ),
        ]
    }

    fn reasons() -> Vec<Reason> {
        [failed(PHASES), vec![Reason::Proven, Reason::Unanswered, Reason::Superseded, Reason::Interrupted]]
            .concat()
    }

    #[test]
    fn each_combination_of_what_can_be_has_one_row_and_ends_as_it_says() {
        let table = table();
        for reason in reasons() {
            let (_, rows) = table.iter().find(|(reasons, _)| reasons.contains(&reason)).unwrap();
            for (found, service, is_converged, on_failure) in combinations() {
                let holds = |row: &&Row| {
                    row.0.contains(&found)
                        && row.1.contains(&service)
                        && row.2.contains(&is_converged)
                        && row.3.contains(&on_failure)
                };
                let known = Known { service, is_converged, on_failure };
                let matching: Vec<&Row> = rows.iter().filter(holds).collect();
                let [(.., outcome, serves, after)] = matching[..] else {
                    panic!("{} rows for {reason:?} {found:?} {known:?}", matching.len());
                };
                let service = match after {
                    AsBefore => service,
                    Is(state) => *state,
                };
                let wanted = Ending { outcome: *outcome, serves: *serves, service };
                assert_eq!(decide(reason, found, known), wanted, "{reason:?} {found:?} {known:?}");
            }
        }
    }

    fn combinations() -> impl Iterator<Item = (Found, ServiceState, bool, OnFailure)> {
        FOUND.iter().flat_map(|found| {
            BEFORE.iter().flat_map(move |before| {
                ANY.iter().flat_map(move |converged| {
                    EITHER.iter().map(move |on_failure| (*found, *before, *converged, *on_failure))
                })
            })
        })
    }

    #[test]
    fn what_was_proven_before_is_never_given_up_while_it_runs() {
        for reason in reasons().into_iter().filter(|reason| *reason != Reason::Proven) {
            for (found, service, is_converged, on_failure) in combinations() {
                let ending = decide(reason, found, Known { service, is_converged, on_failure });
                assert_eq!(ending.serves == Old, found == Found::Running, "{reason:?} {found:?}");
            }
        }
    }
}
