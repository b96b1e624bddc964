//! One run: from the configuration to an application that is proven healthy.
//!
//! The order of the phases is in [`run`] and nowhere else. Each takes what the
//! phases before it proved and returns its own proof as a type, so that the
//! compiler checks the order; none knows of another.

mod conclude;
pub mod database;
mod desired;
mod facts;
mod fault;
pub mod health;
mod image;
mod jobs;
mod judge;
pub mod log;
mod migrate;
mod phase;
mod policy;
mod pull;
mod report;
mod resolve;
mod source;
pub mod start;
pub mod store;
mod values;
mod words;

use std::time::SystemTime;

use tokio::sync::watch;

pub use phase::{Cut, Stop};
pub use policy::Policy;
pub use report::parameter_sender;

use crate::aws::Endpoints;
use crate::config::{Config, Loaded, Stage};
use crate::docker::{self, Engine, Scope};
use crate::redact::Redactor;
use crate::retry;
use crate::status::{Code, Fault, Outcome, PhaseName, Reporter};
use desired::Desired;
use facts::Facts;
use jobs::Migrated;
use phase::Progress;
use pull::{ImageReady, Images};
use start::{Started, Swap};
use store::Store;

/// What lives as long as the process and every run uses.
pub struct Agent {
    /// The one way to the status.
    pub reporter: Reporter,
    /// Masks what the runs have learned.
    pub redactor: Redactor,
    /// What survives the process.
    pub store: Store,
    /// Times.
    pub policy: Policy,
    /// Where AWS is.
    pub endpoints: Endpoints,
    /// The Docker Engine, once it has answered.
    pub engine: Option<Engine>,
    /// The parameter that receives the status, once it is known.
    pub parameter: Option<String>,
    /// Since when nobody has listened to what happens to the application.
    pub unwatched: SystemTime,
}

/// What the phases prove in the end.
struct Ready {
    engine: Engine,
    desired: Desired,
    image: ImageReady,
    started: Started,
    stages: Vec<Stage>,
    migrated: Migrated,
}

/// Carries out one run, already begun in the reporter under this id, and
/// returns its outcome. `force` runs jobs and the migration again.
pub async fn run(
    agent: &mut Agent,
    loaded: &Loaded,
    id: &str,
    force: bool,
    cut: watch::Receiver<Cut>,
) -> Outcome {
    let (reporter, redactor) = (agent.reporter.clone(), agent.redactor.clone());
    let progress = Progress::new(reporter, redactor, loaded.config.deadline, cut);
    let mut migrated = Migrated::default();
    let end = phases(agent, &loaded.config, &progress, id, force, &mut migrated).await;
    match end {
        Ok(ready) => conclude::ready(agent, loaded, &progress, id, ready).await,
        Err(stop) => conclude::stopped(agent, loaded, &progress, stop, &migrated).await,
    }
}

async fn phases(
    agent: &mut Agent,
    config: &Config,
    progress: &Progress,
    id: &str,
    force: bool,
    moved: &mut Migrated,
) -> Result<Ready, Stop> {
    let resolving = resolve(agent, config, progress);
    let (desired, engine) = progress.phase(PhaseName::Resolve, resolving).await?;
    let pulls = agent.policy.pull(config);
    let mut context = Context { agent, engine, desired, progress, pulls, run: id, force };
    let (image, database) = tokio::try_join!(context.image(), context.database(config))?;
    let migrated = context.migrate(&image, database).await?;
    moved.clone_from(&migrated);
    let started = context.start(&image).await?;
    let stages = context.healthy(&started).await?;
    Ok(Ready { engine: context.engine, desired: context.desired, image, started, stages, migrated })
}

/// What every phase after the first works with; each adds its own step.
struct Context<'a> {
    agent: &'a mut Agent,
    engine: Engine,
    desired: Desired,
    progress: &'a Progress,
    /// How often and how long an image is pulled.
    pulls: retry::Policy,
    /// The run's id.
    run: &'a str,
    /// Run jobs and the migration although they are recorded as done.
    force: bool,
}

impl Context<'_> {
    fn images(&self, phase: PhaseName) -> Images<'_> {
        Images {
            engine: &self.engine,
            progress: self.progress,
            policy: &self.agent.policy,
            store: &self.agent.store,
            run: self.run,
            pulls: self.pulls,
            phase,
        }
    }

    fn swap(&self) -> Swap<'_> {
        self.agent.swap(&self.engine, self.run)
    }
}

/// Instance facts, Docker and parameters; the first two at the same time.
async fn resolve(
    agent: &mut Agent,
    config: &Config,
    progress: &Progress,
) -> Result<(Desired, Engine), Fault> {
    let scope = Scope::new(agent.store.folder());
    // At the run's deadline only the phase would be told, and not that it was Docker.
    let patience = agent.policy.docker_patience.min(progress.left().mul_f32(0.9));
    let socket = docker::socket_from_env();
    let (facts, engine) =
        tokio::join!(Facts::gather(config, &agent.endpoints), Engine::connect(&socket, scope, patience));
    report::tell_instance(&agent.reporter, &facts, config);
    report::connect_parameter(agent, config, &facts);
    let engine = engine?;
    agent.engine = Some(engine.clone());
    conclude::tell_serving(agent, &engine).await;
    let limit = agent.policy.parameters.min(progress.left());
    let resolved = tokio::time::timeout(limit, resolve::resolve(config, &facts, &agent.redactor)).await;
    let (desired, notes) = resolved.map_err(|_| {
        Fault::new(Code::ParametersUnreachable, format!("no values within {} s", limit.as_secs()))
    })??;
    agent.reporter.update(|document| document.notes.extend(notes));
    Ok((desired, engine))
}

impl Agent {
    /// An agent that has met neither engine nor configuration yet.
    #[must_use]
    pub fn new(
        reporter: Reporter,
        redactor: Redactor,
        store: Store,
        policy: Policy,
        endpoints: Endpoints,
    ) -> Self {
        let unwatched = SystemTime::now();
        Self { reporter, redactor, store, policy, endpoints, engine: None, parameter: None, unwatched }
    }

    fn swap<'a>(&'a self, engine: &'a Engine, run: &'a str) -> Swap<'a> {
        Swap { engine, policy: &self.policy, redactor: &self.redactor, run }
    }
}
