//! Probes of what a deployment depends on and of what it serves: for its phases
//! and for the watch afterwards.

pub mod database;
mod http;
mod login;
mod stage;
mod tcp;

pub use login::Login;
pub use stage::{Probed, Prober};
