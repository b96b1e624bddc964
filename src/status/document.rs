//! The status document, version 1: one JSON object, the same bytes in the
//! file, the SSM parameter and `agent status --json`.
//!
//! What is absent is left out, never `null`. `schemas/status.v1.json` describes
//! the same fields for other readers, and a test holds both together.

use serde::{Deserialize, Serialize};

use super::facts::{
    App, Cause, Database, FaultReport, HealthStage, Image, Instance, Migration, Service, ServiceState,
    Serving,
};
use super::run::{Phase, PhaseName, PhaseState, Run};
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
    /// When the agent last wrote.
    pub heartbeat_at: Timestamp,
    /// From here on the agent must be taken for dead.
    pub expires_at: Timestamp,
    /// The agent itself.
    pub agent: Agent,
}

/// The agent itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Agent {
    /// Its version.
    pub version: String,
}

impl Document {
    /// The document of an agent that begins its first run and knows nothing else yet.
    #[must_use]
    pub fn new(run: Run) -> Self {
        let now = run.started;
        Self {
            verdict: String::new(),
            schema: SCHEMA,
            service: Service { state: ServiceState::None, since: now, cause: None },
            run,
            serving: None,
            image: Image::default(),
            instance: Instance::default(),
            database: None,
            migration: None,
            app: App::default(),
            health: Vec::new(),
            phases: pending(),
            fault: None,
            notes: Vec::new(),
            heartbeat_at: now,
            expires_at: now,
            agent: Agent { version: env!("CARGO_PKG_VERSION").to_owned() },
        }
    }

    /// Begins another run: what the last one did goes, what is true of the
    /// service and the instance stays.
    pub fn next_run(&mut self, run: Run) {
        self.run = run;
        self.image = Image::default();
        self.database = None;
        self.migration = None;
        self.health = Vec::new();
        self.phases = pending();
        self.fault = None;
        self.notes = Vec::new();
    }

    /// Marks a phase as begun, `at` milliseconds after the run.
    pub fn begin(&mut self, name: PhaseName, at: u64) {
        let phase = self.phase(name);
        phase.state = PhaseState::Running;
        phase.start_ms = Some(at);
        phase.ms = None;
        self.run.phase = Some(name);
    }

    /// Marks a phase as ended, `at` milliseconds after the run. One that never
    /// began (skipped, kept) has no place on the time line.
    pub fn end(&mut self, name: PhaseName, state: PhaseState, at: u64) {
        let phase = self.phase(name);
        phase.state = state;
        phase.ms = phase.start_ms.map(|start| at.saturating_sub(start));
        if let Some(other) = self.phases.iter().find(|p| p.state == PhaseState::Running) {
            self.run.phase = Some(other.name);
        }
    }

    /// The entry of a phase.
    pub fn phase(&mut self, name: PhaseName) -> &mut Phase {
        let index = self.phases.iter().position(|p| p.name == name).unwrap_or_else(|| {
            self.phases.push(Phase::pending(name));
            self.phases.len() - 1
        });
        &mut self.phases[index]
    }

    /// Adds a note in the place of an earlier one that begins the same.
    pub fn note(&mut self, beginning: &str, rest: &str) {
        self.notes.retain(|note| !note.starts_with(beginning));
        self.notes.push(format!("{beginning}{rest}"));
    }

    /// Sets the state of the service; `since` moves only where the state does.
    pub fn set_service(&mut self, state: ServiceState, cause: Option<Cause>, now: Timestamp) {
        let since = if self.service.state == state { self.service.since } else { now };
        self.service = Service { state, since, cause };
    }
}

fn pending() -> Vec<Phase> {
    PhaseName::ALL.iter().copied().map(Phase::pending).collect()
}

pub(super) fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}
