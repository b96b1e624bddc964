//! An engine that goes away takes the application along, and is the cause then.

use std::time::Duration;

use tokio::time::Instant;

use super::Watch;
use crate::docker::{ExitStatus, State};
use crate::status::{Code, Fault, ServiceState, Topic};

/// An engine that stops ends its containers first, within 15 s by default
/// (dockerd, `shutdown-timeout`): what ended this shortly before it, ended by it.
const STOPPING: Duration = Duration::from_secs(30);

/// An engine that starts brings its containers up before or soon after it answers.
const RETURNING: Duration = Duration::from_secs(30);

impl Watch {
    /// The engine does not answer any more. What still serves is probed at once.
    pub(super) fn engine_is_gone(&mut self, message: String) {
        tracing::warn!(message, "the Docker Engine is gone");
        // With `live-restore` the application serves on.
        self.reporter.update(|report| report.note_on(Topic::EngineGone, message.clone()));
        self.engine_gone = Some(message);
        self.returning = None;
        self.probe_soon();
        let by_engine = self.ended.as_ref().is_some_and(|(.., at)| at.elapsed() < STOPPING);
        if by_engine && !self.availability.is_replacing() {
            // Neither a crash of its own nor a stop that somebody asked for.
            self.exits.pop_back();
            self.stays_down = None;
            let ended = self.ended.take().map_or(0, |(exit, ..)| exit.code);
            self.report_without_engine(&format!("the application ended with it, exit code {ended}"));
        }
    }

    /// Reports that nothing serves since the engine is gone; the cause says what the note said.
    pub(super) fn report_without_engine(&mut self, seen: &str) {
        let Some(words) = &self.engine_gone else { return };
        let fault = Fault::new(Code::DockerUnavailable, format!("{words}; {seen}"));
        self.forget_note();
        self.report_once(ServiceState::Down, Some(&fault));
        self.trouble = Some(fault.message);
    }

    fn forget_note(&self) {
        self.reporter.update(|report| report.forget(Topic::EngineGone));
    }

    /// The engine answers again: it starts what it ran before, unless it was told not to.
    pub(super) async fn engine_is_back(&mut self) {
        tracing::info!("the Docker Engine is back");
        self.engine_gone = None;
        self.forget_note();
        if self.availability.is_replacing() {
            return;
        }
        self.probe_soon();
        match self.engine.inspect(&self.good.container).await {
            Ok(Some(container)) if container.state == State::Running => self.started().await,
            Ok(None) => self.removed(),
            Ok(Some(_)) | Err(_) => {
                self.running = false;
                self.returning = Some(Instant::now() + RETURNING);
            }
        }
    }

    /// An engine that came back has not started the application; after a while that is reported.
    pub(super) async fn has_not_returned(&mut self, exit: ExitStatus) {
        if self.returning.is_some_and(|until| until <= Instant::now()) {
            self.returning = None;
            self.stays_down = Some("Docker did not start it when it came back".to_owned());
            self.died(exit).await;
        }
    }
}
