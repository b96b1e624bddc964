//! The status document, version 1: one JSON object, the same bytes in the
//! file, the SSM parameter and `agent status --json`.
//!
//! What is absent is left out, never `null`. `schemas/status.v1.json` describes
//! the same fields for other readers, and a test holds both together.

use serde::{Deserialize, Serialize};

use super::omit::is_default;
use super::run::{Phase, Run};
use super::sections::{
    App, Database, FaultReport, HealthStage, Image, Instance, Migration, Service, Serving,
};
use super::timestamp::Timestamp;

/// The version that this agent writes and understands.
pub const SCHEMA: u32 = 1;

/// The whole document.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Document {
    /// One line that a person can act on; set by the reporter, never by hand.
    #[serde(default)]
    pub verdict: String,
    /// [`SCHEMA`].
    pub schema: u32,
    /// The newest run.
    pub run: Run,
    /// What is true of the application now, whatever the last run did.
    pub service: Service,
    /// What answers requests now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub serving: Option<Serving>,
    /// The image of this run.
    #[serde(default, skip_serializing_if = "is_default")]
    pub image: Image,
    /// The instance the agent runs on; empty outside EC2.
    #[serde(default, skip_serializing_if = "is_default")]
    pub instance: Instance,
    /// The database; absent with `database: off`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub database: Option<Database>,
    /// The migration; absent with `migrate: off`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub migration: Option<Migration>,
    /// The application's container.
    #[serde(default, skip_serializing_if = "is_default")]
    pub app: App,
    /// The health stages probed so far, in order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub health: Vec<HealthStage>,
    /// The phases of this run, in order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub phases: Vec<Phase>,
    /// Why this run failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fault: Option<FaultReport>,
    /// What a reader should know though nothing failed: an anonymous registry
    /// login, a parameter that could not be refreshed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
    /// When another run follows by itself, after one that failed by what may pass.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_try_at: Option<Timestamp>,
    /// When the agent last wrote.
    pub heartbeat_at: Timestamp,
    /// From here on the agent must be taken for dead.
    pub expires_at: Timestamp,
    /// The agent that wrote this.
    pub agent: Writer,
}

/// The agent that wrote a document.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Writer {
    /// Its version.
    pub version: String,
}

impl Writer {
    /// This agent.
    #[must_use]
    pub fn this() -> Self {
        Self { version: env!("CARGO_PKG_VERSION").to_owned() }
    }
}
