//! The facts of a report.

use ipnet::IpNet;
use preview_agent::status::Document;

use crate::settings::Refused;

/// The stage that a preview has reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Stage {
    /// An instance is being launched.
    Starting,
    /// The instance is still deploying; this command waits no longer.
    Going,
    /// The application serves.
    Ready,
    /// The preview failed.
    Failed,
    /// Somebody cancelled this command; the instance goes on.
    Cancelled,
    /// Another pull request's preview replaced it.
    Replaced(u64),
    /// The pull request is closed, and everything is removed.
    Closed,
    /// The pull request is closed, and something could not be removed.
    Left,
}

/// A log that explains a failure.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Evidence {
    /// Where it comes from, as in `agent logs migrate`.
    pub from: String,
    /// The text; untrusted.
    pub text: String,
}

/// All facts. The texts of `reason`, `document` and `evidence` are untrusted.
#[derive(Debug, Clone)]
pub struct Report {
    /// The stage.
    pub stage: Stage,
    /// The commit.
    pub sha: String,
    /// The preview's address, once it has one.
    pub url: Option<String>,
    /// The instance, once there is one.
    pub instance: Option<String>,
    /// Who may open the address.
    pub viewers: Vec<IpNet>,
    /// Whether the port is published on a loopback address, which nobody else can reach.
    pub is_local: bool,
    /// The agent's last status.
    pub document: Option<Document>,
    /// What this command adds, where the agent's status does not say it all.
    pub reason: Option<String>,
    /// Logs that explain a failure.
    pub evidence: Vec<Evidence>,
    /// Settings of the pull request's file that do not apply to it.
    pub refused: Vec<Refused>,
    /// What else a reader should know.
    pub notes: Vec<String>,
    /// The URL of the workflow run that writes this.
    pub run_url: Option<String>,
}

impl Report {
    /// The report on this commit before anything is known.
    #[must_use]
    pub fn starting(sha: &str, run_url: Option<String>) -> Self {
        Self {
            stage: Stage::Starting,
            sha: sha.to_owned(),
            url: None,
            instance: None,
            viewers: Vec::new(),
            is_local: false,
            document: None,
            reason: None,
            evidence: Vec::new(),
            refused: Vec::new(),
            notes: Vec::new(),
            run_url,
        }
    }

    /// One line: the agent's verdict, this command's reason, or both.
    #[must_use]
    pub fn line(&self) -> String {
        let verdict = self.document.as_ref().map(|document| document.verdict.clone());
        match (self.reason.clone(), verdict) {
            (Some(reason), Some(verdict)) => format!("{reason} The agent's last status: {verdict}"),
            (reason, verdict) => reason.or(verdict).unwrap_or_default(),
        }
    }
}
