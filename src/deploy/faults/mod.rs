//! From what an adapter saw, and from what a container printed, to the fault the user reads.

mod app_exit;
mod error_codes;
pub mod output_patterns;
pub mod sql_errors;

pub use app_exit::{SIGKILLED, app_exited, cause_in};
