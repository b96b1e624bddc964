//! The way back: what was not proven is stopped and kept for its logs, and the
//! application that was proven before serves, if there is one.

use tokio::time::timeout;

use super::super::agent::Agent;
use super::super::app::{Applications, prove, stop};
use super::super::run_context::RunContext;
use super::decide::{Ending, Found, Known, Reason, Serves, decide};
use crate::config::{Health, Loaded};
use crate::docker::{Container, Engine, State};
use crate::probe::Prober;
use crate::status::{Code, Fault};

/// How it went.
pub(super) struct Restored {
    pub(super) ending: Ending,
    /// The old application where it serves.
    pub(super) old: Option<Container>,
    /// What the engine said where it went wrong.
    pub(super) trouble: Option<Fault>,
}

/// Decides how the run ends, and carries out what that asks of the engine.
pub(super) async fn restore(agent: &Agent, loaded: &Loaded, run: &RunContext, reason: Reason) -> Restored {
    let Some(engine) = &agent.engine else {
        // Docker has not answered in this process yet.
        let ending = decide(reason, Found::Nothing, known(agent, loaded, None));
        return Restored { ending, old: None, trouble: None };
    };
    let restored = async {
        let found = Applications::find(engine, &agent.store).await?;
        let (old, is) = (found.proven.as_ref(), state(&found, agent, run));
        let ending = decide(reason, is, known(agent, loaded, old.map(|old| old.id.as_str())));
        clear(agent, engine, &found, is).await?;
        if let (Serves::OldAgain { .. }, Some(old)) = (ending.serves, old) {
            engine.start(&old.id).await?;
        }
        let old = old.filter(|_| ending.serves != Serves::Nothing).cloned();
        Ok(Restored { ending, old, trouble: None })
    };
    restored.await.unwrap_or_else(|trouble: Fault| {
        tracing::warn!(fault = %trouble.code, message = %trouble.message, "the way back failed");
        let ending = decide(reason, Found::Unknown, known(agent, loaded, None));
        Restored { ending, old: None, trouble: Some(trouble) }
    })
}

/// Waits until the old application, started again, is as healthy as it was, or the run's time is up:
/// from then on that is the watch's to see.
///
/// # Errors
/// The stage that does not hold.
pub(super) async fn prove_again(agent: &Agent, loaded: &Loaded, run: &RunContext) -> Result<(), Fault> {
    let Some(good) = &agent.store.state().last_good else { return Ok(()) };
    let prober = Prober::new(good.watched.publish, agent.timings.probe, &agent.redactor)?;
    let stages = Health::Stages(good.watched.stages.clone());
    let limit = loaded.config.deadlines.health.min(run.left());
    let proof = prove(&prober, &stages, &agent.timings, limit, |_| {});
    // A probe that began in time is let end; several that hold slowly are not.
    let late = |_| Fault::new(Code::HealthTimeout, "not healthy by the run's deadline");
    tokio::select! {
        proved = timeout(limit + agent.timings.probe, proof) => proved.map_err(late)?.map(|_| ()),
        _ = run.cut() => Ok(()),
    }
}

/// What is known before the run ends; `old` is the container that may serve on.
pub(super) fn known(agent: &Agent, loaded: &Loaded, old: Option<&str>) -> Known {
    let digest = agent.store.digest(&loaded.bytes);
    let good = agent.store.state().last_good.as_ref();
    let is_converged = good.is_some_and(|good| good.config == digest && Some(good.container.as_str()) == old);
    let on_failure = loaded.config.app.on_failure;
    Known { service: agent.availability.state(), is_converged, on_failure }
}

fn state(found: &Applications, agent: &Agent, run: &RunContext) -> Found {
    // What another life of the agent has asked the engine for, nobody knows.
    let of_another_life = |container: &Container| container.run != run.id.as_str();
    let may_be_stopping =
        created(found).any(|container| agent.availability.has_been_stopped() || of_another_life(container));
    match found.proven.as_ref().map(|old| old.state) {
        None => Found::Nothing,
        Some(State::Running) if may_be_stopping => Found::HalfReplaced,
        Some(State::Running) => Found::Running,
        Some(State::Created | State::Exited) => Found::Stopped,
    }
}

/// Those that were never started: the swap was cut in its midst.
fn created(found: &Applications) -> impl Iterator<Item = &Container> {
    found.unproven.iter().filter(|container| container.state == State::Created)
}

/// Stops what was not proven, and removes what has no logs to keep. What was asked of the
/// engine in a swap that was cut goes on there: the removal waits for a start, the second
/// stop for the first.
async fn clear(agent: &Agent, engine: &Engine, found: &Applications, is: Found) -> Result<(), Fault> {
    for successor in &found.unproven {
        stop(engine, successor, agent.timings.unproven_grace).await?;
    }
    for half_done in created(found) {
        if let Err(error) = engine.remove(&half_done.id).await {
            tracing::warn!(%error, container = %half_done.name, "it is removed by the next run");
        }
    }
    match &found.proven {
        Some(old) if is == Found::HalfReplaced => stop(engine, old, agent.timings.grace).await,
        _ => Ok(()),
    }
}
