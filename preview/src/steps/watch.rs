//! The agent's status, watched in its parameter until there is an outcome.

use std::time::Duration;

use preview_agent::status::{Code, Document, Outcome, PhaseState, ServiceState, Timestamp};
use tokio::time::{Instant, sleep};

use super::failure::Failure;
use super::job::Job;
use crate::aws::{AwsError, State};
use crate::names::Preview;

/// How a watch ended.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum End {
    /// It serves.
    Ready,
    /// It failed, and no other try follows by itself.
    Failed,
    /// It goes on for longer than was waited.
    Going,
    /// Not a word from the agent.
    Silent,
    /// The instance is gone, or going.
    Gone(String),
    /// The pull request was closed.
    Closed,
    /// A newer commit was pushed.
    Superseded(String),
    /// AWS no longer answers this command: its credentials have ended, for one.
    Blind(Failure),
}

/// What is watched.
pub(super) struct Watch<'a> {
    pub(super) preview: &'a Preview,
    pub(super) instance: &'a str,
    pub(super) sha: &'a str,
    /// Limit of the whole watch.
    pub(super) limit: Duration,
}

impl Job {
    /// Watches until there is an outcome; the last document goes along.
    pub(super) async fn watch(&self, watch: &Watch<'_>) -> (End, Option<Document>) {
        let (begun, pace) = (Instant::now(), self.aws.pace);
        let (mut last, mut said) = (None::<Document>, String::new());
        let (mut instance_due, mut pull_due) = (begun, begun + pace.pull);
        loop {
            match self.document(watch.preview, watch.instance).await {
                // The store may answer with an older value for a moment.
                Ok(Some(document)) if is_older(&document, last.as_ref()) => {}
                // A dead agent's word is none.
                Ok(Some(document)) if document.expires_at < now() => {
                    last = Some(document);
                    if begun.elapsed() > pace.silence.min(watch.limit) {
                        return (End::Silent, last);
                    }
                }
                Ok(Some(document)) => {
                    let line = progress(&document);
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
                Err(error) if is_lost(&error) => return (End::Blind(error.into()), last),
                // Throttled, or away for a moment.
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
                    let why = instance.reason.unwrap_or_else(|| "nobody said why".to_owned());
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
            // What GitHub does not say now, it says at the next look.
            _ => None,
        }
    }

    /// The status that the agent of this very instance has written.
    ///
    /// # Errors
    /// AWS did not answer, or may not.
    pub(super) async fn document(
        &self,
        preview: &Preview,
        instance: &str,
    ) -> Result<Option<Document>, AwsError> {
        let Some(text) = self.aws.parameter(&preview.status()).await? else { return Ok(None) };
        let document: Option<Document> = serde_json::from_str(&text).ok();
        Ok(document.filter(|document| {
            let deployment = document.run.deployment.as_deref();
            document.instance.id.as_deref() == Some(instance)
                && deployment.is_none_or(|deployment| deployment == preview.deployment())
        }))
    }
}

fn is_older(document: &Document, last: Option<&Document>) -> bool {
    last.is_some_and(|last| document.heartbeat_at < last.heartbeat_at)
}

/// What no later look mends.
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
            // It was fine when it was deployed, and is not now.
            ServiceState::Down => Some(End::Failed),
            _ => None,
        },
        _ => None,
    }
}

/// What changes are told of.
fn progress(document: &Document) -> String {
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

/// The time as the status document writes it.
pub(super) fn now() -> Timestamp {
    std::time::SystemTime::now().into()
}
