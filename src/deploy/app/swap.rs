//! The swap: one port cannot be held twice, so the old application is stopped
//! before its successor starts, and kept until that is proven healthy.

use secrecy::ExposeSecret as _;

use super::super::image::{ImageReady, remove_old_builds};
use super::super::oneshot::Migrated;
use super::super::plan::Desired;
use super::super::run_context::{RunContext, Stop};
use super::super::timings::Timings;
use super::availability::Availability;
use crate::config::Publish;
use crate::docker::{self, ContainerRequest, Engine, Role, State};
use crate::state::Store;
use crate::status::{Code, Container, Fault, PhaseName, PhaseState};

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
    _migrated: &Migrated,
) -> Result<Started, Stop> {
    let swap = Swap { run, engine, desired, availability };
    let spec = desired.app_spec(image.id(), store);
    let started = run.phase(PhaseName::Start, swap.start(image, spec)).await?;
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
    availability: &'a Availability,
}

impl Swap<'_> {
    /// Brings the desired container up: the one that runs if it is the same,
    /// else a new one in the place of the old, which is stopped and kept.
    async fn start(&self, image: &ImageReady, spec: String) -> Result<Started, Fault> {
        self.availability.begin_replacing();
        let (engine, publish) = (self.engine, self.desired.config.app.publish);
        let found = engine.containers(Role::App).await?;
        let same = |container: &&docker::Container| container.spec == spec;
        let running = |container: &docker::Container| container.state == State::Running;
        let started = |found: &docker::Container, kept| Started {
            id: found.id.clone(),
            name: found.name.clone(),
            kept,
        };
        if let Some(kept) = found.iter().filter(|container| container.proven).find(same) {
            if !running(kept) {
                self.stop_all(found.iter().filter(|other| other.id != kept.id)).await?;
                engine.start(&kept.id).await?;
            }
            return Ok(started(kept, running(kept)));
        }
        // A crash between start and proof leaves the successor running: go on with it.
        let adopted = found.iter().find(|container| same(container) && running(container));
        for stale in found.iter().filter(|container| !container.proven) {
            if adopted.is_none_or(|adopted| adopted.id != stale.id) {
                engine.remove(&stale.id).await?;
            }
        }
        if let Some(adopted) = adopted {
            return Ok(started(adopted, false));
        }
        port_is_free(engine, publish, &found).await?;
        let request = self.request(image, spec);
        let name = request.name.clone();
        let id = engine.create(request).await?;
        if found.iter().any(|container| container.proven && running(container)) {
            self.availability.begin_outage();
        }
        self.stop_all(found.iter().filter(|container| container.proven)).await?;
        match engine.start(&id).await {
            Ok(()) => Ok(Started { id, name, kept: false }),
            Err(docker::Error::PortInUse { .. }) => {
                Err(port_held(publish, engine.holder_of_port(publish.port).await.ok().flatten()))
            }
            Err(other) => Err(other.into()),
        }
    }

    async fn stop_all(&self, containers: impl Iterator<Item = &docker::Container>) -> Result<(), Fault> {
        stop_all(self.engine, &self.run.timings, containers).await
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

/// Stops those that run, each with the grace that it is due.
///
/// # Errors
/// Whatever the engine says.
pub async fn stop_all(
    engine: &Engine,
    timings: &Timings,
    containers: impl Iterator<Item = &docker::Container>,
) -> Result<(), Fault> {
    for container in containers.filter(|container| container.state == State::Running) {
        let grace = if container.proven { timings.grace } else { timings.unproven_grace };
        engine.stop(&container.id, grace).await?;
    }
    Ok(())
}

/// Settles the proven application: Docker restarts it from now on, and what came before goes.
///
/// # Errors
/// Whatever the engine says.
pub async fn settle(engine: &Engine, started: &Started) -> Result<(), Fault> {
    if !started.kept {
        engine.set_restart(&started.id).await?;
    }
    let all = engine.containers(Role::App).await?;
    // Before the old one goes: it shows which build served before, to whoever goes on after a crash too.
    if !started.kept || all.len() > 1 {
        remove_old_builds(engine, &all).await;
    }
    for other in all.iter().filter(|other| other.id != started.id) {
        engine.remove(&other.id).await?;
    }
    Ok(())
}

/// A port that none of ours holds must be free before the old application is stopped.
async fn port_is_free(engine: &Engine, publish: Publish, ours: &[docker::Container]) -> Result<(), Fault> {
    match std::net::TcpListener::bind((publish.ip, publish.port)) {
        Err(error) if error.kind() == std::io::ErrorKind::AddrInUse => {
            let holder = engine.holder_of_port(publish.port).await?;
            if ours.iter().any(|container| Some(&container.name) == holder.as_ref()) {
                return Ok(());
            }
            Err(port_held(publish, holder))
        }
        // Whatever else is wrong with the address Docker says better.
        _ => Ok(()),
    }
}

fn port_held(publish: Publish, container: Option<String>) -> Fault {
    let holder = container
        .map_or_else(|| "a process outside Docker".to_owned(), |name| format!("the container {name}"));
    Fault::new(Code::PortInUse, format!("port {} is held by {holder}", publish.port))
}
