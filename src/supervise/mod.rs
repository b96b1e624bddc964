//! The life of the agent around its runs: deploy, watch what serves, deploy
//! again when asked to. A failed deployment never ends the process.

mod signals;
mod watch;

use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::sync::watch::Sender;

pub use signals::{Signal, Signals};

use crate::config::{self, Loaded};
use crate::deploy::store::Store;
use crate::deploy::{self, Agent, Cut};
use crate::status::systemd::Systemd;
use crate::status::{Outcome, Reporter, Run, ServiceState, Timestamp};

/// What to do besides deploying the configuration.
#[derive(Debug, Clone)]
pub struct Options {
    /// The configuration file, read again at each reload.
    pub config: PathBuf,
    /// End after the first run.
    pub once: bool,
    /// Run jobs and the migration of the first run although they are recorded as done.
    pub migrate: bool,
}

/// Deploys and watches until told to stop, or for one run. The run with the
/// id `run` has been begun in the reporter. Returns the last run's outcome.
pub async fn drive(
    agent: &mut Agent,
    mut loaded: Loaded,
    run: String,
    options: &Options,
    signals: &mut Signals,
    systemd: &Systemd,
) -> Outcome {
    let mut id = run;
    let mut force = options.migrate;
    loop {
        let (outcome, next) = deploy_once(agent, &loaded, &id, force, options, signals, systemd).await;
        force = false;
        tracing::info!(run = %id, outcome = %outcome, "{}", agent.reporter.snapshot().verdict);
        let next = match next {
            After::Stop => return outcome,
            After::Deploy(next, next_id) => Some((next, next_id)),
            After::Watch if options.once => return outcome,
            After::Watch => match watch_until_reload(agent, options, signals, systemd).await {
                Some(next) => Some((next, new_run_id(&mut agent.store))),
                None => return outcome,
            },
        };
        if let Some((next, next_id)) = next {
            id = next_id;
            loaded = next;
            agent.reporter.begin_run(new_run(
                &agent.store,
                agent.reporter.now(),
                loaded.config.deadline,
                &id,
            ));
        }
    }
}

enum After {
    Watch,
    Deploy(Loaded, String),
    Stop,
}

/// One run, during which a reload or a stop may come.
async fn deploy_once(
    agent: &mut Agent,
    loaded: &Loaded,
    id: &str,
    force: bool,
    options: &Options,
    signals: &mut Signals,
    systemd: &Systemd,
) -> (Outcome, After) {
    let (cutter, cut) = tokio::sync::watch::channel(Cut::No);
    let reporter = agent.reporter.clone();
    let next_id = peek_run_id(&agent.store);
    let mut after = After::Watch;
    let outcome = {
        let mut run = std::pin::pin!(deploy::run(agent, loaded, id, force, cut));
        loop {
            tokio::select! {
                outcome = &mut run => break outcome,
                signal = signals.next() => match signal {
                    Signal::Reload => if let Some(next) = reload(&reporter, &options.config, systemd) {
                        supersede(&cutter, &next_id);
                        after = After::Deploy(next, next_id.clone());
                    },
                    Signal::Stop => {
                        systemd.stopping();
                        cutter.send_replace(Cut::Interrupted);
                        after = After::Stop;
                    }
                },
            }
        }
    };
    if matches!(after, After::Deploy(..)) {
        agent.store.update(|state| state.sequence += 1);
    }
    (outcome, after)
}

/// The newest desired state wins; a stop is never overruled.
fn supersede(cutter: &Sender<Cut>, next_id: &str) {
    cutter.send_if_modified(|cut| match cut {
        Cut::No => {
            *cut = Cut::Superseded(next_id.to_owned());
            true
        }
        Cut::Superseded(_) | Cut::Interrupted => false,
    });
}

async fn watch_until_reload(
    agent: &mut Agent,
    options: &Options,
    signals: &mut Signals,
    systemd: &Systemd,
) -> Option<Loaded> {
    let reporter = agent.reporter.clone();
    let mut watch = std::pin::pin!(watch::watch(agent));
    loop {
        tokio::select! {
            () = &mut watch => {}
            signal = signals.next() => match signal {
                Signal::Reload => if let Some(next) = reload(&reporter, &options.config, systemd) {
                    return Some(next);
                },
                Signal::Stop => {
                    systemd.stopping();
                    let now = reporter.now();
                    reporter.update(|document| if document.service.state != ServiceState::None {
                        document.set_service(ServiceState::Unwatched, None, now);
                    });
                    return None;
                }
            },
        }
    }
}

/// Reads the configuration again; a bad one changes nothing and is told.
fn reload(reporter: &Reporter, path: &Path, systemd: &Systemd) -> Option<Loaded> {
    systemd.reloading();
    let loaded = config::load(path);
    systemd.ready();
    match loaded {
        Ok(loaded) => Some(loaded),
        Err(error) => {
            tracing::error!(%error, "the reload is refused; what runs is kept");
            let first = error.to_string().lines().next().unwrap_or_default().to_owned();
            reporter.update(|document| {
                document.notes.retain(|note| !note.starts_with("reload refused"));
                document.notes.push(format!("reload refused: {first}"));
            });
            None
        }
    }
}

/// The next run's id, counted in the state folder.
pub fn new_run_id(store: &mut Store) -> String {
    let id = peek_run_id(store);
    store.update(|state| state.sequence += 1);
    id
}

fn peek_run_id(store: &Store) -> String {
    format!("{}-{:06x}", store.state().sequence + 1, fastrand::u32(..0x100_0000))
}

/// A run as it begins.
#[must_use]
pub fn new_run(store: &Store, started: Timestamp, deadline: Duration, id: &str) -> Run {
    Run {
        id: id.to_owned(),
        sequence: store.state().sequence,
        deployment: None,
        outcome: Outcome::InProgress,
        phase: None,
        started,
        finished: None,
        deadline: Some(started.plus(u32::try_from(deadline.as_secs()).unwrap_or(u32::MAX))),
        superseded_by: None,
    }
}
