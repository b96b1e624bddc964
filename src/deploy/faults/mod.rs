//! From what an adapter saw, and from what a container printed, to the fault the user reads.

mod adapters;
mod exit;
pub mod output_patterns;

pub use exit::{SIGKILLED, app_exited, cause_in};
