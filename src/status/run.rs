//! The part of the status document that tells what the agent does: the run
//! and its phases.

use serde::{Deserialize, Serialize};

use super::names::named;
use super::omit::at_most_one;
use super::timestamp::Timestamp;

/// A run's unique name; never empty.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct RunId(pub(super) String);

impl RunId {
    /// A name that no other run has, whatever became of the count of runs.
    #[must_use]
    pub fn random(sequence: u64) -> Self {
        Self(format!("{sequence}-{:06x}", fastrand::u32(..0x100_0000)))
    }

    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// A run without a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a run's id is empty")]
pub struct EmptyRunId;

impl TryFrom<String> for RunId {
    type Error = EmptyRunId;

    fn try_from(text: String) -> Result<Self, EmptyRunId> {
        if text.is_empty() { Err(EmptyRunId) } else { Ok(Self(text)) }
    }
}

impl From<RunId> for String {
    fn from(id: RunId) -> Self {
        id.0
    }
}

impl std::fmt::Display for RunId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

/// One attempt to reach the desired state.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Run {
    /// Its name.
    pub id: RunId,
    /// Counts the runs of this instance, from 1.
    pub sequence: u64,
    /// `deployment.id` of the configuration, echoed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deployment: Option<String>,
    /// How it stands; once terminal, never rewritten.
    pub outcome: Outcome,
    /// The phase that runs, or that ended last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub phase: Option<PhaseName>,
    /// When it began.
    pub started: Timestamp,
    /// When it ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub finished: Option<Timestamp>,
    /// When it will have ended at the latest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deadline: Option<Timestamp>,
    /// The run that took its place.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub superseded_by: Option<RunId>,
}

impl Run {
    /// A run as it begins.
    #[must_use]
    pub fn begun(id: RunId, sequence: u64, started: Timestamp, deadline: Option<Timestamp>) -> Self {
        Self {
            id,
            sequence,
            deployment: None,
            outcome: Outcome::InProgress,
            phase: None,
            started,
            finished: None,
            deadline,
            superseded_by: None,
        }
    }
}

named! {
    /// How a run stands.
    Outcome {
        /// It goes on.
        InProgress "in_progress",
        /// The desired state is reached.
        Ready "ready",
        /// It was given up; `fault` says why.
        Failed "failed",
        /// A newer desired state cut it short.
        Superseded "superseded",
        /// It failed and the application before it serves again.
        RolledBack "rolled_back",
    }
}

impl Outcome {
    /// Whether the run has ended.
    #[must_use]
    pub const fn is_terminal(self) -> bool {
        !matches!(self, Outcome::InProgress)
    }
}

named! {
    /// A step of a run.
    PhaseName {
        /// Identity, parameters and secrets are read.
        Resolve "resolve",
        /// The image is pulled or built.
        Image "image",
        /// The database is waited for.
        Database "database",
        /// One-shot containers before the migration.
        Jobs "jobs",
        /// The migration.
        Migrate "migrate",
        /// The container is created and started.
        Start "start",
        /// The application is proved healthy.
        Health "health",
    }
}

named! {
    /// How a phase or the migration stands.
    PhaseState {
        /// Not begun.
        Pending "pending",
        /// Begun.
        Running "running",
        /// Ended well.
        Done "done",
        /// Ended badly.
        Failed "failed",
        /// Not wanted by the configuration.
        Skipped "skipped",
        /// Already so: nothing was to be done.
        Kept "kept",
        /// Cut short by a newer run, a signal or the deadline.
        Cut "cut",
    }
}

/// A phase on the run's time line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Phase {
    /// Which one.
    pub name: PhaseName,
    /// How it stands.
    pub state: PhaseState,
    /// When it began, in milliseconds from the start of the run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub start_ms: Option<u64>,
    /// How long it took, in milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ms: Option<u64>,
    /// Tries made, where more than one.
    #[serde(default, skip_serializing_if = "at_most_one")]
    pub attempts: u32,
    /// Tries allowed, where more than one was needed.
    #[serde(default, skip_serializing_if = "at_most_one")]
    pub tries: u32,
}

impl Phase {
    /// A phase that has not begun.
    #[must_use]
    pub const fn pending(name: PhaseName) -> Self {
        Self { name, state: PhaseState::Pending, start_ms: None, ms: None, attempts: 0, tries: 0 }
    }
}
