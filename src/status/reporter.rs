//! The one way into the status: a change to the report becomes a document and
//! bytes once, and the same bytes go to every sink.
//!
//! Reporting never fails and never waits: what goes wrong on the way is logged
//! once and noted in the document.

use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use time::OffsetDateTime;
use tokio::task::JoinHandle;
use tokio::time::{Instant, MissedTickBehavior};

use super::document::Document;
use super::file::StatusFile;
use super::fit;
use super::parameter::Parameter;
use super::report::Report;
use super::run::{PhaseName, PhaseState, Run};
use super::systemd::Systemd;
use super::timestamp::Timestamp;
use super::verdict::verdict;
use crate::redact::Redactor;
use crate::redact::plain;

/// Between two writes of mere progress.
const PROGRESS: Duration = Duration::from_secs(1);

/// The reporter; clones share one report.
#[derive(Clone)]
pub struct Reporter {
    shared: Arc<Mutex<Shared>>,
}

struct Shared {
    report: Report,
    /// What the file holds.
    bytes: Arc<str>,
    /// Start of the run on the monotonic clock: at boot the wall clock may still jump.
    run_began: Instant,
    last_write: Instant,
    file_error: Option<String>,
    redactor: Redactor,
    file: StatusFile,
    systemd: Systemd,
    parameter: Option<Parameter>,
    clock: fn() -> OffsetDateTime,
}

impl Reporter {
    /// Writes the first document of the first run, before any work begins.
    /// `dir` is the run folder, `clock` the wall clock.
    #[must_use]
    pub fn start(
        dir: &Path,
        redactor: Redactor,
        run: Run,
        systemd: Systemd,
        clock: fn() -> OffsetDateTime,
    ) -> Self {
        let now = Instant::now();
        let mut shared = Shared {
            report: Report::new(run),
            bytes: "".into(),
            run_began: now,
            last_write: now,
            file_error: None,
            redactor,
            file: StatusFile::new(dir),
            systemd,
            parameter: None,
            clock,
        };
        shared.write();
        Self { shared: Arc::new(Mutex::new(shared)) }
    }

    /// Sends the document to a parameter from now on, the current one first.
    pub fn attach_parameter(&self, parameter: Parameter) {
        let mut shared = self.lock();
        parameter.offer(Arc::clone(&shared.bytes), shared.report.run.outcome.is_terminal());
        shared.parameter = Some(parameter);
    }

    /// A transition: to the file now and to the parameter when its turn comes,
    /// at once if the run has ended by it.
    ///
    /// The outcome of a run that has ended is never rewritten: a change to
    /// `run` is dropped then, unless it is another run.
    pub fn update(&self, change: impl FnOnce(&mut Report)) {
        let mut change = Some(change);
        self.apply(&mut |report| change.take().into_iter().for_each(|change| change(report)));
    }

    /// Once for all changes, so that each does not bring a copy of this into the executable.
    fn apply(&self, change: &mut dyn FnMut(&mut Report)) {
        let mut shared = self.lock();
        let ended = shared.change(change);
        shared.write();
        if let Some(parameter) = &shared.parameter {
            parameter.offer(Arc::clone(&shared.bytes), ended);
        }
    }

    /// Mere progress, which ends no run: to the file only, and at most once a second.
    pub fn progress(&self, mut change: impl FnMut(&mut Report)) {
        let mut shared = self.lock();
        shared.change(&mut change);
        if shared.last_write.elapsed() < PROGRESS {
            return;
        }
        shared.write();
        if let Some(parameter) = &shared.parameter {
            parameter.replace(Arc::clone(&shared.bytes));
        }
    }

    /// Begins another run; see [`Report::next_run`].
    pub fn begin_run(&self, run: Run) {
        self.lock().run_began = Instant::now();
        self.update(|report| report.next_run(run));
    }

    /// Begins a phase.
    pub fn begin(&self, phase: PhaseName) {
        let at = self.elapsed_ms();
        self.update(|report| report.begin(phase, at));
    }

    /// Ends a phase.
    pub fn end(&self, phase: PhaseName, state: PhaseState) {
        let at = self.elapsed_ms();
        self.update(|report| report.end(phase, state, at));
    }

    /// Milliseconds since the run began.
    #[must_use]
    pub fn elapsed_ms(&self) -> u64 {
        u64::try_from(self.lock().run_began.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    /// The wall clock's time.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.lock().now()
    }

    /// The document as it is, redacted, before anything was cut to fit.
    #[must_use]
    pub fn document(&self) -> Document {
        self.lock().document()
    }

    /// Logs the verdict.
    pub fn log_verdict(&self) {
        let document = self.document();
        tracing::info!(run = %document.run.id, outcome = %document.run.outcome, "{}", document.verdict);
    }

    /// Says that the agent lives.
    pub fn heartbeat(&self) {
        self.update(|_| {});
    }

    /// Says so every `period`, [`HEARTBEAT`](super::heartbeat::HEARTBEAT) by default, until the handle is
    /// aborted or the runtime ends. A late one delays none of the next.
    #[must_use]
    pub fn keep_heartbeat(&self, period: Duration) -> JoinHandle<()> {
        let reporter = self.clone();
        tokio::spawn(async move {
            let mut beats = tokio::time::interval_at(Instant::now() + period, period);
            beats.set_missed_tick_behavior(MissedTickBehavior::Skip);
            loop {
                beats.tick().await;
                reporter.heartbeat();
            }
        })
    }

    /// Waits until the parameter holds what the file holds, at most `limit`;
    /// an exit gives it 10 s. Returns whether it does (`true` without a parameter).
    pub async fn flush(&self, limit: Duration) -> bool {
        let parameter = self.lock().parameter.clone();
        match parameter {
            Some(parameter) => parameter.flush(limit).await,
            None => true,
        }
    }

    /// A panic elsewhere must not silence the status, so a poisoned lock is as good as any.
    fn lock(&self) -> MutexGuard<'_, Shared> {
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Shared {
    fn now(&self) -> Timestamp {
        Timestamp::from((self.clock)())
    }

    /// Applies a change and keeps what must hold. Returns whether it ended the run.
    fn change(&mut self, change: &mut dyn FnMut(&mut Report)) -> bool {
        let (now, report) = (self.now(), &mut self.report);
        let (run, state) = (report.run.clone(), report.service.state);
        change(report);
        if report.service.state != state {
            report.service.since = now;
        }
        if report.run.id == run.id && run.outcome.is_terminal() {
            if report.run.outcome != run.outcome {
                tracing::error!(run = %run.id, outcome = %report.run.outcome, "the outcome of an ended run stays");
            }
            report.run = run;
            return false;
        }
        let ended = report.run.outcome.is_terminal();
        if ended && report.run.finished.is_none() {
            report.run.finished = Some(now);
        }
        ended
    }

    /// The document as it may be seen: no secret and no control character in any text.
    fn document(&self) -> Document {
        let mut document = self.report.document(self.now());
        if let Some(error) = &self.file_error {
            document.notes.push(format!("the status file cannot be written: {error}"));
        }
        if let Some(error) = self.parameter.as_ref().and_then(Parameter::refused) {
            document.notes.push(format!("the status parameter is refused: {error}"));
        }
        fit::texts(&mut document, &mut |text, _| {
            // Before, since a secret may hold control characters; after, since they may part one.
            let masked = self.redactor.apply(text);
            let masked = self.redactor.apply(&plain(&masked)).into_owned();
            *text = masked;
        });
        document.verdict = verdict(&document);
        document
    }

    fn write(&mut self) {
        let document = self.document();
        self.systemd.status(&document.verdict);
        self.bytes = fit::to_json(document).into();
        self.last_write = Instant::now();
        let error = self.file.write(self.bytes.as_bytes()).err();
        // The kind alone: the full text names a temporary file, another one each time.
        let error = error.map(|error| error.kind().to_string());
        if error.is_some() && error != self.file_error {
            let path = self.file.path().display();
            tracing::error!(%path, error, "the status file cannot be written");
        }
        self.file_error = error;
    }
}
