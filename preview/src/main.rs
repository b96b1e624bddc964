//! The `preview` binary: wiring only.

use std::process::ExitCode;

use clap::Parser as _;
use preview::cli::Cli;

fn main() -> ExitCode {
    ExitCode::from(Cli::parse().run())
}
