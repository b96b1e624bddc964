//! The first phase: where the agent runs, the engine, what serves already, and what is wanted.

use super::agent::Agent;
use super::app::report_serving;
use super::plan::{self, Desired, Environment};
use super::run_context::RunContext;
use super::status_parameter;
use crate::config::Loaded;
use crate::docker::{self, Container, Engine, Scope};
use crate::status::{Code, Fault, Serving};

/// What the first phase finds out.
pub(super) struct Resolved {
    pub(super) desired: Desired,
    pub(super) engine: Engine,
    /// What serves already, whatever it is.
    pub(super) running: Option<Container>,
    /// What serves already, if it is this very configuration's.
    pub(super) serving: Option<Serving>,
}

/// Asks for the instance, Docker and the values; the first two at the same time.
///
/// # Errors
/// The engine does not answer, or a value cannot be had.
pub(super) async fn resolve(agent: &mut Agent, loaded: &Loaded, run: &RunContext) -> Result<Resolved, Fault> {
    let config = &loaded.config;
    let scope = Scope::new(agent.store.folder());
    // At the run's deadline only the phase would be named, and not that it was Docker.
    let patience = agent.timings.docker_patience.min(run.left().mul_f32(0.9));
    let socket = docker::socket_from_env();
    let (environment, engine) = tokio::join!(
        Environment::gather(config, &agent.endpoints),
        Engine::connect(&socket, scope, patience)
    );
    environment.report(&agent.reporter, config);
    status_parameter::connect(agent, config, &environment);
    let engine = engine?;
    agent.engine = Some(engine.clone());
    let running = report_serving(&engine, &agent.store, &agent.availability).await;
    let digest = agent.store.digest(&loaded.bytes);
    let good = agent.store.state().last_good.clone().filter(|good| good.config == digest);
    let serving = good.filter(|good| running.as_ref().is_some_and(|running| running.id == good.container));
    let limit = agent.timings.parameters.min(run.left());
    let resolved = plan::from_config(config, &environment, &agent.redactor);
    let (desired, notes) = tokio::time::timeout(limit, resolved).await.map_err(|_| {
        Fault::new(Code::ParametersUnreachable, format!("no values within {} s", limit.as_secs()))
    })??;
    agent.reporter.update(|report| notes.into_iter().for_each(|note| report.note(note)));
    Ok(Resolved { desired, engine, running, serving: serving.map(|good| good.serving) })
}
