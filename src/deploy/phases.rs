//! The phases of a run, in their order: each takes what those before it proved and
//! returns its own proof as a type, so that the compiler checks the order; none knows
//! of another.

use tokio::sync::watch;

use super::agent::Agent;
use super::finish::{Ended, Failed, Ready, finish};
use super::image::Images;
use super::resolve::{Resolved, resolve};
use super::run_context::{Cut, Order, RunContext, Stop};
use super::{app, database, image, oneshot};
use crate::config::Loaded;
use crate::status::{PhaseName, RunId};

/// Carries out one run, already begun in the reporter under this id, and
/// says how it ended.
pub async fn run(
    agent: &mut Agent,
    loaded: &Loaded,
    id: RunId,
    order: Order,
    cut: watch::Receiver<Cut>,
) -> Ended {
    let (reporter, redactor) = (agent.reporter.clone(), agent.redactor.clone());
    let run = RunContext::new(id, order, reporter, redactor, agent.timings, loaded.config.deadline, cut);
    let end = phases(agent, loaded, &run).await;
    let ended = finish(agent, loaded, &run, end).await;
    agent.availability.end_replacing();
    ended
}

async fn phases(agent: &mut Agent, loaded: &Loaded, run: &RunContext) -> Result<Ready, Failed> {
    let resolving = resolve(agent, loaded, run);
    let Resolved { desired, engine, running, serving } = run.phase(PhaseName::Resolve, resolving).await?;
    let Agent { store, availability, .. } = agent;

    let images = Images { run, phase: PhaseName::Image, engine: &engine, desired: &desired, store };
    let image = run.phase(PhaseName::Image, image::application(&images, serving.as_ref()));
    let database = database::reachable(run, &desired);
    let (image, database) = tokio::try_join!(image, database)?;

    let spec = desired.app_spec(image.id(), store);
    let serves = oneshot::Serves(running.as_ref().is_some_and(|running| running.spec == spec));
    if let Some(bad) = &store.state().known_bad
        && (run.order, &bad.spec) == (Order::None, &spec)
        && running.is_some()
        && !serves.0
    {
        return Err(Stop::Fault(bad.phase, bad.fault()).into());
    }

    let database = database.as_ref();
    let migrated = oneshot::run_all(run, &engine, &desired, store, &image, database, serves).await?;
    let after = |stop| Failed {
        stop,
        migrated: Some(migrated.clone()),
        spec: Some(spec.clone()),
        database: desired.database.clone(),
    };
    let started = app::start(run, &engine, &desired, (store, availability), &image, &spec, &migrated).await;
    let started = started.map_err(after)?;
    let stages = app::healthy(run, &engine, &desired, &started).await.map_err(after)?;
    Ok(Ready { engine, desired, image, started, stages, spec })
}
