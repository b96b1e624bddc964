//! The swap: one port cannot be held twice, so the old application is stopped
//! before its successor starts, and kept until that is proven healthy.

use secrecy::ExposeSecret as _;

use super::desired::{App, Desired};
use super::phase::Stop;
use super::policy::Policy;
use super::pull::ImageReady;
use super::store::Store;
use super::{Context, conclude, log, words};
use crate::config::OnFailure;
use crate::docker::{self, Container, ContainerRequest, Engine, ExitStatus, Role, State};
use crate::redact::Redactor;
use crate::status::{self, Class, Code, Fault, PhaseName, PhaseState};

/// Exit code of what SIGKILL has ended: 128 and the signal's number.
pub(super) const SIGKILLED: i64 = 137;

/// The application's container, running.
#[derive(Debug, Clone)]
pub struct Started {
    /// Its id.
    pub id: String,
    /// Its name.
    pub name: String,
    /// It ran before this run and was left alone.
    pub kept: bool,
}

/// What swapping containers needs.
#[derive(Debug)]
pub struct Swap<'a> {
    /// The engine.
    pub engine: &'a Engine,
    /// Times.
    pub policy: &'a Policy,
    /// What masks the application's output.
    pub redactor: &'a Redactor,
    /// The run's id.
    pub run: &'a str,
}

impl Context<'_> {
    /// Brings the application up and tells where it is.
    ///
    /// # Errors
    /// See [`Swap::start`].
    pub(super) async fn start(&self, image: &ImageReady) -> Result<Started, Stop> {
        let swap = self.swap();
        let work = swap
            .start(&self.desired, image, &self.agent.store, || conclude::tell_outage(&self.agent.reporter));
        let started = self.progress.phase(PhaseName::Start, work).await?;
        if started.kept {
            self.progress.skip(PhaseName::Start, PhaseState::Kept);
        }
        let url = conclude::url(&self.agent.reporter.snapshot().instance, self.desired.app.publish);
        self.agent.reporter.update(|document| {
            document.app = status::App { container: Some(started.name.clone()), restarts: 0, url };
        });
        Ok(started)
    }
}

impl Swap<'_> {
    /// Brings the desired container up: the one that runs if it is the same,
    /// else a new one in the place of the old, which is stopped and kept;
    /// `on_outage` is called before that.
    ///
    /// # Errors
    /// What kept it from starting; the old one is still stopped then, see [`Swap::restore`].
    pub async fn start(
        &self,
        desired: &Desired,
        image: &ImageReady,
        store: &Store,
        on_outage: impl FnOnce(),
    ) -> Result<Started, Fault> {
        let spec = desired.app_spec(&image.id, store);
        let found = self.engine.containers(Role::App).await?;
        let same = |container: &&Container| container.spec == spec;
        if let Some(kept) = found.iter().filter(|container| container.proven).find(same) {
            if kept.state != State::Running {
                self.stop_all(found.iter().filter(|other| other.id != kept.id)).await?;
                self.engine.start(&kept.id).await?;
            }
            return Ok(Started {
                id: kept.id.clone(),
                name: kept.name.clone(),
                kept: kept.state == State::Running,
            });
        }
        // A crash between start and proof leaves the successor running: go on with it.
        let adopted = found.iter().find(|container| same(container) && container.state == State::Running);
        for stale in found.iter().filter(|container| !container.proven) {
            if adopted.is_none_or(|adopted| adopted.id != stale.id) {
                self.engine.remove(&stale.id).await?;
            }
        }
        if let Some(adopted) = adopted {
            return Ok(Started { id: adopted.id.clone(), name: adopted.name.clone(), kept: false });
        }
        self.port_is_free(&desired.app, &found).await?;
        let request = self.request(&desired.app, image, spec);
        let name = request.name.clone();
        let id = self.engine.create(request).await?;
        if found.iter().any(|container| container.proven && container.state == State::Running) {
            on_outage();
        }
        self.stop_all(found.iter().filter(|container| container.proven)).await?;
        match self.engine.start(&id).await {
            Ok(()) => Ok(Started { id, name, kept: false }),
            Err(error) => Err(self.not_started(error, &desired.app).await),
        }
    }

    /// The proven application: Docker restarts it from now on, and what came before goes.
    ///
    /// # Errors
    /// Whatever the engine says.
    pub async fn settle(&self, started: &Started) -> Result<(), Fault> {
        if !started.kept {
            self.engine.set_restart(&started.id).await?;
        }
        let all = self.engine.containers(Role::App).await?;
        // Before the old one goes: it tells which build served before, to whoever goes on after a crash too.
        if !started.kept || all.len() > 1 {
            conclude::remove_old_builds(self.engine, &all).await;
        }
        for other in all.iter().filter(|other| other.id != started.id) {
            self.engine.remove(&other.id).await?;
        }
        Ok(())
    }

    /// The way back: what was not proven is stopped and kept for its logs, the
    /// old application started again. Returns what serves now, in the state it was found in.
    ///
    /// # Errors
    /// Whatever the engine says.
    pub async fn restore(&self, on_failure: OnFailure) -> Result<Option<Container>, Fault> {
        let found = self.engine.containers(Role::App).await?;
        let (mut proven, unproven): (Vec<_>, Vec<_>) = found.into_iter().partition(|found| found.proven);
        self.stop_all(unproven.iter()).await?;
        // Never started, so without logs: the swap was cut in its midst. What was asked of the
        // engine then goes on there: the removal waits for a start, the second stop for the first.
        let created: Vec<_> = unproven.iter().filter(|found| found.state == State::Created).collect();
        for half_done in &created {
            self.engine.remove(&half_done.id).await?;
        }
        if !created.is_empty() {
            self.stop_all(proven.iter()).await?;
            proven.iter_mut().for_each(|old| old.state = State::Exited);
        }
        let Some(old) = proven.into_iter().next() else { return Ok(None) };
        match (old.state, on_failure) {
            (State::Running, _) => Ok(Some(old)),
            (_, OnFailure::Leave) => Ok(None),
            (_, OnFailure::Restore) => {
                self.engine.start(&old.id).await?;
                Ok(Some(old))
            }
        }
    }

    /// Waits until a container ends by itself, and tells how.
    pub async fn exit(&self, id: &str) -> Fault {
        match self.engine.wait(id).await {
            Ok(exit) => {
                let tail = self.tail(id).await;
                exit_fault(exit, &tail, "")
            }
            Err(error) => error.into(),
        }
    }

    /// The fault with the application's last output, and with the cause that
    /// the output names where it names one.
    pub async fn explained(&self, id: &str, fault: Fault) -> Fault {
        let tail = self.tail(id).await;
        let code = cause_in(&tail).unwrap_or(fault.code);
        Fault { code, ..fault }.with_tail(tail)
    }

    /// The application's last output, clean and redacted.
    pub async fn tail(&self, id: &str) -> String {
        log::tail(self.engine, id, self.redactor).await.text()
    }

    async fn stop_all(&self, containers: impl Iterator<Item = &Container>) -> Result<(), Fault> {
        for container in containers.filter(|container| container.state == State::Running) {
            let grace = if container.proven { self.policy.grace } else { self.policy.unproven_grace };
            self.engine.stop(&container.id, grace).await?;
        }
        Ok(())
    }

    /// A port that none of ours holds must be free before the old application is stopped.
    async fn port_is_free(&self, app: &App, ours: &[Container]) -> Result<(), Fault> {
        match std::net::TcpListener::bind((app.publish.ip, app.publish.port)) {
            Err(error) if error.kind() == std::io::ErrorKind::AddrInUse => {
                let holder = self.engine.holder_of_port(app.publish.port).await?;
                if ours.iter().any(|container| Some(&container.name) == holder.as_ref()) {
                    return Ok(());
                }
                Err(port_held(app, holder))
            }
            // Whatever else is wrong with the address Docker says better.
            _ => Ok(()),
        }
    }

    async fn not_started(&self, error: docker::Error, app: &App) -> Fault {
        match error {
            docker::Error::PortInUse { .. } => {
                port_held(app, self.engine.holder_of_port(app.publish.port).await.ok().flatten())
            }
            other => other.into(),
        }
    }

    fn request(&self, app: &App, image: &ImageReady, spec: String) -> ContainerRequest {
        let env = app.env.iter().map(|(name, value)| (name.clone(), value.expose_secret().to_owned()));
        ContainerRequest {
            name: format!("{}-app-{}", self.engine.scope().name(), self.run),
            role: Role::App,
            run: self.run.to_owned(),
            spec,
            image: image.reference.clone(),
            entrypoint: app.entrypoint.clone(),
            command: app.command.clone(),
            env: env.collect(),
            secret_names: app.secret_names.clone(),
            files: Vec::new(),
            publish: Some((app.publish, app.port)),
            memory: app.memory,
        }
    }
}

fn port_held(app: &App, container: Option<String>) -> Fault {
    let holder = container
        .map_or_else(|| "a process outside Docker".to_owned(), |name| format!("the container {name}"));
    Fault::new(Code::PortInUse, format!("port {} is held by {holder}", app.publish.port))
}

/// The fault of an application that ended; `then` is what came of it.
#[must_use]
pub fn exit_fault(exit: ExitStatus, tail: &str, then: &str) -> Fault {
    let code =
        if exit.out_of_memory { Code::AppOomKilled } else { cause_in(tail).unwrap_or(Code::AppExited) };
    // Nobody has a last word on a signal that kills at once.
    let last = if exit.code == SIGKILLED { String::new() } else { format!(": {}", words::telling(tail)) };
    let memory = if exit.out_of_memory { ", out of memory" } else { "" };
    let message = format!("the application ended with exit code {}{memory}{then}{last}", exit.code);
    Fault::new(code, message).with_tail(tail)
}

/// A cause outside the application that its output names: the database, or a missing table.
fn cause_in(tail: &str) -> Option<Code> {
    words::meaning(tail).filter(|code| code.class() == Class::Database || *code == Code::RelationMissing)
}
