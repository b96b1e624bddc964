//! The context of one run: its clock and deadline, what may cut it short, and its
//! phases, each reported and bounded.

use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};

use super::timings::Timings;
use crate::redact::Redactor;
use crate::status::{Code, Fault, PhaseName, PhaseState, Reporter, RunId};

/// How a run came about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// Nobody asked: the agent started, or such a run is followed by another.
    None,
    /// Somebody asked for it, or for the run that it follows.
    Once,
    /// Somebody asked the running agent, which gives what failed fresh tries.
    Reload,
    /// Somebody asked that jobs and the migration run although they are recorded as done.
    Migrate,
}

/// Why a run is to end before its work is done.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Cut {
    /// It is not.
    #[default]
    No,
    /// A newer desired state takes its place, in the run with this id.
    Superseded(RunId),
    /// The agent was told to stop.
    Interrupted,
}

/// Why a run ended without being ready.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Stop {
    /// Something failed in a phase.
    Fault(PhaseName, Fault),
    /// It was cut short.
    Cut(Cut),
}

/// What every phase of one run works with.
pub struct RunContext {
    /// Its id.
    pub id: RunId,
    /// How it came about.
    pub order: Order,
    /// Where its phases are reported.
    pub reporter: Reporter,
    /// What masks foreign words.
    pub redactor: Redactor,
    /// How long and how often.
    pub timings: Timings,
    began: Instant,
    deadline: Instant,
    /// Set from outside to end the run early.
    cut: watch::Receiver<Cut>,
    /// Whether something is under way that a reload must wait for.
    held: watch::Sender<bool>,
}

/// While it lives, a reload does not cut the phase short.
#[derive(Debug)]
pub struct Held<'a>(&'a watch::Sender<bool>);

impl Drop for Held<'_> {
    fn drop(&mut self) {
        self.0.send_replace(false);
    }
}

impl RunContext {
    /// The context of a run that begins now and may take `limit`.
    #[must_use]
    pub fn new(
        id: RunId,
        order: Order,
        reporter: Reporter,
        redactor: Redactor,
        timings: Timings,
        limit: Duration,
        cut: watch::Receiver<Cut>,
    ) -> Self {
        let began = Instant::now();
        let (deadline, held) = (began + limit, watch::Sender::new(false));
        Self { id, order, reporter, redactor, timings, began, deadline, cut, held }
    }

    /// From here on a reload waits, until the returned value is dropped: a
    /// running migration is let finish first. A stop does not wait for it.
    #[must_use]
    pub fn hold(&self) -> Held<'_> {
        self.held.send_replace(true);
        Held(&self.held)
    }

    /// Time left of the run.
    #[must_use]
    pub fn left(&self) -> Duration {
        self.deadline.saturating_duration_since(Instant::now())
    }

    /// Time left for proving a new application: the rest of the run is the way back's.
    #[must_use]
    pub fn left_to_prove(&self) -> Duration {
        self.most_to_prove().saturating_sub(self.began.elapsed())
    }

    /// What proving a new application may take where nothing before it takes any time.
    #[must_use]
    pub fn most_to_prove(&self) -> Duration {
        let whole = self.deadline.saturating_duration_since(self.began);
        whole.saturating_sub(self.timings.way_back.min(whole / 10))
    }

    /// Runs one phase.
    ///
    /// # Errors
    /// The phase's own fault, redacted; the deadline's; or the cut.
    pub async fn phase<T>(
        &self,
        name: PhaseName,
        work: impl Future<Output = Result<T, Fault>>,
    ) -> Result<T, Stop> {
        self.uncut()?;
        self.reporter.begin(name);
        let mut running =
            Running { reporter: &self.reporter, name, end: PhaseState::Cut, began: Instant::now() };
        let result = tokio::select! {
            result = work => result.map_err(|fault| Stop::Fault(name, self.redacted(fault))),
            () = sleep_until(self.deadline) => Err(Stop::Fault(name, self.out_of_time(name))),
            cut = self.cut() => Err(Stop::Cut(cut)),
        };
        running.end = match &result {
            Ok(_) => PhaseState::Done,
            Err(Stop::Fault(..)) => PhaseState::Failed,
            Err(Stop::Cut(_)) => PhaseState::Cut,
        };
        result
    }

    /// Reports that a phase had nothing to do.
    pub fn skip(&self, name: PhaseName, state: PhaseState) {
        self.reporter.end(name, state);
        tracing::info!(phase = %name, %state, "{name}: {state}");
    }

    /// Reports which try a phase is at, and of how many where they are counted.
    pub fn attempt(&self, name: PhaseName, attempt: u32, tries: Option<u32>) {
        if attempt > 1 {
            self.reporter.update(|report| report.attempt(name, attempt, tries));
        }
    }

    /// Fails where the run was cut short in the meantime.
    ///
    /// # Errors
    /// The cut.
    pub fn uncut(&self) -> Result<(), Stop> {
        match &*self.cut.borrow() {
            Cut::No => Ok(()),
            cut => Err(Stop::Cut(cut.clone())),
        }
    }

    /// Waits until the run is to end early and nothing holds that up.
    pub async fn cut(&self) -> Cut {
        let (mut cut, mut held) = (self.cut.clone(), self.held.subscribe());
        loop {
            let asked = cut.borrow_and_update().clone();
            match asked {
                Cut::Superseded(_) if *held.borrow_and_update() => {}
                Cut::Superseded(_) | Cut::Interrupted => return asked,
                Cut::No => {}
            }
            tokio::select! {
                Ok(()) = cut.changed() => {}
                Ok(()) = held.changed() => {}
                // Nobody is left who could cut.
                else => std::future::pending().await,
            }
        }
    }

    fn redacted(&self, fault: Fault) -> Fault {
        Fault {
            message: self.redactor.apply(&fault.message).into_owned(),
            tail: self.redactor.apply(&fault.tail).into_owned(),
            ..fault
        }
    }

    fn out_of_time(&self, name: PhaseName) -> Fault {
        let seconds = self.deadline.saturating_duration_since(self.began).as_secs();
        Fault::new(
            Code::DeadlineExceeded,
            format!("the run's {seconds} s were over in the phase {}", name.name()),
        )
    }
}

/// A phase that has begun. One that is dropped before its end, since another
/// failed beside it, was cut.
struct Running<'a> {
    reporter: &'a Reporter,
    name: PhaseName,
    end: PhaseState,
    began: Instant,
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        let (phase, state) = (self.name, self.end);
        self.reporter.end(phase, state);
        // Milliseconds as a number, so that the journal can be searched by them.
        let ms = u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX);
        tracing::info!(%phase, %state, ms, "{phase}: {state}");
    }
}
