//! The status document, the faults it can name, and the sinks it goes to.
//!
//! The [`Reporter`] is the one way in: a change to the [`Document`] becomes
//! bytes once (verdict, redaction, [`fit`]) and the same bytes go to the
//! [`file`](mod@file), from there to the SSM [`parameter`], and the verdict to [`systemd`].

pub mod document;
pub mod facts;
pub mod fault;
pub mod file;
pub mod fit;
mod names;
pub mod parameter;
pub mod paths;
pub mod reporter;
pub mod run;
pub mod systemd;
pub mod text;
pub mod timestamp;
pub mod verdict;

pub use document::{Agent, Document, SCHEMA};
pub use facts::{
    App, Cause, Database, DatabaseState, FaultReport, HealthStage, Image, ImageSource, Instance, Migration,
    Progress, Service, ServiceState, Serving,
};
pub use fault::{Class, Code, Fault};
pub use reporter::Reporter;
pub use run::{Outcome, Phase, PhaseName, PhaseState, Run};
pub use timestamp::Timestamp;
