//! The life of the agent around its runs: deploy, watch what serves, deploy
//! again when asked to, or when what failed may have passed. A failed deployment
//! never ends the process.

mod retries;
mod signals;
mod watch;

use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use tokio::sync::watch::Sender;

pub use signals::{Signal, Signals};

use crate::config::{self, Loaded};
use crate::deploy::{self, Agent, Cut, Ended, Order};
use crate::state::Store;
use crate::status::systemd::Systemd;
use crate::status::{Outcome, Reporter, Run, RunId, ServiceState, Timestamp, Topic};
use retries::{Retries, Wait};
use watch::Watch;

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
    loaded: Loaded,
    run: RunId,
    options: &Options,
    signals: &mut Signals,
    systemd: &Systemd,
) -> Outcome {
    let mut steering = Steering { reporter: agent.reporter.clone(), options, signals, systemd };
    let mut wanted = Wanted { loaded, id: run };
    let mut order = match options {
        Options { migrate: true, .. } => Order::Migrate,
        Options { once: true, .. } => Order::Once,
        _ => Order::None,
    };
    let mut retries = Retries::default();
    loop {
        let (Ended { outcome, again }, mut next) = steering.deploy(agent, &wanted, order).await;
        steering.reporter.log_verdict();
        if matches!(next, Next::Watch) {
            if options.once {
                return outcome;
            }
            next = steering.watch(agent, &retries.wait(again, &agent.timings)).await;
            agent.unwatched = SystemTime::now();
        }
        match next {
            Next::Deploy(newer) => (wanted, order, retries) = (*newer, Order::Reload, Retries::default()),
            // It inherits that somebody asked, and no fresh tries.
            Next::Again => {
                wanted.id = next_run_id(&agent.store);
                order = if order == Order::None { Order::None } else { Order::Once };
            }
            Next::Watch | Next::Stop => {
                // The application, where there is one, goes on; from here on nobody looks.
                agent.availability.set(ServiceState::Unwatched, None, |report| report.next_try(None));
                return outcome;
            }
        }
        let (now, deadline) = (steering.reporter.now(), wanted.loaded.config.deadline);
        steering.reporter.begin_run(new_run(&mut agent.store, now, deadline, wanted.id.clone()));
    }
}

/// A configuration that is to be deployed, and the id of the run that does it.
struct Wanted {
    loaded: Loaded,
    id: RunId,
}

/// What comes after a run, or after watching.
enum Next {
    Watch,
    Deploy(Box<Wanted>),
    /// The same once more, which nobody has asked for.
    Again,
    Stop,
}

/// What decides on the next step: signals, and the configuration at a reload.
struct Steering<'a> {
    reporter: Reporter,
    options: &'a Options,
    signals: &'a mut Signals,
    systemd: &'a Systemd,
}

impl Steering<'_> {
    /// One run, during which reloads or a stop may come. What has served until
    /// now is watched until the run takes it down.
    async fn deploy(&mut self, agent: &mut Agent, wanted: &Wanted, order: Order) -> (Ended, Next) {
        let (cutter, cut) = tokio::sync::watch::channel(Cut::No);
        let next_id = next_run_id(&agent.store);
        let mut watch = std::pin::pin!(Watch::run(Watch::new(agent)));
        let mut run = std::pin::pin!(deploy::run(agent, &wanted.loaded, wanted.id.clone(), order, cut));
        let mut next = Next::Watch;
        loop {
            tokio::select! {
                ended = &mut run => return (ended, next),
                () = &mut watch => {}
                signal = self.signals.next() => match self.handle(signal, &next_id) {
                    // A stop is never overruled.
                    _ if matches!(next, Next::Stop) => {}
                    Next::Watch => {}
                    newer => {
                        cut_short(&cutter, &newer);
                        next = newer;
                    }
                },
            }
        }
    }

    /// Watches what serves until something is asked for, or the wait for another run is over.
    async fn watch(&mut self, agent: &Agent, wait: &Wait) -> Next {
        wait.report(&self.reporter);
        let mut wait = std::pin::pin!(wait.over(&agent.timings));
        let next_id = next_run_id(&agent.store);
        let mut watch = std::pin::pin!(Watch::run(Watch::new(agent)));
        loop {
            tokio::select! {
                () = &mut watch => {}
                () = &mut wait => return Next::Again,
                signal = self.signals.next() => match self.handle(signal, &next_id) {
                    Next::Watch => {}
                    next => return next,
                },
            }
        }
    }

    /// What a signal asks for. A reload reads the configuration; a bad one
    /// changes nothing and is noted.
    fn handle(&self, signal: Signal, next_id: &RunId) -> Next {
        if signal == Signal::Stop {
            self.systemd.stopping();
            return Next::Stop;
        }
        self.systemd.reloading();
        let loaded = config::load(&self.options.config);
        self.systemd.ready();
        match loaded {
            Ok(loaded) => {
                tracing::info!(run = %next_id, "the configuration was read again");
                Next::Deploy(Box::new(Wanted { loaded, id: next_id.clone() }))
            }
            Err(error) => {
                tracing::error!(%error, "the reload is refused; what runs is kept");
                let words = error.to_string();
                let first = words.lines().next().unwrap_or_default();
                self.reporter.update(|report| report.note_on(Topic::Reload, first));
                Next::Watch
            }
        }
    }
}

/// Ends the run in progress for what comes next.
fn cut_short(cutter: &Sender<Cut>, next: &Next) {
    cutter.send_replace(match next {
        Next::Watch | Next::Again => Cut::No,
        Next::Deploy(newer) => Cut::Superseded(newer.id.clone()),
        Next::Stop => Cut::Interrupted,
    });
}

/// The id that the next run will have, by the count in the state folder.
#[must_use]
pub fn next_run_id(store: &Store) -> RunId {
    RunId::random(store.state().sequence.saturating_add(1))
}

/// A run as it begins, counted in the state folder.
pub fn new_run(store: &mut Store, started: Timestamp, deadline: Duration, id: RunId) -> Run {
    store.update(|state| state.sequence = state.sequence.saturating_add(1));
    Run::begun(id, store.state().sequence, started, Some(started.plus(deadline)))
}
