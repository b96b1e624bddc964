//! One try of a job or of the migration.

use tokio::time::{Instant, sleep, timeout};

use super::super::database;
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
use crate::status::{Class, Fault};

/// How often in a run a job may end for want of the database before that counts as a try.
const DATABASE_TROUBLES: u32 = 5;

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
        while let (Some(url), Err(Verdict::Again(fault))) = (&desired.database, &result)
            && is_away(fault)
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
        let locked = match (attempt.job.settings.kind, &adopted) {
            (JobKind::Job, _) => Locked::Not,
            (JobKind::Migration, Some(_)) => Locked::retake(run, desired).await,
            (JobKind::Migration, None) => Locked::wait(run, desired).await.map_err(Verdict::Final)?,
        };
        let sessions = attempt.sessions;
        tokio::select! {
            result = self.attempt_once(attempt, adopted) => result,
            never = locked.keep(run) => match never {},
            never = backends::watch(run, desired, sessions) => match never {},
        }
    }

    async fn attempt_once(
        &mut self,
        attempt: &Attempt<'_>,
        adopted: Option<Container>,
    ) -> Result<(Option<Moved>, Revisions), Verdict<Fault>> {
        // Until its end is written down, a reload waits; between two tries it need not.
        let _held = self.containers.run.hold();
        let Attempt { job, spec, tried, number, sessions } = *attempt;
        let id = match adopted {
            Some(container) => container.id,
            None => {
                let image = self.image(job).await.map_err(Verdict::Final)?;
                self.containers.start(job, &image, spec, number).await?
            }
        };
        let began = Instant::now();
        let result = match timeout(job.settings.timeout, self.containers.follow(&id, job)).await {
            Ok(Ok(ended)) => outcome(&job.settings, ended),
            // It may still run, and there is never a second one: the next run adopts it.
            Ok(Err(error)) => return Err(Verdict::Final(error.into())),
            Err(_) => {
                Err(Verdict::Final(self.containers.stop_slow(&id, job, sessions, began.elapsed()).await))
            }
        };
        let revisions = match job.settings.kind {
            JobKind::Job => Revisions::None,
            JobKind::Migration => database::revisions(self.containers.run, self.containers.desired).await,
        };
        let (key, run) = (self.key.clone(), self.store.state().sequence);
        let left = match &revisions {
            Revisions::At(revisions) => Some(revisions.clone()),
            Revisions::None | Revisions::Unknown(_) => None,
        };
        let step = Step { spec: spec.to_owned(), run, done: result.is_ok(), revisions: left };
        // The result is stored before its evidence goes: a crash between repeats nothing.
        self.store.update(|state| {
            if step.done || step.revisions.is_some() {
                state.databases.add(&key, step);
            }
            match &result {
                Ok(_) => {
                    state.tries.remove(tried);
                }
                Err(Verdict::Again(fault)) if is_away(fault) => {}
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

/// Whether the job failed because the database went, which may be back soon.
fn is_away(fault: &Fault) -> bool {
    fault.code.class() == Class::Database && fault.code.retryable()
}
