//! What there is to tell of a preview.

use ipnet::IpNet;
use preview_agent::status::Document;

use crate::settings::Refused;

/// How it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Turn {
    /// An instance is being launched.
    Starting,
    /// The instance is there, and at work for longer than this command waits.
    Going,
    /// It serves.
    Ready,
    /// It does not.
    Failed,
    /// This command was told to stop; the instance goes on.
    Cancelled,
    /// Another pull request has taken its place.
    Replaced(u64),
    /// The pull request is closed, and nothing is left.
    Closed,
    /// The pull request is closed, and something is left.
    Left,
}

/// What was fetched to explain a failure.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Evidence {
    /// Where it comes from, as in `agent logs migrate`.
    pub from: String,
    /// The text; a stranger's.
    pub text: String,
}

/// All of it. Texts of `reason`, `document` and `evidence` may be a stranger's.
#[derive(Debug, Clone)]
pub struct Told {
    /// How it stands.
    pub turn: Turn,
    /// The commit.
    pub sha: String,
    /// The preview's address, once it has one.
    pub url: Option<String>,
    /// The instance, once there is one.
    pub instance: Option<String>,
    /// Who may open the address.
    pub viewers: Vec<IpNet>,
    /// What the agent said last.
    pub document: Option<Document>,
    /// What this command has to say, where the agent has nothing or not all.
    pub reason: Option<String>,
    /// What explains a failure.
    pub evidence: Vec<Evidence>,
    /// Settings of the pull request that are not taken.
    pub refused: Vec<Refused>,
    /// What else a reader should know.
    pub notes: Vec<String>,
    /// The run that tells this.
    pub run_url: Option<String>,
}

impl Told {
    /// Of this commit, before anything is known.
    #[must_use]
    pub fn starting(sha: &str, run_url: Option<String>) -> Self {
        Self {
            turn: Turn::Starting,
            sha: sha.to_owned(),
            url: None,
            instance: None,
            viewers: Vec::new(),
            document: None,
            reason: None,
            evidence: Vec::new(),
            refused: Vec::new(),
            notes: Vec::new(),
            run_url,
        }
    }

    /// The one line: the agent's verdict, else what this command has to say.
    #[must_use]
    pub fn line(&self) -> String {
        let verdict = self.document.as_ref().map(|document| document.verdict.clone());
        match (self.reason.clone(), verdict) {
            (Some(reason), Some(verdict)) => format!("{reason} The agent's last word: {verdict}"),
            (reason, verdict) => reason.or(verdict).unwrap_or_default(),
        }
    }
}
