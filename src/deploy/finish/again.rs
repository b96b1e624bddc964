//! Whether a run that failed is followed by another by itself.

use super::super::run_context::Stop;
use crate::state::Watched;
use crate::status::{Class, Outcome};

/// What follows a run while nobody asks for anything.
#[derive(Debug, Clone, PartialEq)]
pub enum Again {
    /// No other run.
    Never,
    /// Another one, after a while: what failed may pass by itself.
    Later,
    /// Another one when this database answers again, and no third: each costs what serves an outage.
    WithDatabase(Watched),
}

/// How a run ended, and what follows.
#[derive(Debug, Clone, PartialEq)]
pub struct Ended {
    /// Its outcome.
    pub outcome: Outcome,
    /// What follows by itself.
    pub again: Again,
}

/// What follows a run with this outcome that stopped so. `costs_outage` says that it had taken down what
/// serves now, `watched` what it was about to start.
pub(super) fn again(outcome: Outcome, stop: &Stop, costs_outage: bool, watched: Option<Watched>) -> Again {
    match stop {
        Stop::Fault(_, fault) if outcome == Outcome::Failed && fault.code.retryable() => {
            match (costs_outage, fault.code.class()) {
                (false, _) => Again::Later,
                (true, Class::Database) => watched.map_or(Again::Never, Again::WithDatabase),
                (true, _) => Again::Never,
            }
        }
        _ => Again::Never,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Publish;
    use crate::deploy::Cut;
    use crate::status::{Code, Fault, PhaseName};

    fn watched() -> Watched {
        let publish = Publish { ip: std::net::Ipv4Addr::LOCALHOST.into(), port: 8000 };
        Watched { publish, stages: Vec::new(), endpoints: Vec::new(), postgres: true }
    }

    fn after(outcome: Outcome, code: Code, costs_outage: bool) -> Again {
        let stop = Stop::Fault(PhaseName::Health, Fault::new(code, "it failed"));
        again(outcome, &stop, costs_outage, Some(watched()))
    }

    #[test]
    fn what_may_pass_is_tried_again_unless_each_try_takes_down_what_serves() {
        for code in Code::ALL.iter().copied() {
            let (free, dear) = match (code.retryable(), code.class()) {
                (false, _) => (Again::Never, Again::Never),
                (true, Class::Database) => (Again::Later, Again::WithDatabase(watched())),
                (true, _) => (Again::Later, Again::Never),
            };
            assert_eq!(after(Outcome::Failed, code, false), free, "{code}");
            assert_eq!(after(Outcome::Failed, code, true), dear, "{code}");
        }
    }

    #[test]
    fn a_run_that_is_ready_or_was_cut_is_followed_by_none() {
        assert_eq!(after(Outcome::Ready, Code::RegistryUnreachable, false), Again::Never);
        assert_eq!(again(Outcome::Failed, &Stop::Cut(Cut::Interrupted), false, None), Again::Never);
    }
}
