//! What survives the process: the last good deployment, finished migrations, used-up tries.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::databases::Databases;
use crate::config::{Endpoint, Publish, Stage};
use crate::status::{Code, Fault, PhaseName, Serving};

/// The stored facts. A torn or foreign file counts as empty: everything in
/// here only saves work, so losing it costs a repetition, never correctness.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct State {
    /// Runs so far.
    #[serde(default)]
    pub sequence: u64,
    /// The deployment that was last proven healthy.
    #[serde(default)]
    pub last_good: Option<LastGood>,
    /// What failed by its own fault while something else served.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub known_bad: Option<KnownBad>,
    /// What became of each database.
    #[serde(default, skip_serializing_if = "Databases::is_empty")]
    pub databases: Databases,
    /// Finished jobs by name, as earlier agents recorded them: an HMAC of what each was made from.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub done: BTreeMap<String, String>,
    /// Used-up tries by the HMAC of what was tried, secrets included.
    #[serde(default)]
    pub tries: BTreeMap<String, Spent>,
}

/// A desired state that failed by a fault of its application, which a second try does not mend: each
/// one takes down what serves meanwhile.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KnownBad {
    /// HMAC of the application's container as it was to be.
    pub spec: String,
    /// Where it failed.
    pub phase: PhaseName,
    /// The fault's code.
    pub code: Code,
    /// The fault's message, redacted.
    pub message: String,
    /// Its last output, redacted.
    pub tail: String,
}

impl KnownBad {
    /// The fault of a run that leaves it alone.
    #[must_use]
    pub fn fault(&self) -> Fault {
        Fault::new(self.code, format!("failed before and is not tried again unasked: {}", self.message))
            .with_tail(self.tail.clone())
    }
}

/// What tries were spent on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Spent {
    /// Tries used up.
    pub count: u32,
    /// The last fault's code.
    pub code: Code,
    /// The last fault's message, redacted.
    pub message: String,
}

/// A deployment that was proven healthy.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LastGood {
    /// HMAC of the configuration file's bytes.
    pub config: String,
    /// The container's id.
    pub container: String,
    /// What the status says of it.
    pub serving: Serving,
    /// How it is watched.
    pub watched: Watched,
}

/// How a proven application is watched, also by an agent that was started
/// later and whose configuration may say something else by then.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Watched {
    /// Where the host publishes it.
    pub publish: Publish,
    /// The stages that held.
    pub stages: Vec<Stage>,
    /// The database's endpoints, without user and password.
    pub endpoints: Vec<Endpoint>,
    /// Whether the database speaks PostgreSQL.
    pub postgres: bool,
}
