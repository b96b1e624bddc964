//! Watching what serves: probes by the clock, exits by event. The agent never
//! restarts the application, Docker does; it says what happened and whose fault it is.

mod catch_up;
mod engine;

use std::collections::VecDeque;
use std::time::{Duration, SystemTime};

use futures_util::StreamExt as _;
use tokio::time::{Instant, sleep_until};

use crate::deploy::health::Prober;
use crate::deploy::log::tail;
use crate::deploy::start::exit_fault;
use crate::deploy::store::{LastGood, Watched};
use crate::deploy::{Agent, Policy, database};
use crate::docker::{Engine, Event, ExitStatus, State};
use crate::redact::Redactor;
use crate::status::{Cause, Class, Code, Fault, Outcome, PhaseName, PhaseState, Reporter, ServiceState};

/// This many exits within [`LOOP_WINDOW`] are a crash loop.
const LOOP_EXITS: usize = 3;

/// Docker doubles its wait with each restart, from 0.1 s to a minute.
const LOOP_WINDOW: Duration = Duration::from_secs(120);

/// The watch over the last good deployment.
pub(super) struct Watch {
    engine: Engine,
    reporter: Reporter,
    redactor: Redactor,
    policy: Policy,
    good: LastGood,
    /// Since when nobody has listened.
    unwatched: SystemTime,
    prober: Prober,
    /// Between two probes: short after a start, growing to the liveness interval.
    wait: Duration,
    /// When the next one is due. Of times that follow each other, so that neither
    /// events nor the length of a probe delay all that come after.
    next: Instant,
    /// Liveness probes in a row that did not hold.
    misses: u32,
    /// Its container runs, as far as known.
    running: bool,
    /// How it ended, its last output and when, while it has not been seen up since.
    ended: Option<(ExitStatus, String, Instant)>,
    /// What was told of that.
    before: Option<String>,
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
        let prober = Prober::new(good.watched.publish, &agent.policy, &agent.redactor)
            .inspect_err(|fault| tracing::error!(message = %fault.message, "the application is not watched"))
            .ok()?;
        Some(Self {
            engine,
            reporter: agent.reporter.clone(),
            redactor: agent.redactor.clone(),
            policy: agent.policy,
            good,
            unwatched: agent.unwatched,
            prober,
            wait: agent.policy.liveness,
            next: Instant::now() + agent.policy.liveness,
            misses: 0,
            running: true,
            ended: None,
            before: None,
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
            let look = async {
                sleep_until(watch.next).await;
                look(&watch.prober, &watch.good.watched, watch.policy.connect).await
            };
            tokio::select! {
                Some(event) = events.next() => watch.happened(event).await,
                seen = look => {
                    let due = watch.next;
                    watch.seen(seen).await;
                    if watch.next == due {
                        watch.next = (due + watch.wait).max(Instant::now());
                    }
                }
            }
        }
    }

    /// A run is about to replace the container: its end is our own doing.
    fn being_replaced(&self) -> bool {
        let mut document = self.reporter.snapshot();
        document.run.outcome == Outcome::InProgress
            && document.phase(PhaseName::Start).state != PhaseState::Pending
    }

    async fn happened(&mut self, event: Event) {
        if event.container().is_some_and(|id| id != self.good.container || self.being_replaced()) {
            return;
        }
        match event {
            Event::EngineGone { message } => self.engine_is_gone(message),
            Event::EngineBack => self.engine_is_back().await,
            Event::Killed { signal, .. } => {
                let words = format!("signal {signal} was sent through Docker, which leaves it stopped");
                self.stays_down = Some(words);
            }
            Event::OutOfMemory { .. } => self.out_of_memory = true,
            Event::Died { code, .. } => {
                let out_of_memory = std::mem::take(&mut self.out_of_memory);
                self.died(ExitStatus { code, out_of_memory }).await;
            }
            Event::Started { .. } => self.started().await,
            Event::Removed { .. } => self.removed(),
        }
    }

    async fn died(&mut self, exit: ExitStatus) {
        self.running = false;
        if self.stays_down.is_none() {
            self.exits.push_back(Instant::now());
            self.exits.retain(|exit| exit.elapsed() < LOOP_WINDOW);
        }
        let tail = tail(&self.engine, &self.good.container, &self.redactor).await.text();
        self.ended = Some((exit, tail, Instant::now()));
        let then = self.stays_down.clone().unwrap_or_else(|| "Docker restarts it".to_owned());
        self.tell_down(&then);
    }

    /// It runs again, and is up once it is probed to be.
    async fn started(&mut self) {
        self.running = true;
        self.returning = None;
        self.look_soon();
        self.misses = 0;
        let by_hand = self.stays_down.take().is_some();
        self.tell_down(if by_hand { "it was started again by hand" } else { "Docker restarted it" });
        if let Ok(Some(container)) = self.engine.inspect(&self.good.container).await {
            let restarts = u64::from(container.restarts);
            self.reporter.update(|document| document.app.restarts = restarts);
        }
    }

    /// Somebody removed the container; only a run makes another.
    fn removed(&mut self) {
        self.running = false;
        let fault = Fault::new(Code::AppRemoved, "the application's container was removed");
        self.tell(ServiceState::Down, Some(&fault));
    }

    /// Tells how it ended and what came of it, also for when it is up again.
    fn tell_down(&mut self, then: &str) {
        let Some((exit, tail, _)) = &self.ended else { return };
        let mut fault = exit_fault(*exit, tail, &format!("; {then}"));
        let often = self.exits.len();
        if often >= LOOP_EXITS && fault.code == Code::AppExited {
            fault.code = Code::AppCrashLoop;
            fault.message = format!("{often} times within minutes {}", fault.message);
        }
        self.tell(ServiceState::Down, Some(&fault));
        self.before = Some(fault.message);
    }

    async fn seen(&mut self, trouble: Option<Fault>) {
        if self.being_replaced() {
            return;
        }
        if !self.running {
            // The events of an engine that was restarted may be lost; what it shows is not.
            self.wait = (self.wait * 2).min(self.policy.liveness);
            match self.engine.inspect(&self.good.container).await {
                Ok(Some(found)) if found.state == State::Running => self.started().await,
                Ok(Some(found)) => self.has_not_returned(found.exit).await,
                Ok(None) | Err(_) => {}
            }
            return;
        }
        let liveness = self.policy.liveness;
        match trouble {
            None => {
                self.wait = liveness;
                self.misses = 0;
                self.ended = None;
                if let Some(before) = self.before.take() {
                    self.reporter.update(|document| document.note("before this: ", &before));
                }
                self.tell_once(ServiceState::Up, None);
            }
            Some(fault) if self.engine_gone.is_some() && fault.code.class() != Class::Database => {
                self.wait = (self.wait * 2).min(liveness);
                self.tell_without_engine(&fault.message);
            }
            Some(fault) => {
                if self.wait == liveness {
                    self.misses += 1;
                }
                self.wait = (self.wait * 2).min(liveness);
                if self.misses >= self.policy.misses {
                    self.tell_once(ServiceState::Degraded, Some(&fault));
                }
            }
        }
    }

    fn look_soon(&mut self) {
        (self.wait, _) = self.policy.probe_wait;
        self.next = Instant::now() + self.wait;
    }

    /// What a probe saw is news once; what it measured differs each time.
    fn tell_once(&self, state: ServiceState, fault: Option<&Fault>) {
        let told = self.reporter.snapshot().service;
        if told.state != state || told.cause.and_then(|cause| cause.code) != fault.map(|fault| fault.code) {
            self.tell(state, fault);
        }
    }

    fn tell(&self, state: ServiceState, fault: Option<&Fault>) {
        match fault {
            Some(fault) => {
                let message = self.redactor.apply(&fault.message);
                tracing::warn!(service = %state, fault = %fault.code, %message, "the service changed");
            }
            None => tracing::info!(service = %state, "the service changed"),
        }
        let now = self.reporter.now();
        self.reporter.update(|document| document.set_service(state, fault.map(Cause::from), now));
    }
}

/// One look at everything; `None` is all well. A dead database comes first:
/// what the application says then is not its own fault.
async fn look(prober: &Prober, watched: &Watched, connect: Duration) -> Option<Fault> {
    if !watched.endpoints.is_empty() {
        let reached = database::reach(&watched.endpoints, watched.postgres, connect).await;
        if let Err(fault) = reached {
            return Some(fault);
        }
    }
    for stage in &watched.stages {
        if let Some(fault) = prober.probe(stage).await.fault {
            return Some(fault);
        }
    }
    None
}
