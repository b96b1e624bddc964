//! Probes of what a deployment depends on and of what it serves: for its phases
//! and for the watch afterwards.

pub mod database;
mod http;
mod stage;
mod tcp;

pub use stage::{Probed, Prober};
