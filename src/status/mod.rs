//! The status document, the faults it can name, and the sinks it goes to.
//!
//! The [`Reporter`] is the one way in: a change to the [`Report`] becomes a
//! [`Document`] and bytes once (verdict, redaction, [`fit`]) and the same bytes go to the
//! [`file`](mod@file), from there to the SSM [`parameter`], and the verdict to [`systemd`].

pub mod document;
pub mod fault;
pub mod file;
pub mod fit;
pub mod heartbeat;
mod names;
mod note;
mod omit;
pub mod parameter;
pub mod paths;
mod report;
pub mod reporter;
pub mod run;
pub mod sections;
pub mod systemd;
pub mod text;
pub mod timestamp;
mod url;
pub mod verdict;

pub use document::{Document, SCHEMA, Writer};
pub use fault::{Class, Code, Fault};
pub use note::Topic;
pub use report::{Container, Report};
pub use reporter::Reporter;
pub use run::{Outcome, Phase, PhaseName, PhaseState, Run, RunId};
pub use sections::{
    App, Cause, Database, DatabaseState, FaultReport, HealthStage, Image, ImageSource, Instance, Migration,
    Progress, Service, ServiceState, Serving,
};
pub use timestamp::Timestamp;
