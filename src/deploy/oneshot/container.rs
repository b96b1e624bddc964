//! The container of a job or of the migration, from its start to its end.

use std::path::PathBuf;
use std::time::Duration;

use futures_util::StreamExt as _;
use secrecy::ExposeSecret as _;
use tokio::time::{Instant, sleep};

use super::super::container_output::{LogFile, tail};
use super::super::faults::output_patterns;
use super::super::image::ImageReady;
use super::super::plan::{Desired, Job};
use super::super::run_context::RunContext;
use super::backends::{self, application};
use super::result::{Ended, Moved, command_missing};
use crate::config::DatabaseUrl;
use crate::docker::{self, ContainerRequest, Engine, ExitStatus, Role};
use crate::redact::output::{Outputs, Tail};
use crate::retry::Verdict;
use crate::status::{Code, Fault};

/// From where libpq takes the name of a session.
const APPLICATION_NAME: &str = "PGAPPNAME";

/// What running one-shot containers needs.
#[derive(Clone)]
pub(super) struct Containers<'a> {
    pub(super) run: &'a RunContext,
    pub(super) engine: &'a Engine,
    pub(super) desired: &'a Desired,
    /// The folder of their log.
    pub(super) logs: PathBuf,
}

impl Containers<'_> {
    /// Creates and starts the container of a job, and returns its id.
    ///
    /// # Errors
    /// What the engine says; final where the image has no such command.
    pub(super) async fn start(
        &self,
        job: &Job,
        image: &ImageReady,
        spec: &str,
        number: u32,
    ) -> Result<String, Verdict<Fault>> {
        let again = |error: docker::Error| Verdict::Again(Fault::from(error));
        let id = self.engine.create(self.request(job, image, spec, number)).await.map_err(again)?;
        match self.engine.start(&id).await {
            Ok(()) => Ok(id),
            Err(error) => {
                let missing = matches!(error, docker::Error::CommandMissing { .. });
                let fault = Fault::from(error);
                self.remove(&id).await;
                Err(if missing {
                    Verdict::Final(Fault { code: command_missing(job.settings.kind), ..fault })
                } else {
                    Verdict::Again(fault)
                })
            }
        }
    }

    /// Removes what has ended. Its result counts all the same, and what is left here is found by the next run.
    pub(super) async fn remove(&self, id: &str) {
        if let Err(error) = self.engine.remove(id).await {
            tracing::warn!(%error, container = id, "the job's container could not be removed");
            let note = format!("a job's container was not removed: {error}");
            self.run.reporter.update(|report| report.note(note));
        }
    }

    fn request(&self, job: &Job, image: &ImageReady, spec: &str, number: u32) -> ContainerRequest {
        let (run, desired, settings) = (&self.run.id, self.desired, &job.settings);
        let own = desired.env.iter().map(|(name, value)| (name.clone(), value.expose_secret().to_owned()));
        let mut env: Vec<(String, String)> = own.collect();
        let mut secret_names = desired.secret_names.clone();
        // What libpq clients read (PostgreSQL documentation, "Environment Variables").
        for (name, value) in desired.database.iter().flat_map(DatabaseUrl::libpq_env) {
            if name == "PGPASSWORD" {
                secret_names.push(name.to_owned());
            }
            env.push((name.to_owned(), value.expose_secret().to_owned()));
        }
        if !desired.env.iter().any(|(name, _)| name == APPLICATION_NAME) {
            env.push((APPLICATION_NAME.to_owned(), application(run.as_str(), &settings.name)));
        }
        // The container of the try before may still be there.
        let again = if number > 1 { format!(".{number}") } else { String::new() };
        let files = settings.files.iter().map(|(inside, host)| (host.display().to_string(), inside.clone()));
        ContainerRequest {
            name: format!("{}-{}{again}-{run}", self.engine.scope().name(), settings.name),
            role: Role::Migrate,
            run: run.to_string(),
            spec: spec.to_owned(),
            image: image.reference().to_owned(),
            entrypoint: settings.entrypoint.clone(),
            command: Some(settings.command.clone()).filter(|command| !command.is_empty()),
            env,
            secret_names,
            files: files.collect(),
            publish: None,
            memory: desired.config.app.memory,
        }
    }

    /// Follows a job's output to its end, keeping the last of it.
    ///
    /// # Errors
    /// The engine does not say how it ended; it may still run.
    pub(super) async fn follow(&self, id: &str, job: &Job) -> Result<Ended, docker::Error> {
        let mut log = LogFile::open(&self.logs, "migrate.log");
        log.line(&format!("--- {} in run {}", job.settings.name, self.run.id));
        let mut outputs = Outputs::new(&self.run.redactor);
        let mut tail = Tail::default();
        let mut moved: Option<Moved> = None;
        let mut keep = |line: String| {
            if let Some((from, to)) = output_patterns::step(&line) {
                let from = moved.take().map_or(from, |first| first.from);
                moved = Some(Moved { from, to });
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

    /// Stops a job that took too long, and its sessions in the server with it. Final: a second try would
    /// queue behind the locks of the first.
    pub(super) async fn stop_slow(&self, id: &str, job: &Job, sessions: &str, age: Duration) -> Fault {
        let (name, limit, begun) = (&job.settings.name, job.settings.timeout.as_secs(), Instant::now());
        let tail = tail(self.engine, id, &self.run.redactor).await;
        let blockers = backends::blockers(self.run, self.desired, sessions).await;
        if let Err(error) = self.engine.stop(id, self.run.timings.grace).await {
            tracing::warn!(%error, job = %name, "the job that took too long could not be stopped");
        }
        let candidates = backends::end(self.run, self.desired, sessions, age + begun.elapsed()).await;
        let mut message = format!("{name} did not end within {limit} s and was stopped");
        if let Some(blockers) = blockers {
            message += &format!("; it waited for a lock that is held by {blockers}");
        } else if let Some(candidates) = candidates {
            message += &format!("; sessions that wait for a lock and may be its own: {candidates}");
        }
        Fault::new(Code::MigrationTimeout, message).with_tail(tail.text())
    }
}
