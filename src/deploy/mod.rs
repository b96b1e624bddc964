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
mod log;
mod phase;
mod policy;
mod resolve;
mod source;
pub mod start;
pub mod store;
mod words;

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;

pub use phase::{Cut, Stop};
pub use policy::Policy;

use crate::aws::{Aws, Endpoints};
use crate::config::{Config, Loaded, Stage};
use crate::docker::{Engine, Scope};
use crate::redact::Redactor;
use crate::status::parameter::{Parameter, SendError};
use crate::status::{self, DatabaseState, Fault, Migration, Outcome, PhaseName, PhaseState, Reporter};
use database::DatabaseReachable;
use desired::Desired;
use facts::Facts;
use health::Prober;
use image::{ImageReady, Images};
use jobs::{Done, Jobs, Migrated};
use phase::Progress;
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
}

/// What the phases prove in the end.
struct Ready {
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
    let (desired, engine) = progress.phase(PhaseName::Resolve, resolve(agent, config, progress)).await?;
    let images = Images {
        engine: &engine,
        progress,
        policy: &agent.policy,
        store: &agent.store,
        run: id,
        pulls: agent.policy.pull(config),
    };
    let (image, _reachable) = tokio::try_join!(
        progress.phase(PhaseName::Image, images.application(&desired)),
        reachable(agent, config, &desired, progress),
    )?;
    let migrated = migrate(agent, &engine, &desired, &image, progress, id, force).await?;
    moved.clone_from(&migrated);
    let started = start(agent, &engine, &desired, &image, progress, id).await?;
    let stages = healthy(agent, &engine, &desired, &started, progress, id).await?;
    Ok(Ready { desired, image, started, stages, migrated })
}

/// Instance facts, Docker and parameters; the first two at the same time.
async fn resolve(
    agent: &mut Agent,
    config: &Config,
    progress: &Progress,
) -> Result<(Desired, Engine), Fault> {
    let scope = Scope::new(agent.store.folder());
    let patience = agent.policy.docker_patience.min(progress.left());
    let (facts, engine) =
        tokio::join!(Facts::gather(config, &agent.endpoints), Engine::connect(scope, patience));
    tell_instance(&agent.reporter, &facts, config);
    report_to(agent, config, &facts);
    let engine = engine?;
    agent.engine = Some(engine.clone());
    conclude::tell_serving(agent, &engine).await;
    let limit = agent.policy.parameters.min(progress.left());
    let resolved = tokio::time::timeout(limit, resolve::resolve(config, &facts, &agent.redactor)).await;
    let (desired, notes) = resolved.map_err(|_| {
        Fault::new(status::Code::ParametersUnreachable, format!("no values within {} s", limit.as_secs()))
    })??;
    agent.reporter.update(|document| document.notes.extend(notes));
    Ok((desired, engine))
}

fn tell_instance(reporter: &Reporter, facts: &Facts, config: &Config) {
    let deployment = config.deployment_id.as_ref().and_then(|text| facts.expand(text).ok());
    reporter.update(|document| {
        document.run.deployment = deployment;
        if let Ok(Some(instance)) = &facts.instance {
            document.instance = status::Instance {
                id: Some(instance.id.clone()),
                region: Some(instance.region.clone()),
                az: instance.availability_zone.clone(),
                kind: instance.instance_type.clone(),
                private_ip: instance.private_ip.map(|ip| ip.to_string()),
                public_ip: instance.public_ip.map(|ip| ip.to_string()),
            };
        }
    });
}

/// Connects the status to its parameter. Reporting never fails a deployment:
/// what is in the way is noted and the run goes on.
fn report_to(agent: &mut Agent, config: &Config, facts: &Facts) {
    let Some(text) = &config.report_parameter else { return };
    let name = facts.expand(text).map_err(|unknown| unknown.to_string());
    let aws = facts.aws.as_ref().map_err(ToString::to_string);
    match name.and_then(|name| aws.map(|aws| (name, aws))) {
        Ok((name, _)) if agent.parameter.as_ref() == Some(&name) => {}
        Ok((name, aws)) => {
            agent.reporter.attach_parameter(parameter_sender(aws, &name));
            agent.parameter = Some(name);
        }
        Err(words) => {
            tracing::warn!(reason = %agent.redactor.apply(&words), "the status parameter cannot be written");
            agent.reporter.update(|document| document.notes.push(format!("no status parameter: {words}")));
        }
    }
}

/// What writes the status to the parameter with this name.
#[must_use]
pub fn parameter_sender(aws: &Aws, name: &str) -> Parameter {
    let parameters = Arc::new(aws.parameters());
    let name: Arc<str> = name.into();
    Parameter::spawn(move |json: String| {
        let (parameters, name) = (Arc::clone(&parameters), Arc::clone(&name));
        async move {
            let sent = parameters.put(&name, &json).await;
            sent.map_err(|error| SendError { retryable: error.retryable(), message: error.to_string() })
        }
    })
}

async fn reachable(
    agent: &Agent,
    config: &Config,
    desired: &Desired,
    progress: &Progress,
) -> Result<Option<DatabaseReachable>, Stop> {
    let Some(url) = &desired.database else {
        progress.skip(PhaseName::Database, PhaseState::Skipped);
        return Ok(None);
    };
    let told = |state| {
        let database = status::Database { endpoint: url.endpoints_text(), state };
        agent.reporter.update(|document| document.database = Some(database));
    };
    told(DatabaseState::Waiting);
    let policy = agent.policy.database(config);
    let wait = database::wait(url, policy, agent.policy.connect, |attempt| {
        progress.attempt(PhaseName::Database, attempt, u32::MAX);
    });
    let reached = progress.phase(PhaseName::Database, wait).await;
    told(if reached.is_ok() { DatabaseState::Reachable } else { DatabaseState::Unreachable });
    reached.map(Some)
}

/// The jobs in order, then the migration; one that runs is never cut by a reload.
async fn migrate(
    agent: &mut Agent,
    engine: &Engine,
    desired: &Desired,
    image: &ImageReady,
    progress: &Progress,
    id: &str,
    force: bool,
) -> Result<Migrated, Stop> {
    let images = {
        let pulls = Images {
            engine,
            progress,
            policy: &agent.policy,
            store: &agent.store,
            run: id,
            pulls: crate::retry::Policy {
                tries: desired.job_tries,
                first: agent.policy.pull_wait.0,
                max: agent.policy.pull_wait.1,
                total: desired.deadlines.pull,
            },
        };
        let mut images = Vec::new();
        if desired.jobs.is_empty() {
            progress.skip(PhaseName::Jobs, PhaseState::Skipped);
        }
        for job in desired.jobs.iter().chain(&desired.migrate) {
            let phase = if job.name == "migrate" { PhaseName::Migrate } else { PhaseName::Jobs };
            let pulled = async {
                let own = pulls.job(job, desired).await?;
                Ok(own.unwrap_or_else(|| image.clone()))
            };
            images.push(progress.phase(phase, pulled).await?);
        }
        images
    };
    let reporter = agent.reporter.clone();
    let mut jobs =
        Jobs { engine, progress, policy: &agent.policy, store: &mut agent.store, run: id, desired, force };
    let mut kept = true;
    for (job, image) in desired.jobs.iter().zip(&images) {
        let done = progress.phase(PhaseName::Jobs, jobs.run(PhaseName::Jobs, job, image)).await?;
        kept &= done == Done::Before;
    }
    if kept && !desired.jobs.is_empty() {
        progress.skip(PhaseName::Jobs, PhaseState::Kept);
    }
    let (Some(job), Some(image)) = (&desired.migrate, images.last()) else {
        progress.skip(PhaseName::Migrate, PhaseState::Skipped);
        return Ok(Migrated::default());
    };
    let told = |state, moved: &Option<(Option<String>, String)>, attempts| {
        let (from, to) = moved.clone().map_or((None, None), |(from, to)| (from, Some(to)));
        reporter.update(|document| document.migration = Some(Migration { state, from, to, attempts }));
    };
    told(PhaseState::Running, &None, 0);
    match progress.phase(PhaseName::Migrate, jobs.run(PhaseName::Migrate, job, image)).await {
        Ok(Done::Before) => {
            told(PhaseState::Kept, &None, 0);
            progress.skip(PhaseName::Migrate, PhaseState::Kept);
            Ok(Migrated::default())
        }
        Ok(Done::Now { moved, attempts }) => {
            told(PhaseState::Done, &moved, attempts);
            Ok(Migrated { moved })
        }
        Err(stop) => {
            let attempts = if let Stop::Fault(_, fault) = &stop { fault.attempts } else { 0 };
            told(if attempts > 0 { PhaseState::Failed } else { PhaseState::Cut }, &None, attempts);
            Err(stop)
        }
    }
}

async fn start(
    agent: &Agent,
    engine: &Engine,
    desired: &Desired,
    image: &ImageReady,
    progress: &Progress,
    id: &str,
) -> Result<Started, Stop> {
    let swap = agent.swap(engine, id);
    let started = progress.phase(PhaseName::Start, swap.start(desired, image, &agent.store)).await?;
    if started.kept {
        progress.skip(PhaseName::Start, PhaseState::Kept);
    }
    let url = conclude::url(&agent.reporter.snapshot().instance, desired.app.publish);
    agent.reporter.update(|document| {
        document.app = status::App { container: Some(started.name.clone()), restarts: 0, url };
    });
    Ok(started)
}

/// The stages in order, unless the application ends first.
async fn healthy(
    agent: &Agent,
    engine: &Engine,
    desired: &Desired,
    started: &Started,
    progress: &Progress,
    id: &str,
) -> Result<Vec<Stage>, Stop> {
    let swap = agent.swap(engine, id);
    let work = async {
        let prober = Prober::new(desired.app.publish, &agent.policy)?;
        let limit: Duration = desired.deadlines.health.min(progress.left());
        let prove = health::prove(&prober, &desired.health, &agent.policy, limit, |shown| {
            agent.reporter.update(|document| document.health = shown.to_vec());
        });
        let ended = async {
            // One that Docker restarts is not over when it ends.
            if started.kept { std::future::pending().await } else { swap.exit(&started.id).await }
        };
        tokio::select! {
            proved = prove => match proved {
                Ok(stages) => Ok(stages),
                Err(fault) => Err(swap.explained(&started.id, fault).await),
            },
            fault = ended => Err(fault),
        }
    };
    progress.phase(PhaseName::Health, work).await
}

impl Agent {
    fn swap<'a>(&'a self, engine: &'a Engine, run: &'a str) -> Swap<'a> {
        Swap { engine, policy: &self.policy, redactor: &self.redactor, run }
    }
}
