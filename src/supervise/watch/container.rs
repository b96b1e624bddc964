//! What happens to the application's container: it ends, is started, is removed.

use std::time::Duration;

use tokio::time::Instant;

use super::Watch;
use crate::deploy::container_output::tail;
use crate::deploy::faults::app_exited;
use crate::docker::{Event, ExitStatus};
use crate::status::{Code, Fault, ServiceState};

/// This many exits within [`LOOP_WINDOW`] are a crash loop.
const LOOP_EXITS: usize = 3;

/// Docker doubles its wait with each restart, from 0.1 s to a minute.
const LOOP_WINDOW: Duration = Duration::from_secs(120);

impl Watch {
    pub(super) async fn handle(&mut self, event: Event) {
        if event.container().is_some_and(|id| id != self.good.container || self.availability.is_replacing()) {
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

    pub(super) async fn died(&mut self, exit: ExitStatus) {
        self.running = false;
        if self.stays_down.is_none() {
            self.exits.push_back(Instant::now());
            self.exits.retain(|exit| exit.elapsed() < LOOP_WINDOW);
        }
        let tail = tail(&self.engine, &self.good.container, &self.redactor).await.text();
        self.ended = Some((exit, tail, Instant::now()));
        let then = self.stays_down.clone().unwrap_or_else(|| "Docker restarts it".to_owned());
        self.report_down(&then);
    }

    /// It runs again, and is up once it is probed to be.
    pub(super) async fn started(&mut self) {
        self.running = true;
        self.returning = None;
        self.probe_soon();
        self.misses = 0;
        let by_hand = self.stays_down.take().is_some();
        self.report_down(if by_hand { "it was started again by hand" } else { "Docker restarted it" });
        if let Ok(Some(container)) = self.engine.inspect(&self.good.container).await {
            let restarts = u64::from(container.restarts);
            self.reporter.update(|report| report.restarts(restarts));
        }
    }

    /// Somebody removed the container; only a run makes another.
    pub(super) fn removed(&mut self) {
        self.running = false;
        let fault = Fault::new(Code::AppRemoved, "the application's container was removed");
        self.report(ServiceState::Down, Some(&fault));
    }

    /// Reports how it ended and what came of it, also for when it is up again.
    fn report_down(&mut self, then: &str) {
        let Some((exit, tail, _)) = &self.ended else { return };
        let mut fault = app_exited(*exit, tail, &format!("; {then}"));
        let often = self.exits.len();
        if often >= LOOP_EXITS && fault.code == Code::AppExited {
            fault.code = Code::AppCrashLoop;
            fault.message = format!("{often} times within minutes {}", fault.message);
        }
        self.report(ServiceState::Down, Some(&fault));
        self.trouble = Some(fault.message);
    }
}
