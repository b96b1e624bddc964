//! One try of a job or of the migration.

use std::time::Duration;

use tokio::time::{sleep, timeout};

use super::super::database::{self, DatabaseReachable};
use super::super::plan::Job;
use super::backends;
use super::jobs::{Jobs, phase_of};
use super::lock::Locked;
use super::result::{Moved, outcome};
use crate::config::JobKind;
use crate::docker::Container;
use crate::postgres::Revisions;
use crate::retry::Verdict;
use crate::state::{Spent, Step};
use crate::status::{Class, Code, Fault};

/// How often in a run a job may end for want of the database before that counts as a try.
const DATABASE_TROUBLES: u32 = 5;

/// What the sessions of a container may be old that an earlier life of the agent has started.
const LIFETIME: Duration = Duration::from_secs(24 * 60 * 60);

/// One try of one job.
pub(super) struct Attempt<'a> {
    pub(super) job: &'a Job,
    /// Under what its success is recorded.
    pub(super) spec: &'a str,
    /// Under what its failure is counted.
    pub(super) tried: &'a str,
    /// From 1, tries before a restart included.
    pub(super) number: u32,
    /// The name of its sessions in the database.
    pub(super) sessions: &'a str,
}

impl Jobs<'_> {
    /// What ends for want of the database is tried again when that is back, and counts as no try.
    pub(super) async fn attempt(
        &mut self,
        attempt: Attempt<'_>,
        adopted: Option<Container>,
    ) -> Result<(Option<Moved>, Revisions), Verdict<Fault>> {
        let (run, desired) = (self.containers.run, self.containers.desired);
        let mut result = self.attempt_locked(&attempt, adopted).await;
        while let (Some(url), Err(Verdict::Again(_))) = (&desired.database, &result)
            && self.database_went
            && self.forgiven < DATABASE_TROUBLES
        {
            self.forgiven += 1;
            sleep(run.timings.job_wait.0).await;
            let phase = phase_of(attempt.job.settings.kind);
            database::wait(run, desired, url, phase).await.map_err(Verdict::Final)?;
            result = self.attempt_locked(&attempt, None).await;
        }
        result
    }

    /// The migration takes turns with those of other hosts; what runs already is not held up by that.
    async fn attempt_locked(
        &mut self,
        attempt: &Attempt<'_>,
        adopted: Option<Container>,
    ) -> Result<(Option<Moved>, Revisions), Verdict<Fault>> {
        let (run, desired) = (self.containers.run, self.containers.desired);
        let mut locked = match (attempt.job.settings.kind, &adopted) {
            (JobKind::Job, _) => Locked::Not,
            (JobKind::Migration, Some(_)) => Locked::retake(run, desired).await,
            (JobKind::Migration, None) => {
                let (locked, waited) = Locked::wait(run, desired).await.map_err(Verdict::Final)?;
                if waited {
                    // The other host has moved it on.
                    self.before = database::revisions(run, desired).await;
                }
                locked
            }
        };
        let sessions = attempt.sessions;
        let mut work = std::pin::pin!(self.attempt_once(attempt, adopted));
        loop {
            tokio::select! {
                result = &mut work => return result,
                never = locked.keep(run) => match never {},
                () = backends::watch(run, desired, sessions) => locked = locked.yielded(run),
            }
        }
    }

    async fn attempt_once(
        &mut self,
        attempt: &Attempt<'_>,
        adopted: Option<Container>,
    ) -> Result<(Option<Moved>, Revisions), Verdict<Fault>> {
        // Until its end is written down, a reload waits; between two tries it need not.
        let _held = self.containers.run.hold();
        self.database_went = false;
        let Attempt { job, spec, tried, number, sessions } = *attempt;
        let (id, age) = match adopted {
            Some(container) => (container.id, LIFETIME),
            None => {
                let image = self.image(job).await.map_err(Verdict::Final)?;
                let id = self.containers.start(job, &image, spec, number).await?;
                (id, job.settings.timeout)
            }
        };
        let result = match timeout(job.settings.timeout, self.containers.follow(&id, job)).await {
            Ok(Ok(ended)) => outcome(&job.settings, ended),
            // It may still run, and there is never a second one: the next run adopts it.
            Ok(Err(error)) => return Err(Verdict::Final(error.into())),
            Err(_) => Err(Verdict::Final(self.containers.stop_slow(&id, job, sessions, age).await)),
        };
        let result = if self.database.as_ref().is_some_and(DatabaseReachable::takes_no_writes) {
            result.map_err(read_only)
        } else {
            result
        };
        let (run, desired) = (self.containers.run, self.containers.desired);
        self.database_went = matches!(&result, Err(Verdict::Again(fault)) if may_pass(fault.code))
            && database::is_away(run, desired).await;
        let revisions = match job.settings.kind {
            JobKind::Job => Revisions::None,
            JobKind::Migration => database::revisions(run, desired).await,
        };
        let left = match &revisions {
            Revisions::At(now) if result.is_ok() || has_moved(&self.before, now) => Some(now.clone()),
            _ => None,
        };
        let (key, run) = (self.key(), self.store.state().sequence);
        let step = Step { spec: spec.to_owned(), run, done: result.is_ok(), revisions: left };
        let is_forgiven = self.database_went;
        // The result is stored before its evidence goes: a crash between repeats nothing.
        self.store.update(|state| {
            if step.done || step.revisions.is_some() {
                state.databases.add(&key, step);
            }
            match &result {
                Ok(_) => {
                    state.tries.remove(tried);
                }
                Err(_) if is_forgiven => {}
                Err(Verdict::Final(fault) | Verdict::Again(fault) | Verdict::After(fault, _)) => {
                    let message = fault.message.clone();
                    state.tries.insert(tried.to_owned(), Spent { count: number, code: fault.code, message });
                }
            }
        });
        if let Err(Verdict::Again(fault)) = &result {
            let job = &job.settings.name;
            tracing::warn!(%job, attempt = number, fault = %fault.code, "the job failed");
        }
        self.containers.remove(&id).await;
        result.map(|printed| (printed, revisions))
    }
}

/// Whether it is the database's trouble, and may be over soon.
pub(super) fn may_pass(code: Code) -> bool {
    code.class() == Class::Database && code.retryable()
}

/// Whether a migration that failed has left the database elsewhere.
fn has_moved(before: &Revisions, now: &[String]) -> bool {
    match before {
        Revisions::At(before) => before != now,
        Revisions::None => true,
        Revisions::Unknown(_) => false,
    }
}

/// What fails on a server that takes no writes fails for that.
fn read_only(verdict: Verdict<Fault>) -> Verdict<Fault> {
    let (Verdict::Final(fault) | Verdict::Again(fault) | Verdict::After(fault, _)) = verdict;
    Verdict::Final(Fault { code: Code::DatabaseReadOnly, ..fault })
}
