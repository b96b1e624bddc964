//! The swap: one port cannot be held twice, so the old application is stopped
//! before its successor starts, and kept until that is proven healthy.

use std::time::Duration;

use secrecy::ExposeSecret as _;

use super::super::image::{ImageReady, remove_old_builds};
use super::super::oneshot::Migrated;
use super::super::plan::Desired;
use super::super::run_context::{RunContext, Stop};
use super::availability::Availability;
use super::found::Applications;
use super::port;
use crate::docker::{self, ContainerRequest, Engine, Role, State};
use crate::state::Store;
use crate::status::{Container, Fault, PhaseName, PhaseState};

/// The proof that the application's container runs.
#[derive(Debug, Clone)]
pub struct Started {
    id: String,
    name: String,
    kept: bool,
}

impl Started {
    /// Its id.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Whether it ran before this run and was left alone.
    #[must_use]
    pub fn is_kept(&self) -> bool {
        self.kept
    }
}

/// Brings the application up and reports where it is; the database is migrated for it.
///
/// # Errors
/// What kept it from starting; the old one is still stopped then.
pub async fn start(
    run: &RunContext,
    engine: &Engine,
    desired: &Desired,
    (store, availability): (&Store, &Availability),
    image: &ImageReady,
    spec: &str,
    _migrated: &Migrated,
) -> Result<Started, Stop> {
    let swap = Swap { run, engine, desired, store, availability };
    let started = run.phase(PhaseName::Start, swap.start(image, spec.to_owned())).await?;
    if started.kept {
        run.skip(PhaseName::Start, PhaseState::Kept);
    }
    let (name, publish) = (Some(started.name.clone()), Some(desired.config.app.publish));
    run.reporter.update(|report| report.container(Container { name, restarts: 0, publish }));
    Ok(started)
}

struct Swap<'a> {
    run: &'a RunContext,
    engine: &'a Engine,
    desired: &'a Desired,
    store: &'a Store,
    availability: &'a Availability,
}

impl Swap<'_> {
    /// Brings the desired container up: the one that runs if it is the same,
    /// else a new one in the place of the old, which is stopped and kept.
    async fn start(&self, image: &ImageReady, spec: String) -> Result<Started, Fault> {
        self.availability.begin_replacing();
        let (engine, publish) = (self.engine, self.desired.config.app.publish);
        let found = Applications::find(engine, self.store).await?;
        let same = |container: &&docker::Container| container.spec == spec;
        let running = |container: &docker::Container| container.state == State::Running;
        let started = |found: &docker::Container, kept| Started {
            id: found.id.clone(),
            name: found.name.clone(),
            kept,
        };
        if let Some(kept) = found.proven.as_ref().filter(same) {
            if !running(kept) {
                for other in &found.unproven {
                    stop(engine, other, self.run.timings.unproven_grace).await?;
                }
                engine.start(&kept.id).await?;
            }
            return Ok(started(kept, running(kept)));
        }
        // A crash between start and proof leaves the successor running: go on with it.
        let adopted = found.unproven.iter().find(|container| same(container) && running(container));
        // What was proven once stays until another one is, though it is not the last good one.
        for stale in found.unproven.iter().filter(|container| !container.restarts_itself) {
            if adopted.is_none_or(|adopted| adopted.id != stale.id) {
                match engine.remove(&stale.id).await {
                    // It is in nobody's way, and goes with the next run.
                    Err(error) if !running(stale) => {
                        tracing::warn!(%error, container = %stale.name, "a stale container was not removed");
                    }
                    removed => removed?,
                }
            }
        }
        if let Some(adopted) = adopted {
            return Ok(started(adopted, false));
        }
        port::is_free(engine, publish, &found).await?;
        let request = self.request(image, spec);
        let name = request.name.clone();
        let id = engine.create(request).await?;
        if let Some(old) = found.serving() {
            self.availability.begin_outage();
            stop(engine, old, self.run.timings.grace).await?;
        }
        for older in found.unproven.iter().filter(|container| container.restarts_itself) {
            stop(engine, older, self.run.timings.grace).await?;
        }
        match engine.start(&id).await {
            Ok(()) => Ok(Started { id, name, kept: false }),
            Err(docker::Error::PortInUse { .. }) => Err(port::held(engine, publish).await),
            Err(other) => Err(other.into()),
        }
    }

    fn request(&self, image: &ImageReady, spec: String) -> ContainerRequest {
        let (desired, app, run) = (self.desired, &self.desired.config.app, &self.run.id);
        let env = desired.env.iter().map(|(name, value)| (name.clone(), value.expose_secret().to_owned()));
        ContainerRequest {
            name: format!("{}-app-{run}", self.engine.scope().name()),
            role: Role::App,
            run: run.to_string(),
            spec,
            image: image.reference().to_owned(),
            entrypoint: app.entrypoint.clone(),
            command: app.command.clone(),
            env: env.collect(),
            secret_names: desired.secret_names.clone(),
            files: Vec::new(),
            publish: Some((app.publish, app.port)),
            memory: app.memory,
        }
    }
}

/// Stops a container if it runs.
///
/// # Errors
/// Whatever the engine says.
pub async fn stop(engine: &Engine, container: &docker::Container, grace: Duration) -> Result<(), Fault> {
    if container.state == State::Running {
        engine.stop(&container.id, grace).await?;
    }
    Ok(())
}

/// Settles the proven application: Docker restarts it from now on, and what came before goes.
/// Returns what could not be done, which the next run does: the application serves all the same.
pub async fn settle(engine: &Engine, store: &Store, started: &Started) -> Vec<String> {
    let mut undone = Vec::new();
    let found = match Applications::find(engine, store).await {
        Ok(found) => found,
        Err(fault) => return vec![format!("what came before was not tidied up: {}", fault.message)],
    };
    if found.proven.as_ref().is_some_and(|proven| !proven.restarts_itself)
        && let Err(error) = engine.set_restart(&started.id).await
    {
        undone.push(format!("Docker will not restart the application by itself: {error}"));
    }
    // Before the old one goes: it shows which build served before, to whoever goes on after a crash too.
    if !started.kept || !found.unproven.is_empty() {
        remove_old_builds(engine, found.all()).await;
    }
    for other in found.all().filter(|other| other.id != started.id) {
        if let Err(error) = engine.remove(&other.id).await {
            undone.push(format!("{} was not removed: {error}", other.name));
        }
    }
    undone
}
