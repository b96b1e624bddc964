//! Watching what serves: probes by the clock, exits by event. The agent never
//! restarts the application, Docker does; it says what happened and whose fault it is.

mod catch_up;
mod container;
mod engine;
mod observed;
mod probes;

use std::collections::VecDeque;
use std::time::{Duration, SystemTime};

use futures_util::StreamExt as _;
use tokio::time::{Instant, sleep_until};

use crate::deploy::app::Availability;
use crate::deploy::{Agent, Timings};
use crate::docker::{Engine, ExitStatus};
use crate::probe::Prober;
use crate::redact::Redactor;
use crate::state::LastGood;
use crate::status::{Cause, Fault, Reporter, ServiceState};

/// The watch over the last good deployment.
pub(super) struct Watch {
    engine: Engine,
    reporter: Reporter,
    availability: Availability,
    redactor: Redactor,
    timings: Timings,
    good: LastGood,
    /// Since when nobody has listened.
    unwatched: SystemTime,
    prober: Prober,
    /// Between two probes: short after a start, growing to the liveness interval.
    wait: Duration,
    /// When the next one is due. Counted from when the one before was due, so that
    /// neither events nor the length of a probe delay all that come after.
    next: Instant,
    /// Liveness probes in a row that did not hold.
    misses: u32,
    /// Its container runs, as far as known.
    running: bool,
    /// How it ended, its last output and when, while it has not been seen up since.
    ended: Option<(ExitStatus, String, Instant)>,
    /// The trouble that was reported last, until it is over.
    trouble: Option<String>,
    /// When it ended without anybody's doing, the newest last.
    exits: VecDeque<Instant>,
    /// Why Docker will not restart it when it ends, if so.
    stays_down: Option<String>,
    /// The kernel killed a process of it since it was started.
    out_of_memory: bool,
    /// What the engine's socket says, while the engine does not answer.
    engine_gone: Option<String>,
    /// Until when an engine that came back may still start it.
    returning: Option<Instant>,
}

impl Watch {
    /// `None` where nothing was ever proven, or Docker has not answered yet.
    pub(super) fn new(agent: &Agent) -> Option<Self> {
        let good = agent.store.state().last_good.clone()?;
        let engine = agent.engine.clone()?;
        let timings = agent.timings;
        let prober = Prober::new(good.watched.publish, timings.probe, &agent.redactor)
            .inspect_err(|fault| tracing::error!(message = %fault.message, "the application is not watched"))
            .ok()?;
        Some(Self {
            engine,
            reporter: agent.reporter.clone(),
            availability: agent.availability.clone(),
            redactor: agent.redactor.clone(),
            timings,
            good,
            unwatched: agent.unwatched,
            prober,
            wait: timings.liveness,
            next: Instant::now() + timings.liveness,
            misses: 0,
            running: true,
            ended: None,
            trouble: None,
            exits: VecDeque::new(),
            stays_down: None,
            out_of_memory: false,
            engine_gone: None,
            returning: None,
        })
    }

    /// Watches for ever; without anything to watch, waits for ever.
    pub(super) async fn run(watch: Option<Self>) {
        let Some(mut watch) = watch else { return std::future::pending().await };
        let mut events = std::pin::pin!(watch.engine.events(watch.unwatched));
        watch.catch_up(&mut events).await;
        loop {
            let probe = async {
                sleep_until(watch.next).await;
                probes::all(&watch.prober, &watch.good.watched, watch.timings.connect).await
            };
            tokio::select! {
                Some(event) = events.next() => watch.handle(event).await,
                trouble = probe => {
                    let due = watch.next;
                    watch.observed(trouble).await;
                    if watch.next == due {
                        watch.next = (due + watch.wait).max(Instant::now());
                    }
                }
            }
        }
    }

    fn probe_soon(&mut self) {
        (self.wait, _) = self.timings.probe_wait;
        self.next = Instant::now() + self.wait;
    }

    /// What a probe saw is news once; what it measured differs each time.
    fn report_once(&self, state: ServiceState, fault: Option<&Fault>) {
        let reported = self.availability.cause().and_then(|cause| cause.code);
        if self.availability.state() != state || reported != fault.map(|fault| fault.code) {
            self.report(state, fault);
        }
    }

    fn report(&self, state: ServiceState, fault: Option<&Fault>) {
        match fault {
            Some(fault) => {
                let message = self.redactor.apply(&fault.message);
                tracing::warn!(service = %state, fault = %fault.code, %message, "the service changed");
            }
            None => tracing::info!(service = %state, "the service changed"),
        }
        self.availability.set(state, fault.map(Cause::from), |_| {});
    }
}
