//! How a run ends: what is kept, what is told, what serves.

use std::time::SystemTime;

use super::health::{Prober, prove};
use super::phase::{Cut, Progress, Stop};
use super::store::LastGood;
use super::{Agent, Migrated, Ready};
use crate::config::{Health, Loaded, OnFailure, Publish};
use crate::docker::{Container, Engine, Role, State};
use crate::status::{
    self, App, Cause, Class, Code, Fault, FaultReport, Outcome, PhaseName, PhaseState, Reporter, Service,
    ServiceState, Serving,
};

/// The application is healthy: it is settled, remembered and told.
pub(super) async fn ready(
    agent: &mut Agent,
    loaded: &Loaded,
    progress: &Progress,
    id: &str,
    ready: Ready,
) -> Outcome {
    // An end from here on is the watch's to tell; until now it was the health phase's.
    agent.unwatched = SystemTime::now();
    let engine = &ready.engine;
    let settled = agent.swap(engine, id).settle(&ready.started).await;
    if let Err(fault) = settled {
        return stopped(agent, loaded, progress, Stop::Fault(PhaseName::Start, fault), &ready.migrated).await;
    }
    let before = agent.store.state().last_good.clone().filter(|good| good.container == ready.started.id);
    let now = agent.reporter.now();
    let serving = before.map_or_else(
        || Serving {
            image: ready.desired.image.to_string(),
            digest: ready.image.digest.clone(),
            commit: ready.image.commit.clone(),
            run: id.to_owned(),
            since: now,
        },
        |good| good.serving,
    );
    let good = LastGood {
        config: agent.store.digest(&loaded.bytes),
        container: ready.started.id.clone(),
        serving: serving.clone(),
        watched: ready.desired.watched(&ready.stages),
    };
    agent.store.update(|state| state.last_good = Some(good));
    agent.reporter.update(|document| {
        document.serving = Some(serving);
        document.set_service(ServiceState::Up, None, now);
        document.run.outcome = Outcome::Ready;
    });
    Outcome::Ready
}

/// Images of earlier builds go. What serves now and what served before it are
/// in `used` and stay, for the way back.
pub(super) async fn remove_old_builds(engine: &Engine, used: &[Container]) {
    let built = match engine.built_images().await {
        Ok(built) => built,
        Err(error) => return tracing::warn!(%error, "old builds are not removed"),
    };
    for image in built {
        if used.iter().all(|container| container.image_id != image)
            && let Err(error) = engine.remove_image(&image).await
        {
            tracing::warn!(%error, "an old build is not removed");
        }
    }
}

/// The run ended early: the old application serves again if there is one, and
/// the status says both what failed and what serves.
pub(super) async fn stopped(
    agent: &mut Agent,
    loaded: &Loaded,
    progress: &Progress,
    stop: Stop,
    migrated: &Migrated,
) -> Outcome {
    cut_what_runs(agent);
    let restored = restore(agent, loaded).await;
    // What the swap did to the old application is no news.
    agent.unwatched = SystemTime::now();
    let again = match (&restored, &stop) {
        (Ok(Some(old)), Stop::Fault(..)) if old.state != State::Running => {
            serves_again(agent, loaded, progress).await
        }
        _ => Ok(()),
    };
    let now = agent.reporter.now();
    if let Stop::Fault(phase, fault) = &stop
        && let Ok(Some(container)) = &restored
        && keeps_serving(agent, loaded, *phase, container)
    {
        return refreshed_nothing(agent, *phase, fault, container, again);
    }
    let outcome = stop.outcome();
    let (fault, phase) = match stop {
        Stop::Fault(phase, fault) => (Some(fault), Some(phase)),
        Stop::Cut(Cut::Interrupted) => {
            (Some(Fault::new(Code::Interrupted, "the agent was told to stop during the run")), None)
        }
        Stop::Cut(_) => (None, None),
    };
    let superseded_by = match &*progress.cut.borrow() {
        Cut::Superseded(id) if outcome == Outcome::Superseded => Some(id.clone()),
        _ => None,
    };
    let before = agent.reporter.snapshot().service;
    // Where nothing ever served, nothing is down before it was started.
    let down =
        before.state != ServiceState::None || matches!(phase, Some(PhaseName::Start | PhaseName::Health));
    let (state, cause) = match (&restored, &fault) {
        (Ok(Some(old)), _) => service_of(before, old, again),
        (Ok(None), Some(fault)) | (Err(fault), _) if down => (ServiceState::Down, Some(fault.into())),
        _ => (ServiceState::None, None),
    };
    let old = restored.ok().flatten().map(|old| shown(agent, &old));
    let moved = migrated.moved.clone().filter(|_| fault.is_some());
    agent.reporter.update(|document| {
        document.serving = None;
        if let Some((serving, app)) = old {
            (document.serving, document.app) = (serving, app);
        }
        document.set_service(state, cause, now);
        if let Some((from, to)) = moved {
            let from = from.as_deref().unwrap_or("nothing");
            document.notes.push(format!("the database was migrated from {from} to {to} before the failure"));
        }
        let phase = phase.or(document.run.phase);
        document.fault = fault.map(|fault| FaultReport::new(fault, phase));
        document.run.superseded_by = superseded_by;
        document.run.outcome = outcome;
    });
    outcome
}

/// Waits until the old application, started again, is as healthy as it was.
async fn serves_again(agent: &Agent, loaded: &Loaded, progress: &Progress) -> Result<(), Fault> {
    let Some(good) = &agent.store.state().last_good else { return Ok(()) };
    let prober = Prober::new(good.watched.publish, &agent.policy, &agent.redactor)?;
    let stages = Health::Stages(good.watched.stages.clone());
    let limit = loaded.config.deadlines.health;
    tokio::select! {
        proved = prove(&prober, &stages, &agent.policy, limit, |_| {}) => proved.map(|_| ()),
        _ = progress.cut() => Ok(()),
    }
}

/// What is true of the old application: what was seen of it before where the
/// run did not touch it, else whether it serves `again`.
fn service_of(before: Service, old: &Container, again: Result<(), Fault>) -> (ServiceState, Option<Cause>) {
    match again {
        Ok(()) if old.state == State::Running && before.state != ServiceState::None => {
            (before.state, before.cause)
        }
        Ok(()) => (ServiceState::Up, None),
        Err(fault) => (ServiceState::Degraded, Some(Cause::from(&fault))),
    }
}

/// What the status shows of a proven container.
fn shown(agent: &Agent, container: &Container) -> (Option<Serving>, App) {
    let good = agent.store.state().last_good.as_ref().filter(|good| good.container == container.id);
    let instance = agent.reporter.snapshot().instance;
    let app = App {
        container: Some(container.name.clone()),
        restarts: u64::from(container.restarts),
        url: good.and_then(|good| url(&instance, good.watched.publish)),
    };
    (good.map(|good| good.serving.clone()), app)
}

/// Phases that ran beside the one that failed.
fn cut_what_runs(agent: &Agent) {
    for name in PhaseName::ALL {
        if agent.reporter.snapshot().phase(*name).state == PhaseState::Running {
            agent.reporter.end(*name, PhaseState::Cut);
        }
    }
}

async fn restore(agent: &Agent, loaded: &Loaded) -> Result<Option<Container>, Fault> {
    let Some(engine) = &agent.engine else { return Ok(None) };
    let on_failure: OnFailure = loaded.config.app.on_failure;
    agent.swap(engine, "").restore(on_failure).await
}

/// A failure to refresh what already serves, unchanged, is no failure of the service.
fn keeps_serving(agent: &Agent, loaded: &Loaded, phase: PhaseName, container: &Container) -> bool {
    let digest = agent.store.digest(&loaded.bytes);
    let good = agent.store.state().last_good.as_ref();
    matches!(phase, PhaseName::Resolve | PhaseName::Image)
        && good.is_some_and(|good| good.config == digest && good.container == container.id)
}

fn refreshed_nothing(
    agent: &Agent,
    phase: PhaseName,
    fault: &Fault,
    container: &Container,
    again: Result<(), Fault>,
) -> Outcome {
    let now = agent.reporter.now();
    let (state, cause) = service_of(agent.reporter.snapshot().service, container, again);
    let (serving, app) = shown(agent, container);
    let note = format!("not refreshed: {}: {}", fault.code.name(), fault.message);
    tracing::warn!(fault = %fault.code.name(), message = %fault.message, "what serves is kept");
    agent.reporter.update(|document| {
        (document.serving, document.app) = (serving, app);
        document.notes.push(note);
        document.phase(phase).state = PhaseState::Kept;
        for phase in &mut document.phases {
            if phase.state == PhaseState::Pending {
                phase.state = PhaseState::Kept;
            }
        }
        document.set_service(state, cause, now);
        document.run.outcome = Outcome::Ready;
    });
    Outcome::Ready
}

/// Tells what serves already when a run begins, so that no reader takes a
/// redeployment for a first boot.
pub(super) async fn tell_serving(agent: &Agent, engine: &Engine) {
    let Ok(containers) = engine.containers(Role::App).await else { return };
    let running = containers.iter().find(|container| container.proven && container.state == State::Running);
    let running = running.map(|container| shown(agent, container));
    let now = agent.reporter.now();
    agent.reporter.update(|document| {
        document.serving = None;
        if let Some((serving, app)) = running {
            (document.serving, document.app) = (serving, app);
            if document.service.state == ServiceState::None {
                document.set_service(ServiceState::Up, None, now);
            }
        }
    });
}

/// Tells that the old application is about to be stopped: until one is proven nothing serves.
pub(super) fn tell_outage(reporter: &Reporter) {
    let now = reporter.now();
    let message = "the application is being replaced".to_owned();
    let cause = Cause { class: Class::Agent, code: None, message, tail: String::new() };
    reporter.update(|document| {
        document.serving = None;
        document.set_service(ServiceState::Down, Some(cause), now);
    });
}

/// Where users reach the application: the public address, else the private
/// one, else this host; a port published on one address only is reached there.
#[must_use]
pub(super) fn url(instance: &status::Instance, publish: Publish) -> Option<String> {
    let host = if publish.ip.is_unspecified() {
        let known = instance.public_ip.clone().or_else(|| instance.private_ip.clone());
        known.unwrap_or_else(|| "127.0.0.1".to_owned())
    } else {
        publish.ip.to_string()
    };
    let host = if host.contains(':') { format!("[{host}]") } else { host };
    Some(format!("http://{host}:{}", publish.port))
}
