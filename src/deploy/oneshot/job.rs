//! One job: done once, tried again where that can help, adopted where a crash left it.

use super::super::plan::Job;
use super::super::run_context::Order;
use super::attempt::{Attempt, may_pass};
use super::backends::application;
use super::jobs::{Jobs, Todo, phase_of};
use super::result::{Moved, used_up};
use crate::docker::State;
use crate::postgres::Revisions;
use crate::retry::{self, GaveUp, Verdict};
use crate::status::Fault;

/// How one job came to be done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Done {
    /// The record says an equal one has finished before.
    Before,
    /// It ran.
    Now {
        /// Revisions as alembic printed them.
        printed: Option<Moved>,
        /// Revisions as the database has them afterwards.
        revisions: Revisions,
        /// Tries it took.
        attempts: u32,
    },
}

impl Jobs<'_> {
    /// Runs one job unless its record says it is done.
    ///
    /// # Errors
    /// The last try's fault with the job's last output.
    pub(super) async fn run(&mut self, job: &Job, todo: Todo) -> Result<Done, Fault> {
        let (run, desired) = (self.containers.run, self.containers.desired);
        let spec = self.spec(job)?;
        let mut adopted = self.adoptable(&spec).await?;
        if todo == Todo::Keep && adopted.as_ref().is_none_or(|container| container.state != State::Running) {
            if let Some(left) = adopted {
                self.containers.remove(&left.id).await;
            }
            return Ok(Done::Before);
        }
        let tried = desired.tries_spec(&spec, self.store);
        let fresh = matches!(run.order, Order::Reload | Order::Migrate);
        let spent = self.store.state().tries.get(&tried).filter(|spent| !fresh && !may_pass(spent.code));
        let used = spent.map_or(0, |spent| spent.count);
        let tries = desired.config.tries.migrate;
        if let Some(spent) = spent
            && spent.count >= tries
            && adopted.is_none()
        {
            return Err(used_up(spent));
        }
        let (first, max) = run.timings.job_wait;
        let policy = retry::Policy { tries: tries - used.min(tries - 1), first, max, total: run.left() };
        let mut first = None;
        let result = retry::run(policy, async |attempt| {
            run.attempt(phase_of(job.settings.kind), used + attempt, Some(tries));
            let adopted = adopted.take();
            let by = adopted.as_ref().map_or(run.id.as_str(), |container| container.run.as_str());
            let sessions = &application(by, &job.settings.name);
            let attempt = Attempt { job, spec: &spec, tried: &tried, number: used + attempt, sessions };
            let result = self.attempt(attempt, adopted).await;
            if let Err(Verdict::Again(fault)) = &result {
                first.get_or_insert_with(|| fault.clone());
            }
            result
        });
        let result = result.await;
        match result {
            Ok(((printed, revisions), attempts)) => {
                Ok(Done::Now { printed, revisions, attempts: used + attempts })
            }
            Err(GaveUp { error, attempts }) => Err(with_first(error, first.as_ref()).after(used + attempts)),
        }
    }
}

/// The last try's fault; what the first one said, before it left its traces, is often the cause.
fn with_first(last: Fault, first: Option<&Fault>) -> Fault {
    match first {
        Some(first) if first.message != last.message => {
            let message = format!("{}; then {}", first.message, last.message);
            let tail = if first.tail.is_empty() { last.tail } else { first.tail.clone() };
            Fault { message, tail, ..last }
        }
        _ => last,
    }
}
