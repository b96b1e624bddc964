//! One run: from the configuration to an application that is proven healthy.
//!
//! The order of its phases is in [`phases`](mod@phases) and nowhere else.

mod agent;
pub mod app;
pub mod container_output;
mod database;
pub mod faults;
mod finish;
mod image;
mod oneshot;
mod phases;
mod plan;
mod resolve;
mod run_context;
mod status_parameter;
mod timings;

pub use agent::Agent;
pub use finish::{Again, Ended};
pub use phases::run;
pub use run_context::{Cut, Order, Stop};
pub use status_parameter::parameter_sender;
pub use timings::Timings;
