//! The status parameter before the agent writes it, and previews whose state is out of date: the run that launched
//! them was killed, or their agent no longer reports.

use std::time::Duration;

use preview_agent::status::{Document, Timestamp};
use serde::{Deserialize, Serialize};

use super::job::Job;
use super::watch::now;
use crate::aws::{AwsError, Instance};
use crate::names::{REPOSITORY, Repository, number};

/// What a run writes to the status parameter when it begins a launch, as JSON.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Launching {
    launching_for: String,
    since: Timestamp,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    run: Option<String>,
}

impl Launching {
    /// A launch that begins now.
    pub(super) fn begin(job: &Job) -> Self {
        Self { launching_for: job.repository.to_string(), since: now(), run: job.run_url.clone() }
    }

    /// The launch in this text; `None` if it is another text, such as the agent's status.
    pub(super) fn read(text: &str) -> Option<Self> {
        serde_json::from_str(text).ok()
    }

    pub(super) fn text(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }

    /// Whether it is this repository's.
    pub(super) fn is_for(&self, repository: &Repository) -> bool {
        self.launching_for.parse().as_ref() == Ok(repository)
    }
}

/// A pull request of this repository that has a status parameter and no instance.
pub(super) struct Orphan {
    pub(super) number: u64,
    /// What is known of it, in one line.
    pub(super) line: String,
    pub(super) since: Timestamp,
    pub(super) is_stale: bool,
}

impl Job {
    /// Why this instance's state is out of date; `None` if its agent reports or still has time for its first report.
    pub(super) fn stale(&self, instance: &Instance, document: Option<&Document>) -> Option<String> {
        match document {
            Some(document) if document.expires_at < now() => Some(format!(
                "stale: the agent no longer reports; at {} it said: {}",
                document.heartbeat_at, document.verdict
            )),
            Some(_) => None,
            None if is_older(now().unix() - instance.launched, self.aws.pace.silence) => Some(
                "stale: the agent has not reported since the launch; `preview logs` shows the console"
                    .to_owned(),
            ),
            None => None,
        }
    }

    /// Launches of this repository that have no instance, beside these instances: a run is about to launch one, or was
    /// killed before. An error is a warning only: nothing else depends on them.
    pub(super) async fn orphans(&self, instances: &[Instance]) -> Vec<Orphan> {
        self.find_orphans(instances).await.unwrap_or_else(|error| {
            self.output.warn(&format!("launches without an instance are not known: {error}"));
            Vec::new()
        })
    }

    async fn find_orphans(&self, instances: &[Instance]) -> Result<Vec<Orphan>, AwsError> {
        let ours = |instance: &&Instance| instance.repository().as_ref() == Some(&self.repository);
        let mut orphans = Vec::new();
        for name in self.aws.tagged_names(&[(REPOSITORY, &self.repository.to_string())]).await? {
            let of = name.strip_suffix("/status").and_then(|folder| number(folder.rsplit('/').next()?));
            let Some(number) = of else { continue };
            if instances.iter().filter(ours).any(|instance| instance.number() == Some(number)) {
                continue;
            }
            let text = self.aws.parameter(&name).await?.unwrap_or_default();
            let (since, line) = if let Some(Launching { since, run, .. }) = Launching::read(&text) {
                let by = run.map(|run| format!(" by {run}")).unwrap_or_default();
                (since, format!("launching since {since}{by}"))
            } else if let Ok(document) = serde_json::from_str::<Document>(&text)
                // Another pull request's preview has replaced it.
                && !instances.iter().filter(ours).any(Instance::is_shared)
            {
                let since = document.heartbeat_at;
                (since, format!("without an instance since {since}"))
            } else {
                continue;
            };
            let is_stale = is_older(now().unix() - since.unix(), self.aws.pace.silence);
            let line = match is_stale {
                true => format!("stale: {line}; push again, or re-run its workflow"),
                false => line,
            };
            orphans.push(Orphan { number, line, since, is_stale });
        }
        Ok(orphans)
    }
}

fn is_older(seconds: i64, limit: Duration) -> bool {
    u64::try_from(seconds).is_ok_and(|seconds| seconds > limit.as_secs())
}
