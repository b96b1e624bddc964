//! Probes of what a deployment depends on and of what it serves: for its phases,
//! for the watch afterwards and for the commands.

pub mod database;
mod http;
mod stage;
mod tcp;

pub use stage::{Probed, Prober};
