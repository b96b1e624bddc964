//! How a run ends: first decided, then carried out and reported.

mod again;
mod decide;
mod restore;

use std::time::SystemTime;

use super::agent::Agent;
use super::app::{Started, settle, shown};
use super::image::ImageReady;
use super::oneshot::Migrated;
use super::plan::Desired;
use super::run_context::{Cut, RunContext, Stop};
use crate::config::{DatabaseUrl, Loaded, Stage};
use crate::docker::Engine;
use crate::state::{KnownBad, LastGood};
use crate::status::{Cause, Class, Code, Fault, Outcome, PhaseName, Report, ServiceState, Serving};
use again::again;
pub use again::{Again, Ended};
use decide::{Ending, Found, Reason, Serves, decide};
use restore::{Restored, known};

/// What the phases have proven in the end.
pub(super) struct Ready {
    pub(super) engine: Engine,
    pub(super) desired: Desired,
    pub(super) image: ImageReady,
    pub(super) started: Started,
    pub(super) stages: Vec<Stage>,
    /// HMAC of the application's container.
    pub(super) spec: String,
}

/// Why the run ends early, and what it had migrated by then.
pub(super) struct Failed {
    pub(super) stop: Stop,
    pub(super) migrated: Option<Migrated>,
    /// HMAC of the application's container as it was to be, once it was about to start.
    pub(super) spec: Option<String>,
    /// The application's database, once the application was about to start.
    pub(super) database: Option<DatabaseUrl>,
}

impl From<Stop> for Failed {
    fn from(stop: Stop) -> Self {
        Self { stop, migrated: None, spec: None, database: None }
    }
}

/// Ends the run and says how, and what follows.
pub(super) async fn finish(
    agent: &mut Agent,
    loaded: &Loaded,
    run: &RunContext,
    end: Result<Ready, Failed>,
) -> Ended {
    match end {
        Ok(ready) => {
            // An end from here on is the watch's to report; until now it was the health phase's.
            agent.unwatched = SystemTime::now();
            Ended { outcome: succeed(agent, loaded, run, ready).await, again: Again::Never }
        }
        Err(failed) => fail(agent, loaded, run, failed).await,
    }
}

/// The application is healthy: it is recorded, settled and reported. From the record on it is the
/// one that is proven, whatever becomes of the agent.
async fn succeed(agent: &mut Agent, loaded: &Loaded, run: &RunContext, ready: Ready) -> Outcome {
    let before = agent.store.state().last_good.clone();
    let before = before.filter(|good| good.container == ready.started.id());
    let serving = before.map_or_else(
        || Serving {
            image: ready.desired.image.to_string(),
            digest: ready.image.digest().map(str::to_owned),
            commit: ready.image.commit().map(str::to_owned),
            run: run.id.clone(),
            since: agent.reporter.now(),
        },
        |good| good.serving,
    );
    let good = LastGood {
        config: agent.store.digest(&loaded.bytes),
        container: ready.started.id().to_owned(),
        serving: serving.clone(),
        watched: ready.desired.watched(&ready.stages),
    };
    agent.store.update(|state| {
        state.last_good = Some(good);
        // What is proven is not bad, whatever it was before.
        state.known_bad = state.known_bad.take().filter(|bad| bad.spec != ready.spec);
    });
    let undone = settle(&ready.engine, &agent.store, &ready.started).await;
    let known = known(agent, loaded, Some(ready.started.id()));
    let Ending { outcome, service, .. } = decide(Reason::Proven, Found::Running, known);
    agent.availability.set(service, None, |report| {
        report.serving(Some(serving));
        undone.into_iter().for_each(|note| report.note(note));
        report.end_run(outcome);
    });
    outcome
}

/// The run ended early: the old application serves again if there is one, and
/// the status says both what failed and what serves.
async fn fail(agent: &mut Agent, loaded: &Loaded, run: &RunContext, failed: Failed) -> Ended {
    let Failed { stop, migrated, spec, database } = failed;
    let good = agent.store.state().last_good.as_ref();
    let built = good.is_some_and(|good| good.serving.commit.is_some());
    let reason = match &stop {
        Stop::Fault(phase, fault) if was_not_answered(*phase, fault, built) => Reason::Unanswered,
        Stop::Fault(phase, _) => Reason::Failed(*phase),
        Stop::Cut(Cut::Superseded(_)) => Reason::Superseded,
        Stop::Cut(_) => Reason::Interrupted,
    };
    let Restored { ending, old, trouble } = restore::restore(agent, loaded, run, reason).await;
    let is_another = |spec: &str| old.as_ref().is_some_and(|old| old.spec != spec);
    if let (Some(spec), Stop::Fault(phase, fault)) = (spec, &stop)
        && is_another(&spec)
        && is_its_own_fault(fault)
    {
        let Fault { code, message, tail, .. } = fault.clone();
        agent
            .store
            .update(|state| state.known_bad = Some(KnownBad { spec, phase: *phase, code, message, tail }));
    }
    let again = again(ending.outcome, &stop, has_cost_an_outage(agent, &stop, ending.serves), database);
    // What the swap did to the old application is no news.
    agent.unwatched = SystemTime::now();
    let unproven = match ending.serves {
        Serves::OldAgain { prove: true } => restore::prove_again(agent, loaded, run).await.err(),
        _ => None,
    };
    let (fault, phase) = match &stop {
        Stop::Fault(phase, fault) => (Some(fault.clone()), Some(*phase)),
        Stop::Cut(Cut::Interrupted) => {
            (Some(Fault::new(Code::Interrupted, "the agent was told to stop during the run")), None)
        }
        Stop::Cut(_) => (None, None),
    };
    let (service, cause) = match (ending.serves, unproven) {
        (_, Some(fault)) => (ServiceState::Degraded, Some(Cause::from(&fault))),
        (Serves::Old, None) => (ending.service, agent.availability.cause()),
        (Serves::Nothing, None) if ending.service == ServiceState::Down => {
            (ending.service, trouble.as_ref().or(fault.as_ref()).map(Cause::from))
        }
        (_, None) => (ending.service, None),
    };
    let old = old.map(|old| shown(&agent.store, &old));
    agent.availability.set(service, cause, |report| {
        match old {
            Some(old) => old.report(report),
            None => report.serving(None),
        }
        match (ending.outcome, fault, phase) {
            (Outcome::Ready, Some(fault), Some(phase)) => report_kept(report, &fault, phase),
            (_, fault, phase) => report_failed(report, fault, phase, migrated.as_ref()),
        }
        if let Stop::Cut(Cut::Superseded(by)) = stop {
            report.superseded_by(by);
        }
        report.end_run(ending.outcome);
    });
    Ended { outcome: ending.outcome, again }
}

/// Whether what serves now was down for this run's try, or would be for the next one.
fn has_cost_an_outage(agent: &Agent, stop: &Stop, serves: Serves) -> bool {
    let in_swap = matches!(stop, Stop::Fault(PhaseName::Start | PhaseName::Health, _));
    match serves {
        // In another life of the agent the old one may have been stopped already.
        Serves::OldAgain { .. } => in_swap || agent.availability.has_been_stopped(),
        Serves::Old => agent.availability.has_been_stopped(),
        Serves::New | Serves::Nothing => false,
    }
}

/// Whether the run failed for want of an answer from elsewhere (registry, network, role, parameters,
/// a credential), and not because of what it was to deploy. What serves was built where `built`: then
/// its image is not at its registry, and what a registry says for good is said of a base image.
fn was_not_answered(phase: PhaseName, fault: &Fault, built: bool) -> bool {
    let code = fault.code;
    match (phase, code.class()) {
        (PhaseName::Resolve, _) => true,
        (PhaseName::Image, Class::Build) => false,
        (PhaseName::Image, Class::Registry) if built => code.retryable(),
        (PhaseName::Image, _) => {
            !matches!(code, Code::ArchMismatch | Code::SourceUnsafe | Code::SourceTooLarge)
        }
        // What serves may be the one that holds all connections of its role.
        (PhaseName::Database, _) => code == Code::DatabaseTooManyConnections,
        _ => false,
    }
}

/// Whether the application failed by itself, as it would again. A port that is held is somebody else's.
fn is_its_own_fault(fault: &Fault) -> bool {
    fault.code.class() == Class::App && !fault.code.retryable() && fault.code != Code::PortInUse
}

/// What serves could not be refreshed, and is kept.
fn report_kept(report: &mut Report, fault: &Fault, phase: PhaseName) {
    tracing::warn!(fault = %fault.code.name(), message = %fault.message, "what serves is kept");
    report.note(format!("not refreshed: {}: {}", fault.code.name(), fault.message));
    report.keep_from(phase);
}

fn report_failed(
    report: &mut Report,
    fault: Option<Fault>,
    phase: Option<PhaseName>,
    migrated: Option<&Migrated>,
) {
    let Some(fault) = fault else { return };
    if let Some(moved) = migrated.and_then(Migrated::moved) {
        let (from, to) = (moved.from.as_deref().unwrap_or("nothing"), &moved.to);
        report.note(format!("the database was migrated from {from} to {to} before the failure"));
    }
    report.fault(fault, phase);
}
