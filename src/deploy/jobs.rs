//! Jobs and the migration: one-shot containers, at most one on a host, ever.
//!
//! Such a container belongs to the database as much as to us: a reload or a
//! stop never cuts it, and one that a crash left behind is adopted, not doubled.

use std::time::Duration;

use futures_util::StreamExt as _;
use secrecy::ExposeSecret as _;
use tokio::time::{sleep, timeout};

use super::desired::{Desired, Job};
use super::log::{self, LogFile};
use super::phase::Progress;
use super::policy::Policy;
use super::pull::ImageReady;
use super::store::{Spent, Store};
use super::words;
use crate::docker::{self, Container, ContainerRequest, Engine, ExitStatus, Role, State};
use crate::redact::output::{Lines, Tail};
use crate::retry::{self, GaveUp, Verdict};
use crate::status::{Code, Fault, PhaseName};

/// Every job is done; the application may start.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Migrated {
    /// The revisions that this run moved the database between, if it moved it.
    pub moved: Option<(Option<String>, String)>,
}

/// How one job came to be done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Done {
    /// The record says an equal one has finished before.
    Before,
    /// It ran.
    Now {
        /// Revisions as alembic printed them.
        moved: Option<(Option<String>, String)>,
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
    /// Run what the record says is done, too.
    pub force: bool,
}

/// One try's end.
struct Ended {
    exit: ExitStatus,
    tail: Tail,
    moved: Option<(Option<String>, String)>,
}

impl Jobs<'_> {
    /// Runs one job unless its record says it is done.
    ///
    /// # Errors
    /// The last try's fault with the job's last output.
    pub async fn run(&mut self, phase: PhaseName, job: &Job, image: &ImageReady) -> Result<Done, Fault> {
        let spec = self.desired.job_spec(job, &image.id, self.store).map_err(|(path, error)| {
            Fault::new(Code::CredentialMissing, format!("{}: {}: {error}", job.name, path.display()))
        })?;
        let adopted = self.adoptable(&spec).await?;
        let done = self.store.state().done.get(&job.name) == Some(&spec);
        if done && !self.force && adopted.is_none() {
            return Ok(Done::Before);
        }
        let used =
            if self.force { 0 } else { self.store.state().tries.get(&spec).map_or(0, |spent| spent.count) };
        let tries = self.desired.job_tries;
        if used >= tries && adopted.is_none() {
            return Err(self.used_up(job, &spec));
        }
        let (first, max) = self.policy.job_wait;
        let policy =
            retry::Policy { tries: tries - used.min(tries - 1), first, max, total: self.progress.left() };
        let mut adopted = adopted;
        let result = retry::run(policy, async |attempt| {
            self.progress.attempt(phase, used + attempt, tries);
            self.attempt(job, image, &spec, used + attempt, adopted.take()).await
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
        for container in self.engine.containers(Role::Migrate).await? {
            match container.state {
                State::Created => self.engine.remove(&container.id).await?,
                State::Exited if container.spec == spec && adopted.is_none() => adopted = Some(container),
                State::Exited => self.engine.remove(&container.id).await?,
                State::Running if container.spec == spec => adopted = Some(container),
                State::Running => {
                    tracing::info!(container = %container.name, "waiting for the job of an earlier run to end");
                    let end = timeout(self.progress.left(), self.engine.wait(&container.id)).await;
                    end.map_err(|_| {
                        Fault::new(Code::MigrationTimeout, "a job of an earlier run does not end")
                    })??;
                    self.engine.remove(&container.id).await?;
                }
            }
        }
        Ok(adopted)
    }

    async fn attempt(
        &mut self,
        job: &Job,
        image: &ImageReady,
        spec: &str,
        number: u32,
        adopted: Option<Container>,
    ) -> Result<Option<(Option<String>, String)>, Verdict<Fault>> {
        // Until its end is written down, a reload waits; between two tries it need not.
        let _held = self.progress.hold();
        let id = match adopted {
            Some(container) => container.id,
            None => self.launch(job, image, spec).await?,
        };
        let limit = job.timeout.min(self.progress.left());
        let ended = timeout(limit, self.observe(&id, job)).await;
        let Ok(ended) = ended else {
            return Err(Verdict::Final(self.too_slow(&id, job, limit).await));
        };
        let ended = ended.map_err(|error| Verdict::Again(error.into()))?;
        // The result is stored before its evidence goes: a crash between repeats nothing.
        let fault = (ended.exit.code != 0 || ended.exit.out_of_memory).then(|| failed(job, &ended));
        match &fault {
            None => self.store.update(|state| {
                state.done.insert(job.name.clone(), spec.to_owned());
                state.tries.remove(spec);
            }),
            Some(fault) => self.store.update(|state| {
                let spent = Spent { count: number, message: fault.message.clone() };
                state.tries.insert(spec.to_owned(), spent);
            }),
        }
        self.engine.remove(&id).await.map_err(|error| Verdict::Again(error.into()))?;
        match fault {
            None => Ok(ended.moved),
            Some(fault) if words::is_final(fault.code) => Err(Verdict::Final(fault)),
            Some(fault) => {
                tracing::warn!(job = %job.name, attempt = number, fault = %fault.code.name(), "the job failed");
                Err(Verdict::Again(fault))
            }
        }
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
        let mut lines = Lines::new(self.progress.redactor.clone());
        let mut tail = Tail::default();
        let mut steps: Vec<String> = Vec::new();
        let mut keep = |line: String| {
            if line.contains("Running upgrade ") && steps.len() < 10_000 {
                steps.push(line.clone());
            }
            log.line(&line);
            tail.push(line);
        };
        let mut output = std::pin::pin!(self.engine.follow_logs(id, None));
        while let Some(chunk) = output.next().await {
            match chunk {
                Ok(chunk) => lines.push(&chunk).into_iter().for_each(&mut keep),
                // The output may be lost with the engine; the exit code is asked for next.
                Err(error) => {
                    tracing::warn!(%error, "the job's output broke off");
                    break;
                }
            }
        }
        lines.finish().into_iter().for_each(&mut keep);
        let exit = self.wait(id).await?;
        let moved = words::revisions(steps.iter().map(String::as_str));
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

    /// Final: a second try would queue behind the locks of the first.
    async fn too_slow(&self, id: &str, job: &Job, limit: Duration) -> Fault {
        let tail = log::tail(self.engine, id, &self.progress.redactor).await.text();
        let stopped = async {
            self.engine.stop(id, self.policy.grace).await?;
            self.engine.remove(id).await
        };
        if let Err(error) = stopped.await {
            tracing::warn!(%error, job = %job.name, "the job that took too long could not be removed");
        }
        let message = format!("{} did not end within {} s and was stopped", job.name, limit.as_secs());
        let code = if limit < job.timeout { Code::DeadlineExceeded } else { Code::MigrationTimeout };
        Fault::new(code, message).with_tail(tail)
    }

    fn used_up(&self, job: &Job, spec: &str) -> Fault {
        let spent = self.store.state().tries.get(spec);
        let count = spent.map_or(0, |spent| spent.count);
        let words = spent.map_or("", |spent| spent.message.as_str());
        let message = format!("all {count} tries were used before the agent was restarted: {words}");
        Fault::new(job_code(job), message).after(count)
    }
}

/// The fault of a job that ended badly.
fn failed(job: &Job, ended: &Ended) -> Fault {
    let text = ended.tail.text();
    let code = if ended.exit.out_of_memory {
        Code::AppOomKilled
    } else {
        words::meaning(&text).filter(|code| *code != Code::MigrationCommandMissing).unwrap_or_else(|| {
            // The shell's words for a command that is not there (POSIX, section 2.8.2).
            if ended.exit.code == 127 { command_missing(job) } else { job_code(job) }
        })
    };
    let last = ended.tail.lines().rfind(|line| !line.trim().is_empty()).unwrap_or("no output");
    let message = format!("{} ended with exit code {}: {last}", job.name, ended.exit.code);
    Fault::new(code, message).with_tail(text)
}

fn job_code(job: &Job) -> Code {
    if job.name == "migrate" { Code::MigrationFailed } else { Code::JobFailed }
}

fn command_missing(job: &Job) -> Code {
    if job.name == "migrate" { Code::MigrationCommandMissing } else { Code::JobFailed }
}
