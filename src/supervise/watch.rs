//! Watching what serves: probes by the clock, exits by event. The agent never
//! restarts the application, Docker does; it says what happened and whose fault it is.

use std::collections::VecDeque;
use std::time::Duration;

use futures_util::{Stream, StreamExt as _};
use tokio::time::{Instant, MissedTickBehavior, interval};

use crate::deploy::health::Prober;
use crate::deploy::start::exit_fault;
use crate::deploy::store::LastGood;
use crate::deploy::{Agent, database};
use crate::docker::{Engine, Event, ExitStatus};
use crate::status::{Cause, Code, Fault, ServiceState};

/// This many exits within [`LOOP_WINDOW`] are a crash loop.
const LOOP_EXITS: usize = 3;

/// Docker doubles its wait with each restart, from 0.1 s to a minute.
const LOOP_WINDOW: Duration = Duration::from_secs(120);

/// Watches the last good deployment, for ever; ends only if there is none.
pub(super) async fn watch(agent: &mut Agent) {
    let good = agent.store.state().last_good.clone();
    let (Some(engine), Some(good)) = (agent.engine.clone(), good) else {
        return std::future::pending().await;
    };
    match Prober::new(good.watched.publish, &agent.policy, &agent.redactor) {
        Ok(prober) => {
            let events = engine.events();
            let exits = VecDeque::new();
            Watch { agent, engine, good, prober, misses: 0, exits, killed: None, out_of_memory: false }
                .run(events)
                .await;
        }
        Err(fault) => {
            tracing::error!(message = %fault.message, "the application cannot be watched");
            std::future::pending().await
        }
    }
}

struct Watch<'a> {
    agent: &'a Agent,
    engine: Engine,
    good: LastGood,
    prober: Prober,
    /// Probes in a row that did not hold.
    misses: u32,
    /// When the application ended, the newest last.
    exits: VecDeque<Instant>,
    /// A signal that somebody sent through Docker just now.
    killed: Option<String>,
    /// The kernel killed a process of it just now.
    out_of_memory: bool,
}

impl Watch<'_> {
    async fn run(mut self, events: impl Stream<Item = Event>) {
        let mut events = std::pin::pin!(events);
        let mut ticks = interval(self.agent.policy.liveness);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        // The first tick comes at once, and a proof was given just now.
        ticks.tick().await;
        loop {
            tokio::select! {
                Some(event) = events.next() => self.happened(event).await,
                _ = ticks.tick() => self.probe().await,
            }
        }
    }

    async fn happened(&mut self, event: Event) {
        let ours = |id: &str| id == self.good.container;
        match event {
            Event::Killed { id, signal } if ours(&id) => self.killed = Some(signal),
            Event::OutOfMemory { id } if ours(&id) => self.out_of_memory = true,
            Event::Died { id, code } if ours(&id) => self.died(code).await,
            Event::Started { id } if ours(&id) => self.started().await,
            _ => {}
        }
    }

    async fn died(&mut self, code: i64) {
        let swap = crate::deploy::start::Swap {
            engine: &self.engine,
            policy: &self.agent.policy,
            redactor: &self.agent.redactor,
            run: "",
        };
        let tail = swap.tail(&self.good.container).await;
        let exit = ExitStatus { code, out_of_memory: std::mem::take(&mut self.out_of_memory) };
        let mut fault = exit_fault(exit, &tail);
        let by_hand = self.killed.take();
        if by_hand.is_none() {
            self.exits.push_back(Instant::now());
            self.exits.retain(|exit| exit.elapsed() < LOOP_WINDOW);
            if self.exits.len() >= LOOP_EXITS && fault.code == Code::AppExited {
                fault.code = Code::AppCrashLoop;
                fault.message = format!("{} times in a row {}", self.exits.len(), fault.message);
            }
        }
        let action = match by_hand {
            Some(signal) => format!("signal {signal} was sent through Docker, which leaves it stopped"),
            None => "Docker restarts it".to_owned(),
        };
        fault.message = format!("{}; {action}", fault.message);
        self.tell(ServiceState::Down, Some(fault));
    }

    /// Docker restarted it: it is up once it is probed to be.
    async fn started(&mut self) {
        self.killed = None;
        let Ok(Some(container)) = self.engine.inspect(&self.good.container).await else { return };
        let restarts = u64::from(container.restarts);
        self.agent.reporter.update(|document| {
            document.app.restarts = restarts;
            if let Some(cause) = &mut document.service.cause {
                cause.message = cause.message.replace("Docker restarts it", "Docker restarted it");
            }
        });
        let until = Instant::now() + self.agent.policy.liveness;
        let (mut wait, longest) = self.agent.policy.probe_wait;
        while Instant::now() < until {
            if self.look().await.is_none() {
                self.misses = 0;
                self.tell(ServiceState::Up, None);
                return;
            }
            tokio::time::sleep(wait).await;
            wait = (wait * 2).min(longest);
        }
    }

    async fn probe(&mut self) {
        match self.look().await {
            None => {
                self.misses = 0;
                self.tell(ServiceState::Up, None);
            }
            Some(fault) => {
                self.misses += 1;
                // An exit was told with its cause; a probe can only say less.
                let down = self.agent.reporter.snapshot().service.state == ServiceState::Down;
                if self.misses >= self.agent.policy.misses && !down {
                    self.tell(ServiceState::Degraded, Some(fault));
                }
            }
        }
    }

    /// One look at everything; `None` is all well. A dead database comes
    /// first: what the application says then is not its own fault.
    async fn look(&self) -> Option<Fault> {
        let watched = &self.good.watched;
        if !watched.endpoints.is_empty() {
            let reach = database::reach(&watched.endpoints, watched.postgres, self.agent.policy.connect);
            if let Err(fault) = reach.await {
                return Some(fault);
            }
        }
        for stage in &watched.stages {
            if let Some(fault) = self.prober.probe(stage).await.fault {
                return Some(fault);
            }
        }
        None
    }

    fn tell(&self, state: ServiceState, fault: Option<Fault>) {
        let now = self.agent.reporter.now();
        let cause = fault.as_ref().map(Cause::from);
        let before = self.agent.reporter.snapshot().service;
        if before.state == state && before.cause.as_ref().map(|c| c.code) == cause.as_ref().map(|c| c.code) {
            return;
        }
        match &fault {
            Some(fault) => {
                let message = self.agent.redactor.apply(&fault.message);
                tracing::warn!(service = %state, fault = %fault.code, %message, "the service changed");
            }
            None => tracing::info!(service = %state, "the service changed"),
        }
        self.agent.reporter.update(|document| document.set_service(state, cause, now));
    }
}
