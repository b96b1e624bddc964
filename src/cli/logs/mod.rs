//! `agent logs`: the logs of the migration, the build and the agent.

mod app;
pub mod tail;

use std::io::{self, Write};
use std::process::{Command, ExitStatus, Stdio};

use clap::{Args, ValueEnum};

use super::bounded::{self, Newest};
use super::exit;
use super::output::{complain, written};
use crate::install::UNIT;
use crate::status::paths;

/// Show the logs of a part of the deployment
#[derive(Debug, Args)]
pub struct Logs {
    /// Whose logs
    #[arg(default_value = "app")]
    pub source: Source,
    /// Show this many of the last lines
    #[arg(short = 'n', long, value_name = "N", default_value_t = 100, value_parser = lines)]
    pub lines: usize,
    /// Go on with what comes, until Ctrl-C
    #[arg(short, long)]
    pub follow: bool,
    /// Write at most this many bytes: older lines are left out, long ones cut
    #[arg(long, value_name = "N", value_parser = bounded::bytes, conflicts_with = "follow")]
    pub bytes: Option<usize>,
}

/// More lines than any of the logs has; journalctl takes no number without end.
fn lines(text: &str) -> Result<usize, &'static str> {
    text.parse().ok().filter(|lines| *lines <= 1_000_000).ok_or("expected a number, at most 1000000")
}

/// Whose logs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Source {
    /// The application, from its container
    App,
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
        let out = &mut io::stdout().lock();
        let result = match self.bytes {
            None => self.show(out),
            Some(max) => {
                let mut newest = Newest::new(max);
                let result = self.show(&mut newest);
                result.and_then(|code| out.write_all(newest.finish().as_bytes()).map(|()| code))
            }
        };
        written(result)
    }

    fn show(&self, out: &mut impl Write) -> io::Result<u8> {
        match self.source {
            Source::App => app::show(self.lines, self.follow, out),
            Source::Migrate => self.file("migrate.log", "no job or migration has run yet", out),
            Source::Build => self.file("build.log", "no image has been built yet", out),
            Source::Agent => self.journal(out),
        }
    }

    /// A file of the state folder, which the deployment keeps bounded.
    fn file(&self, name: &str, absent: &str, out: &mut impl Write) -> io::Result<u8> {
        let path = paths::state_dir().join(name);
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

    fn journal(&self, out: &mut impl Write) -> io::Result<u8> {
        let mut journalctl = Command::new("journalctl");
        journalctl.args(["--no-pager", "-u", UNIT, "-n", &self.lines.to_string()]);
        if self.follow {
            journalctl.arg("-f");
        }
        let root = rustix::process::geteuid().is_root();
        let result = match (self.follow || root) && self.bytes.is_none() {
            true => journalctl.status().map(|status| (status, None)),
            // Quiet: what it says of other users' messages is said better below.
            false => piped(journalctl.arg("-q"), out).map(|(status, written)| (status, Some(written))),
        };
        match result {
            Ok((_, Some(0))) if !root => Ok(complain(
                "the journal shows this user nothing of the agent; try with sudo",
                exit::NO_PERMISSION,
            )),
            Ok((status, _)) if status.success() => Ok(exit::OK),
            Ok((status, _)) => Ok(complain(&format!("journalctl ended with {status}"), exit::FAILED)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(complain(
                "there is no journalctl here; without systemd the agent logs to its standard error",
                exit::FAILED,
            )),
            Err(error) => Err(error),
        }
    }
}

/// Copies a command's output, and returns how it ended and how much that was.
fn piped(command: &mut Command, out: &mut impl Write) -> io::Result<(ExitStatus, u64)> {
    let mut child = command.stdout(Stdio::piped()).spawn()?;
    let copied = child.stdout.take().map_or(Ok(0), |mut pipe| io::copy(&mut pipe, out));
    let status = child.wait()?;
    copied.map(|written| (status, written))
}
