//! `app` and `health`: the application's container, and what proves it healthy.

use std::collections::BTreeMap;
use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use super::value::ValueRef;

/// The application's container.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct App {
    /// `None`: the image's own entrypoint.
    pub entrypoint: Option<Vec<String>>,
    /// `None`: the image's own command.
    pub command: Option<Vec<String>>,
    /// The port the application listens on inside the container.
    pub port: u16,
    /// Where the host publishes it.
    pub publish: Publish,
    /// Memory limit in bytes.
    pub memory: Option<u64>,
    /// What becomes of the old application when the new one fails.
    pub on_failure: OnFailure,
    /// Environment; empty and absent values are left out, except a literal `""`.
    pub env: BTreeMap<String, ValueRef>,
}

/// A published port.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Publish {
    /// Host address; `0.0.0.0` unless given.
    pub ip: IpAddr,
    /// Host port.
    pub port: u16,
}

/// What becomes of the old application when its successor fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnFailure {
    /// Start it again.
    Restore,
    /// Leave it stopped.
    Leave,
}

/// What proves the application healthy.
#[derive(Debug, Clone, PartialEq)]
pub enum Health {
    /// The handbook's four stages; 404 on a path means "not served, skipped",
    /// and at least one HTTP stage must answer 2xx or 3xx.
    Default,
    /// Stages as written, all strict.
    Stages(Vec<Stage>),
}

/// One health stage.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Stage {
    /// The published port accepts a connection.
    Tcp,
    /// `GET path` answers 2xx or 3xx.
    Http {
        /// Path with its leading slash.
        path: String,
        /// Fields that the JSON answer must have with these values.
        json: Option<serde_json::Map<String, serde_json::Value>>,
    },
}
