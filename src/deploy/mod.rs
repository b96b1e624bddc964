//! One run: from the configuration to an application that is proven healthy.
//!
//! The order of the phases is in [`run`](run()) and nowhere else. Each takes what the
//! phases before it proved and returns its own proof as a type, so that the
//! compiler checks the order; none knows of another.

mod agent;
pub mod app;
mod database;
pub mod faults;
mod finish;
mod image;
mod oneshot;
pub mod output;
mod status_parameter;
mod plan;
mod resolve;
mod run;
mod timings;

use tokio::sync::watch;

pub use agent::Agent;
pub use status_parameter::parameter_sender;
pub use run::{Cut, Stop};
pub use timings::Timings;

use crate::config::{Config, Loaded};
use crate::status::{Outcome, PhaseName, RunId};
use finish::{Failed, Ready};
use image::Images;
use run::RunContext;

/// Carries out one run, already begun in the reporter under this id, and
/// returns its outcome. `force` runs jobs and the migration again.
pub async fn run(
    agent: &mut Agent,
    loaded: &Loaded,
    id: RunId,
    force: bool,
    cut: watch::Receiver<Cut>,
) -> Outcome {
    let (reporter, redactor) = (agent.reporter.clone(), agent.redactor.clone());
    let run = RunContext::new(id, force, reporter, redactor, agent.timings, loaded.config.deadline, cut);
    let end = phases(agent, &loaded.config, &run).await;
    let outcome = finish::finish(agent, loaded, &run, end).await;
    agent.availability.end_replacing();
    outcome
}

async fn phases(agent: &mut Agent, config: &Config, run: &RunContext) -> Result<Ready, Failed> {
    let resolving = resolve::resolve(agent, config, run);
    let (desired, engine) = run.phase(PhaseName::Resolve, resolving).await?;
    let Agent { store, availability, .. } = agent;

    let images = Images { run, phase: PhaseName::Image, engine: &engine, desired: &desired, store };
    let image = run.phase(PhaseName::Image, image::application(&images));
    let database = database::reachable(run, &desired);
    let (image, database) = tokio::try_join!(image, database)?;

    let migrated = oneshot::run_all(run, &engine, &desired, store, &image, database.as_ref()).await?;
    let after = |stop| Failed { stop, migrated: Some(migrated.clone()) };
    let started = app::start(run, &engine, &desired, (store, availability), &image, &migrated).await;
    let started = started.map_err(after)?;
    let stages = app::healthy(run, &engine, &desired, &started).await.map_err(after)?;
    Ok(Ready { engine, desired, image, migrated, started, stages })
}
