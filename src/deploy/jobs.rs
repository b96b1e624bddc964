//! Jobs and the migration: one-shot containers, at most one on a host, ever.
//!
//! Such a container belongs to the database as much as to us: a reload or a
//! stop never cuts it, and one that a crash left behind is adopted, not doubled.

use std::time::Duration;

use futures_util::StreamExt as _;
use secrecy::ExposeSecret as _;
use tokio::time::{sleep, timeout};

use super::desired::{Desired, Job};
use super::judge::{Ended, Moved, command_missing, judge, used_up};
use super::log::{self, LogFile};
use super::phase::Progress;
use super::policy::Policy;
use super::pull::ImageReady;
use super::store::{Spent, Store};
use super::words;
use crate::config::service_hint;
use crate::docker::{self, Container, ContainerRequest, Engine, ExitStatus, Role, State};
use crate::redact::output::{Outputs, Tail};
use crate::retry::{self, GaveUp, Verdict};
use crate::status::{Code, Fault, PhaseName};

/// Every job is done; the application may start.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Migrated {
    /// The revisions that this run moved the database between, if it moved it.
    pub moved: Option<Moved>,
}

/// How one job came to be done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Done {
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

/// What running a job needs.
pub struct Jobs<'a> {
    /// The engine.
    pub engine: &'a Engine,
    /// The run's clock and status.
    pub progress: &'a Progress,
    /// Times.
    pub policy: &'a Policy,
    /// Records of what is done.
    pub store: &'a mut Store,
    /// The run's id.
    pub run: &'a str,
    /// The desired state.
    pub desired: &'a Desired,
    /// Specs of all its jobs and its migration: what a crash left of one of them is that one's to judge.
    pub wanted: Vec<String>,
    /// Run what the record says is done, too.
    pub force: bool,
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
    pub async fn run(&mut self, phase: PhaseName, job: &Job, image: &ImageReady) -> Result<Done, Fault> {
        let spec = self.desired.job_spec(job, &image.id, self.store).map_err(|(path, error)| {
            let hint = service_hint(&path, error.kind());
            Fault::new(Code::CredentialMissing, format!("{}: {}: {error}{hint}", job.name, path.display()))
        })?;
        let adopted = self.adoptable(&spec).await?;
        let done = self.store.state().done.get(&job.name) == Some(&spec);
        if done && !self.force && adopted.is_none() {
            return Ok(Done::Before);
        }
        let tried = self.desired.tries_spec(&spec, self.store);
        let spent = self.store.state().tries.get(&tried).filter(|_| !self.force);
        let used = spent.map_or(0, |spent| spent.count);
        let tries = self.desired.job_tries;
        if let Some(spent) = spent
            && spent.count >= tries
            && adopted.is_none()
        {
            return Err(used_up(spent));
        }
        let (first, max) = self.policy.job_wait;
        let policy =
            retry::Policy { tries: tries - used.min(tries - 1), first, max, total: self.progress.left() };
        let mut adopted = adopted;
        let result = retry::run(policy, async |attempt| {
            self.progress.attempt(phase, used + attempt, tries);
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
        let mut adopted = None;
        for found in self.engine.containers(Role::Migrate).await? {
            let Some(container) = self.begun(found).await? else { continue };
            let running = container.state == State::Running;
            if container.spec == spec && (running || adopted.is_none()) {
                adopted = Some(container);
                continue;
            }
            if running {
                tracing::info!(container = %container.name, "waiting for the job of an earlier run to end");
                let end = timeout(self.progress.left(), self.engine.wait(&container.id)).await;
                end.map_err(|_| Fault::new(Code::MigrationTimeout, "a job of an earlier run does not end"))??;
            }
            if container.spec == spec || !self.wanted.contains(&container.spec) {
                self.engine.remove(&container.id).await?;
            }
        }
        Ok(adopted)
    }

    /// The container, unless it was never started: such a one is removed.
    async fn begun(&self, container: Container) -> Result<Option<Container>, Fault> {
        if container.state != State::Created {
            return Ok(Some(container));
        }
        // The engine may still be about to start it, as the agent before us has asked.
        if self.engine.remove_unless_running(&container.id).await? {
            return Ok(None);
        }
        Ok(self.engine.inspect(&container.id).await?)
    }

    async fn attempt(
        &mut self,
        attempt: Attempt<'_>,
        image: &ImageReady,
        adopted: Option<Container>,
    ) -> Result<Option<Moved>, Verdict<Fault>> {
        // Until its end is written down, a reload waits; between two tries it need not.
        let _held = self.progress.hold();
        let Attempt { job, spec, tried, number } = attempt;
        let id = match adopted {
            Some(container) => container.id,
            None => self.launch(job, image, spec).await?,
        };
        let result = match timeout(job.timeout, self.observe(&id, job)).await {
            Ok(Ok(ended)) => judge(job, ended),
            // It may still run, and there is never a second one: the next run adopts it.
            Ok(Err(error)) => return Err(Verdict::Final(error.into())),
            Err(_) => Err(Verdict::Final(self.too_slow(&id, job).await)),
        };
        // The result is stored before its evidence goes: a crash between repeats nothing.
        self.store.update(|state| match &result {
            Ok(_) => {
                state.done.insert(job.name.clone(), spec.to_owned());
                state.tries.remove(tried);
            }
            Err(Verdict::Final(fault) | Verdict::Again(fault) | Verdict::After(fault, _)) => {
                let message = fault.message.clone();
                state.tries.insert(tried.to_owned(), Spent { count: number, code: fault.code, message });
            }
        });
        if let Err(Verdict::Again(fault)) = &result {
            tracing::warn!(job = %job.name, attempt = number, fault = %fault.code, "the job failed");
        }
        self.engine.remove(&id).await.map_err(|error| Verdict::Again(error.into()))?;
        result
    }

    async fn launch(&self, job: &Job, image: &ImageReady, spec: &str) -> Result<String, Verdict<Fault>> {
        let request = self.request(job, image, spec);
        let id = self.engine.create(request).await.map_err(|error| Verdict::Again(Fault::from(error)))?;
        match self.engine.start(&id).await {
            Ok(()) => Ok(id),
            Err(error) => {
                let missing = matches!(error, docker::Error::CommandMissing { .. });
                let fault = Fault::from(error);
                self.engine.remove(&id).await.map_err(|error| Verdict::Again(Fault::from(error)))?;
                Err(if missing {
                    Verdict::Final(Fault { code: command_missing(job), ..fault })
                } else {
                    Verdict::Again(fault)
                })
            }
        }
    }

    fn request(&self, job: &Job, image: &ImageReady, spec: &str) -> ContainerRequest {
        let app = &self.desired.app;
        let mut env: Vec<(String, String)> =
            app.env.iter().map(|(name, value)| (name.clone(), value.expose_secret().to_owned())).collect();
        let mut secret_names = app.secret_names.clone();
        // What libpq clients read (PostgreSQL documentation, "Environment Variables").
        for (name, value) in self.desired.database.iter().flat_map(crate::config::DatabaseUrl::libpq_env) {
            if name == "PGPASSWORD" {
                secret_names.push(name.to_owned());
            }
            env.push((name.to_owned(), value.expose_secret().to_owned()));
        }
        ContainerRequest {
            name: format!("{}-{}-{}", self.engine.scope().name(), job.name, self.run),
            role: Role::Migrate,
            run: self.run.to_owned(),
            spec: spec.to_owned(),
            image: image.reference.clone(),
            entrypoint: job.entrypoint.clone(),
            command: Some(job.command.clone()).filter(|command| !command.is_empty()),
            env,
            secret_names,
            files: job
                .files
                .iter()
                .map(|(inside, host)| (host.display().to_string(), inside.clone()))
                .collect(),
            publish: None,
            memory: app.memory,
        }
    }

    /// Follows a job's output to its end, keeping the last of it.
    async fn observe(&self, id: &str, job: &Job) -> Result<Ended, docker::Error> {
        let mut log = LogFile::open(self.store.folder(), "migrate.log");
        log.line(&format!("--- {} in run {}", job.name, self.run));
        let mut outputs = Outputs::new(&self.progress.redactor);
        let mut tail = Tail::default();
        let mut moved: Option<Moved> = None;
        let mut keep = |line: String| {
            if let Some((from, to)) = words::step(&line) {
                moved = Some((moved.take().map_or(from, |(first, _)| first), to));
            }
            log.line(&line);
            tail.push(line);
        };
        let mut output = std::pin::pin!(self.engine.follow_logs(id, None));
        while let Some(chunk) = output.next().await {
            match chunk {
                Ok((stream, chunk)) => outputs.push(stream, &chunk).into_iter().for_each(&mut keep),
                // The output may be lost with the engine; the exit code is asked for next.
                Err(error) => {
                    tracing::warn!(%error, "the job's output broke off");
                    break;
                }
            }
        }
        outputs.finish().for_each(&mut keep);
        let exit = self.wait(id).await?;
        Ok(Ended { exit, tail, moved })
    }

    /// The engine may be restarted while a job runs, so one broken connection proves nothing.
    async fn wait(&self, id: &str) -> Result<ExitStatus, docker::Error> {
        loop {
            match self.engine.wait(id).await {
                Err(docker::Error::Unavailable { .. } | docker::Error::Timeout { .. }) => {
                    sleep(Duration::from_secs(1)).await;
                }
                result => return result,
            }
        }
    }

    /// Stops it. Final: a second try would queue behind the locks of the first.
    async fn too_slow(&self, id: &str, job: &Job) -> Fault {
        let tail = log::tail(self.engine, id, &self.progress.redactor).await;
        if let Err(error) = self.engine.stop(id, self.policy.grace).await {
            tracing::warn!(%error, job = %job.name, "the job that took too long could not be stopped");
        }
        let message = format!("{} did not end within {} s and was stopped", job.name, job.timeout.as_secs());
        Fault::new(Code::MigrationTimeout, message).with_tail(tail.text())
    }
}
