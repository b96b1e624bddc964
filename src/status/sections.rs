//! The sections of the status document that say what the world looks like: the
//! service, its image, the instance, the database, and what went wrong.

use serde::{Deserialize, Serialize};

use super::fault::{Class, Code, Fault};
use super::names::named;
use super::omit::{at_most_one, is_default};
use super::run::{PhaseName, PhaseState, RunId};
use super::timestamp::Timestamp;

/// What is true of the application now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Service {
    /// Its state.
    pub state: ServiceState,
    /// Since when.
    pub since: Timestamp,
    /// Why it is not up.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cause: Option<Cause>,
}

named! {
    /// The state of the application.
    ServiceState {
        /// It serves and is healthy.
        Up "up",
        /// It runs, but something is wrong with it or with what it needs.
        Degraded "degraded",
        /// It should run and does not.
        Down "down",
        /// There is none yet.
        None "none",
        /// The agent was stopped cleanly; nobody looks.
        Unwatched "unwatched",
    }
}

/// Why the application is not up.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cause {
    /// Whose fault it is.
    pub class: Class,
    /// The fault, where it is one of the list.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<Code>,
    /// What was seen.
    pub message: String,
    /// The application's last output, where it ended.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub tail: String,
}

impl From<&Fault> for Cause {
    fn from(fault: &Fault) -> Self {
        let Fault { code, message, tail, .. } = fault.clone();
        Self { class: code.class(), code: Some(code), message, tail }
    }
}

/// What answers requests now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Serving {
    /// The image as it was asked for.
    pub image: String,
    /// Its digest, if it was pulled.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub digest: Option<String>,
    /// Its commit, if it was built.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub commit: Option<String>,
    /// The run that started it.
    pub run: RunId,
    /// Since when it serves.
    pub since: Timestamp,
}

/// The image of a run.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Image {
    /// The reference as it was asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub requested: Option<String>,
    /// What the reference stood for: `sha256:…`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub digest: Option<String>,
    /// Where the image came from; absent until it is there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<ImageSource>,
    /// The commit it was built from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub commit: Option<String>,
    /// Why it is built and not pulled; set before the build begins.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why_built: Option<String>,
    /// How far the transfer has come.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub progress: Option<Progress>,
}

named! {
    /// Where an image came from.
    ImageSource {
        /// A registry.
        Pulled "pulled",
        /// The source, on this instance.
        Built "built",
    }
}

/// How far a transfer has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Progress {
    /// Bytes received.
    pub bytes: u64,
    /// Bytes in all, as far as known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub total: Option<u64>,
}

/// The instance, as its metadata service tells.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Instance {
    /// `i-…`
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// For example `eu-central-1`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub region: Option<String>,
    /// Availability zone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub az: Option<String>,
    /// Instance type.
    #[serde(default, rename = "type", skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// Private IPv4 address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub private_ip: Option<String>,
    /// Public IPv4 address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub public_ip: Option<String>,
}

/// The database.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Database {
    /// `host:port`, without user or password.
    pub endpoint: String,
    /// What was seen of it.
    pub state: DatabaseState,
}

named! {
    /// What was seen of the database.
    DatabaseState {
        /// Not reached yet.
        Waiting "waiting",
        /// It answered.
        Reachable "reachable",
        /// It answers no more, or was given up.
        Unreachable "unreachable",
    }
}

/// The migration.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Migration {
    /// How it stands; `kept` is "the record says it is done".
    pub state: PhaseState,
    /// Revision before; absent if it started from nothing or moved nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
    /// Revision after.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<String>,
    /// Tries made, where more than one.
    #[serde(default, skip_serializing_if = "at_most_one")]
    pub attempts: u32,
}

/// The application's container.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct App {
    /// Its name or short id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub container: Option<String>,
    /// How often Docker has restarted it.
    #[serde(default, skip_serializing_if = "is_default")]
    pub restarts: u64,
    /// Where it can be reached.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
}

/// A health stage's last probe.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HealthStage {
    /// `tcp`, or the path asked for.
    pub stage: String,
    /// Whether it holds.
    pub ok: bool,
    /// Whether it was left out because the application does not serve it.
    #[serde(default, skip_serializing_if = "is_default")]
    pub skipped: bool,
    /// HTTP status.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    /// Latency in milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ms: Option<u64>,
}

/// Why a run failed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FaultReport {
    /// The entry of the closed list.
    pub code: Code,
    /// Whose fault it is.
    pub class: Class,
    /// Where in the run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub phase: Option<PhaseName>,
    /// What happened.
    pub message: String,
    /// What to do about it.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub hint: String,
    /// Whether the same attempt may succeed later with nothing changed by hand.
    pub retryable: bool,
    /// Tries made.
    pub attempts: u32,
    /// The last output of what failed.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub tail: String,
}

impl FaultReport {
    /// The fault as the document shows it, with what its code implies.
    #[must_use]
    pub fn new(fault: Fault, phase: Option<PhaseName>) -> Self {
        let Fault { code, message, attempts, tail } = fault;
        Self {
            code,
            class: code.class(),
            phase,
            message,
            hint: code.hint().to_owned(),
            retryable: code.retryable(),
            attempts,
            tail,
        }
    }
}
