//! `agent completions`: what a shell needs to complete our command line.

use std::io::{self, Write as _};

use clap::{Args, Command};
use clap_complete::Shell;

use super::exit;
use super::output::written;

/// Print the completions for a shell
#[derive(Debug, Args)]
pub struct Completions {
    /// The shell
    pub shell: Shell,
}

impl Completions {
    /// Prints the completions of `program` and returns the exit code.
    #[must_use]
    pub fn run(self, mut program: Command) -> u8 {
        // Into memory first: clap_complete panics where the pipe is closed.
        let mut script = Vec::new();
        clap_complete::generate(self.shell, &mut program, "agent", &mut script);
        written(io::stdout().write_all(&script).map(|()| exit::OK))
    }
}
