//! The `agent` binary: wiring only.

use std::process::ExitCode;

use clap::Parser as _;
use preview_agent::cli::Cli;

fn main() -> ExitCode {
    ExitCode::from(Cli::parse().run())
}
