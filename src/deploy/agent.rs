//! What lives as long as the process and every run uses.

use std::time::SystemTime;

use super::app::Availability;
use super::timings::Timings;
use crate::aws::Endpoints;
use crate::docker::Engine;
use crate::redact::Redactor;
use crate::state::Store;
use crate::status::Reporter;

/// The agent, from its start to its end.
pub struct Agent {
    /// The one way to the status.
    pub reporter: Reporter,
    /// Masks what the runs have learned.
    pub redactor: Redactor,
    /// What survives the process.
    pub store: Store,
    /// How long and how often.
    pub timings: Timings,
    /// Where AWS is.
    pub endpoints: Endpoints,
    /// Whether the application serves.
    pub availability: Availability,
    /// The Docker Engine, once it has answered.
    pub engine: Option<Engine>,
    /// The parameter that receives the status, once it is known.
    pub parameter: Option<String>,
    /// Since when nobody has listened to what happens to the application.
    pub unwatched: SystemTime,
}

impl Agent {
    /// An agent that has met neither engine nor configuration yet.
    #[must_use]
    pub fn new(
        reporter: Reporter,
        redactor: Redactor,
        store: Store,
        timings: Timings,
        endpoints: Endpoints,
    ) -> Self {
        Self {
            availability: Availability::new(reporter.clone()),
            reporter,
            redactor,
            store,
            timings,
            endpoints,
            engine: None,
            parameter: None,
            unwatched: SystemTime::now(),
        }
    }
}
