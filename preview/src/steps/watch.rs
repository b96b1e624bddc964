//! Watches the agent's status parameter until there is an outcome.

use std::time::Duration;

use preview_agent::status::{Code, Document, Outcome, PhaseState, ServiceState, Timestamp};
use tokio::time::{Instant, sleep};

use super::failure::Failure;
use super::job::Job;
use crate::aws::{AwsError, Instance, State};
use crate::names::{PULL_REQUEST, PURPOSE, Preview, REPOSITORY, deployment};

/// How a watch ended.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum End {
    /// The application serves.
    Ready,
    /// The deployment failed, and the agent does not try again by itself.
    Failed,
    /// The deployment takes longer than the limit.
    Going,
    /// The agent does not report, or no longer.
    Silent,
    /// The instance is gone or terminates.
    Gone(String),
    /// The pull request was closed.
    Closed,
    /// A newer commit was pushed.
    Superseded(String),
    /// AWS no longer answers this command, for example because its credentials have expired.
    NoAccess(Failure),
}

/// A preview to watch.
pub(super) struct Watch<'a> {
    pub(super) preview: &'a Preview,
    pub(super) instance: &'a str,
    pub(super) sha: &'a str,
    /// Time limit of the whole watch.
    pub(super) limit: Duration,
}

impl Job {
    /// Watches until there is an outcome; returns it with the last document.
    pub(super) async fn watch(&self, watch: &Watch<'_>) -> (End, Option<Document>) {
        let (begun, pace) = (Instant::now(), self.aws.pace);
        let (mut last, mut said) = (None::<Document>, String::new());
        let (mut instance_due, mut pull_due) = (begun, begun + pace.pull);
        loop {
            match self.document(watch.preview, watch.instance).await {
                // The store may answer with an older value for a moment.
                Ok(Some(document)) if is_older(&document, last.as_ref()) => {}
                // A dead agent's status does not count.
                Ok(Some(document)) if document.expires_at < now() => {
                    last = Some(document);
                    if begun.elapsed() > pace.silence.min(watch.limit) {
                        return (End::Silent, last);
                    }
                }
                Ok(Some(document)) => {
                    let line = progress_line(&document);
                    if line != said {
                        self.output.quote(&format!("{:>4} s  {line}", begun.elapsed().as_secs()));
                        said = line;
                    }
                    let end = outcome(&document);
                    last = Some(document);
                    if let Some(end) = end {
                        return (end, last);
                    }
                }
                Ok(None) if begun.elapsed() > pace.silence.min(watch.limit) => return (End::Silent, last),
                Ok(None) => {}
                Err(error) if is_lost(&error) => return (End::NoAccess(error.into()), last),
                // Throttled, or no answer for a moment.
                Err(_) => {}
            }
            if begun.elapsed() >= watch.limit {
                return (if last.is_some() { End::Going } else { End::Silent }, last);
            }
            let at = Instant::now();
            if at >= instance_due {
                instance_due = at + pace.instance;
                if let Ok(Some(instance)) = self.aws.instance(watch.instance).await
                    && (instance.state.is_over() || instance.state == State::Stopped)
                {
                    let why = instance.reason.unwrap_or_else(|| "AWS gives no reason".to_owned());
                    return (End::Gone(why), last);
                }
            }
            if at >= pull_due {
                pull_due = at + pace.pull;
                if let Some(end) = self.is_still_wanted(watch).await {
                    return (end, last);
                }
            }
            sleep(pace.parameter).await;
        }
    }

    async fn is_still_wanted(&self, watch: &Watch<'_>) -> Option<End> {
        match self.github.as_ref()?.pull(watch.preview.number).await {
            Ok(None) => Some(End::Closed),
            Ok(Some(pull)) if !pull.open => Some(End::Closed),
            Ok(Some(pull)) if !watch.sha.is_empty() && pull.head != watch.sha => {
                Some(End::Superseded(pull.head))
            }
            // The next check asks GitHub again.
            _ => None,
        }
    }

    /// The status that the agent of this very instance wrote.
    ///
    /// # Errors
    /// AWS did not answer, or denies it.
    pub(super) async fn document(
        &self,
        preview: &Preview,
        instance: &str,
    ) -> Result<Option<Document>, AwsError> {
        self.document_in(&preview.status(), preview.number, instance).await
    }

    /// The same for an instance of any repository and folder: its tags lead to the parameter.
    ///
    /// # Errors
    /// AWS did not answer, or denies it.
    pub(super) async fn status_of(&self, instance: &Instance) -> Result<Option<Document>, AwsError> {
        let Some(number) = instance.number() else { return Ok(None) };
        let tags = [PURPOSE, REPOSITORY, PULL_REQUEST];
        let tags = tags.map(|name| (name, instance.tags.get(name).map_or("", String::as_str)));
        for name in self.aws.tagged_names(&tags).await?.iter().filter(|name| name.ends_with("/status")) {
            if let Some(document) = self.document_in(name, number, &instance.id).await? {
                return Ok(Some(document));
            }
        }
        Ok(None)
    }

    async fn document_in(
        &self,
        parameter: &str,
        number: u64,
        instance: &str,
    ) -> Result<Option<Document>, AwsError> {
        let Some(text) = self.aws.parameter(parameter).await? else { return Ok(None) };
        let document: Option<Document> = serde_json::from_str(&text).ok();
        Ok(document.filter(|document| {
            let of = document.run.deployment.as_deref();
            document.instance.id.as_deref() == Some(instance) && of.is_none_or(|of| of == deployment(number))
        }))
    }
}

fn is_older(document: &Document, last: Option<&Document>) -> bool {
    last.is_some_and(|last| document.heartbeat_at < last.heartbeat_at)
}

/// An error that a later try does not mend.
fn is_lost(error: &AwsError) -> bool {
    matches!(error, AwsError::Denied { .. } | AwsError::Credentials { .. } | AwsError::Rejected { .. })
}

/// The outcome, if there is one.
fn outcome(document: &Document) -> Option<End> {
    let bootstrap = document.fault.as_ref().is_some_and(|fault| fault.code == Code::BootstrapFailed);
    match document.run.outcome {
        Outcome::Failed if bootstrap => Some(End::Failed),
        Outcome::Failed | Outcome::RolledBack if document.next_try_at.is_none() => Some(End::Failed),
        Outcome::Ready => match document.service.state {
            ServiceState::Up => Some(End::Ready),
            // It was deployed and has failed since.
            ServiceState::Down => Some(End::Failed),
            _ => None,
        },
        _ => None,
    }
}

/// One line on the deployment's progress.
fn progress_line(document: &Document) -> String {
    if document.run.outcome != Outcome::InProgress {
        return document.verdict.clone();
    }
    let doing = document.phases.iter().filter(|phase| phase.state == PhaseState::Running);
    let doing: Vec<String> = doing
        .map(|phase| {
            if phase.attempts > 1 {
                format!("{} (try {})", phase.name, phase.attempts)
            } else {
                phase.name.to_string()
            }
        })
        .collect();
    if doing.is_empty() { "in progress".to_owned() } else { format!("in progress: {}", doing.join(", ")) }
}

/// The time in the form of the status document.
pub(super) fn now() -> Timestamp {
    std::time::SystemTime::now().into()
}
