//! The part of the status document that tells what the agent does: the run
//! and its phases.

use serde::{Deserialize, Serialize};

use super::names::named;
use super::timestamp::Timestamp;

/// One attempt to reach the desired state.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Run {
    /// Unique name of the run.
    pub id: String,
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
    pub superseded_by: Option<String>,
}

impl Run {
    /// A run as it begins.
    #[must_use]
    pub fn begun(id: &str, sequence: u64, started: Timestamp, deadline: Option<Timestamp>) -> Self {
        Self {
            id: id.to_owned(),
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

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it with a reference")]
pub(super) fn at_most_one(count: &u32) -> bool {
    *count <= 1
}
