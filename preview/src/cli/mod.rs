//! The command line.

mod changes;
mod command_line;
mod dispatch;
mod started;

pub use command_line::{Cli, Command};
