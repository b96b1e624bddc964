//! `agent completions`: what a shell needs to complete our command line.

use std::io::{self, Write as _};

use clap::{Args, CommandFactory as _};
use clap_complete::Shell;

use super::{Cli, exit, written};

/// Print the completions for a shell
#[derive(Debug, Args)]
pub struct Completions {
    /// The shell
    pub shell: Shell,
}

impl Completions {
    /// Runs the command and returns the exit code.
    #[must_use]
    pub fn run(self) -> u8 {
        // Into memory first: clap_complete panics where the pipe is closed.
        let mut script = Vec::new();
        clap_complete::generate(self.shell, &mut Cli::command(), "agent", &mut script);
        written(io::stdout().write_all(&script).map(|()| exit::OK))
    }
}
