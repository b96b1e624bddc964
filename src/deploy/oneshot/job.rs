//! One job or the migration: its record, its tries, and what a crash left of it.

use tokio::time::timeout;

use super::super::image::ImageReady;
use super::super::plan::Job;
use super::super::run_context::Order;
use super::container::Containers;
use super::result::{Moved, outcome, used_up};
use crate::config::{JobKind, service_hint};
use crate::docker::{Container, Role, State};
use crate::retry::{self, GaveUp, Verdict};
use crate::state::{Spent, Store};
use crate::status::{Code, Fault, PhaseName};

/// How one job came to be done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Done {
    /// The record says an equal one has finished before.
    Before,
    /// It ran.
    Now {
        /// Revisions as alembic printed them.
        moved: Option<Moved>,
        /// Tries it took.
        attempts: u32,
    },
}

/// What running jobs needs.
pub(super) struct Jobs<'a> {
    /// Runs their containers.
    pub(super) containers: Containers<'a>,
    /// Records of what is done.
    pub(super) store: &'a mut Store,
    /// Specs of all jobs and of the migration: what a crash left of one of them is for that one to handle.
    pub(super) wanted: Vec<String>,
}

/// One try of one job.
struct Attempt<'a> {
    job: &'a Job,
    /// Under what its success is recorded.
    spec: &'a str,
    /// Under what its failure is counted.
    tried: &'a str,
    /// From 1, tries before a restart included.
    number: u32,
}

impl Jobs<'_> {
    /// Runs one job unless its record says it is done.
    ///
    /// # Errors
    /// The last try's fault with the job's last output.
    pub(super) async fn run(&mut self, job: &Job, image: &ImageReady) -> Result<Done, Fault> {
        let (run, desired) = (self.containers.run, self.containers.desired);
        let spec = desired.job_spec(job, image.id(), self.store).map_err(|(path, error)| {
            let (name, hint) = (&job.settings.name, service_hint(&path, error.kind()));
            Fault::new(Code::CredentialMissing, format!("{name}: {}: {error}{hint}", path.display()))
        })?;
        let forced = run.order == Order::Migrate;
        let mut adopted = self.adoptable(&spec).await?;
        let done = self.store.state().done.get(&job.settings.name) == Some(&spec);
        if done && !forced && adopted.as_ref().is_none_or(|container| container.state != State::Running) {
            if let Some(left) = adopted {
                self.containers.remove(&left.id).await;
            }
            return Ok(Done::Before);
        }
        let tried = desired.tries_spec(&spec, self.store);
        let spent = self.store.state().tries.get(&tried).filter(|_| !forced);
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
        let result = retry::run(policy, async |attempt| {
            run.attempt(phase_of(job.settings.kind), used + attempt, Some(tries));
            let attempt = Attempt { job, spec: &spec, tried: &tried, number: used + attempt };
            self.attempt(attempt, image, adopted.take()).await
        });
        match result.await {
            Ok((moved, attempts)) => Ok(Done::Now { moved, attempts: used + attempts }),
            Err(GaveUp { error, attempts }) => Err(error.after(used + attempts)),
        }
    }

    /// A container that a crash left behind. Whatever it does, it is let finish;
    /// only the result of an equal job counts as this one's.
    async fn adoptable(&self, spec: &str) -> Result<Option<Container>, Fault> {
        let (run, engine) = (self.containers.run, self.containers.engine);
        let mut adopted = None;
        for found in engine.containers(Role::Migrate).await? {
            let Some(container) = self.begun(found).await? else { continue };
            let running = container.state == State::Running;
            if container.spec == spec && (running || adopted.is_none()) {
                adopted = Some(container);
                continue;
            }
            if running {
                tracing::info!(container = %container.name, "waiting for the job of an earlier run to end");
                let end = timeout(run.left(), engine.wait(&container.id)).await;
                end.map_err(|_| Fault::new(Code::MigrationTimeout, "a job of an earlier run does not end"))??;
            }
            if container.spec == spec || !self.wanted.contains(&container.spec) {
                self.containers.remove(&container.id).await;
            }
        }
        Ok(adopted)
    }

    /// The container, unless it was never started: such a one is removed.
    async fn begun(&self, container: Container) -> Result<Option<Container>, Fault> {
        if container.state != State::Created {
            return Ok(Some(container));
        }
        let engine = self.containers.engine;
        // The engine may still be about to start it, as the agent before us has asked.
        if engine.remove_unless_running(&container.id).await? {
            return Ok(None);
        }
        Ok(engine.inspect(&container.id).await?)
    }

    async fn attempt(
        &mut self,
        attempt: Attempt<'_>,
        image: &ImageReady,
        adopted: Option<Container>,
    ) -> Result<Option<Moved>, Verdict<Fault>> {
        // Until its end is written down, a reload waits; between two tries it need not.
        let _held = self.containers.run.hold();
        let Attempt { job, spec, tried, number } = attempt;
        let id = match adopted {
            Some(container) => container.id,
            None => self.containers.start(job, image, spec, number).await?,
        };
        let result = match timeout(job.settings.timeout, self.containers.follow(&id, job)).await {
            Ok(Ok(ended)) => outcome(&job.settings, ended),
            // It may still run, and there is never a second one: the next run adopts it.
            Ok(Err(error)) => return Err(Verdict::Final(error.into())),
            Err(_) => Err(Verdict::Final(self.containers.stop_slow(&id, job).await)),
        };
        // The result is stored before its evidence goes: a crash between repeats nothing.
        self.store.update(|state| match &result {
            Ok(_) => {
                state.done.insert(job.settings.name.clone(), spec.to_owned());
                state.tries.remove(tried);
            }
            Err(Verdict::Final(fault) | Verdict::Again(fault) | Verdict::After(fault, _)) => {
                let message = fault.message.clone();
                state.tries.insert(tried.to_owned(), Spent { count: number, code: fault.code, message });
            }
        });
        if let Err(Verdict::Again(fault)) = &result {
            let job = &job.settings.name;
            tracing::warn!(%job, attempt = number, fault = %fault.code, "the job failed");
        }
        self.containers.remove(&id).await;
        result
    }
}

/// The phase that a one-shot container runs in.
pub(super) const fn phase_of(kind: JobKind) -> PhaseName {
    match kind {
        JobKind::Job => PhaseName::Jobs,
        JobKind::Migration => PhaseName::Migrate,
    }
}
