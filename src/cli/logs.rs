//! `agent logs`: the logs of the migration, the build and the agent.

use std::io;
use std::process::Command;

use clap::{Args, ValueEnum};

use super::{complain, exit, tail};
use crate::status::paths;

/// The unit whose journal is the agent's log.
const UNIT: &str = "preview-agent";

/// Show the logs of a part of the deployment
#[derive(Debug, Args)]
pub struct Logs {
    /// Whose logs
    pub source: Source,
    /// Show this many of the last lines
    #[arg(short = 'n', long, value_name = "N", default_value_t = 100)]
    pub lines: usize,
    /// Go on with what comes, until Ctrl-C
    #[arg(short, long)]
    pub follow: bool,
}

/// Whose logs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Source {
    /// The jobs and the migration
    Migrate,
    /// The image build
    Build,
    /// The agent itself, from the journal
    Agent,
}

impl Logs {
    /// Runs the command and returns the exit code.
    #[must_use]
    pub fn run(self) -> u8 {
        let result = match self.source {
            Source::Migrate => self.file("migrate.log", "no job or migration has run yet"),
            Source::Build => self.file("build.log", "no image has been built yet"),
            Source::Agent => self.journal(),
        };
        match result {
            Ok(code) => code,
            // A reader that has seen enough (`| head`) is no failure.
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => exit::OK,
            Err(error) => complain(&format!("cannot show the logs: {error}"), exit::FAILED),
        }
    }

    /// A file of the state folder, which the deployment keeps bounded.
    fn file(&self, name: &str, absent: &str) -> io::Result<u8> {
        let path = paths::state_dir().join(name);
        let out = &mut io::stdout().lock();
        match tail::show(&path, self.lines, self.follow, out) {
            Ok(()) => Ok(exit::OK),
            Err(error) => match error.kind() {
                io::ErrorKind::NotFound => {
                    Ok(complain(&format!("{absent}: {} does not exist", path.display()), exit::FAILED))
                }
                io::ErrorKind::PermissionDenied => {
                    let message = format!("cannot read {}: {error}; try with sudo", path.display());
                    Ok(complain(&message, exit::NO_PERMISSION))
                }
                _ => Err(error),
            },
        }
    }

    fn journal(&self) -> io::Result<u8> {
        let mut journalctl = Command::new("journalctl");
        journalctl.args(["--no-pager", "-u", UNIT, "-n", &self.lines.to_string()]);
        if self.follow {
            journalctl.arg("-f");
        }
        match journalctl.status() {
            Ok(status) if status.success() => Ok(exit::OK),
            Ok(status) => Ok(complain(&format!("journalctl ended with {status}"), exit::FAILED)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(complain(
                "there is no journalctl here; without systemd the agent logs to its standard error",
                exit::FAILED,
            )),
            Err(error) => Err(error),
        }
    }
}
