//! `agent reload`: has the running agent deploy what the configuration says now, and waits for the outcome.

use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use clap::Args;

use super::bounded::{self, first};
use super::output::{complain, written};
use super::style::Style;
use super::{exit, status};
use crate::config;
use crate::install::{UNIT, systemctl};
use crate::status::{Outcome, RunId, file, paths};

/// Between two looks at the status.
const POLL: Duration = Duration::from_millis(100);

/// Deploy what the configuration says now, and wait for the outcome
///
/// Checks the configuration first; a wrong one is not deployed. Then reloads
/// the unit, waits for the end of the run that follows and shows the status,
/// with the exit code of `agent status`. Needs root.
#[derive(Debug, Args)]
pub struct Reload {
    /// The configuration file of the running agent
    #[arg(long, value_name = "FILE", default_value = config::DEFAULT_PATH)]
    pub config: PathBuf,
    /// Wait this long for the end of the run; the run goes on in any case
    #[arg(long, value_name = "SECONDS", default_value_t = 60)]
    pub wait: u32,
    /// Write at most this many bytes: what matters least is left out
    #[arg(long, value_name = "N", value_parser = bounded::bytes)]
    pub bytes: Option<usize>,
}

impl Reload {
    /// Runs the command and returns the exit code.
    #[must_use]
    pub fn run(self) -> u8 {
        written(self.reload())
    }

    fn reload(&self) -> io::Result<u8> {
        if !rustix::process::geteuid().is_root() {
            return Ok(complain("a reload needs root; try with sudo", exit::NO_PERMISSION));
        }
        if let Err(error) = config::load(&self.config) {
            let faults = first(&error.to_string(), self.bytes.unwrap_or(usize::MAX));
            writeln!(io::stderr(), "nothing was reloaded, the configuration is not usable:\n{faults}")?;
            return Ok(exit::of_config_error(&error));
        }
        let path = paths::run_dir().join(file::NAME);
        let before = match status::read(&path) {
            Ok(document) => document.run.id,
            Err(error) => return Ok(complain(&error.to_string(), exit::NO_AGENT)),
        };
        if let Err(error) = systemctl::call(&["reload", UNIT], systemctl::LIMIT) {
            return Ok(complain(&format!("nothing was reloaded: {error}"), exit::NO_AGENT));
        }
        let begun = self.wait_for_the_end(&path, &before);
        if !begun {
            let wait = self.wait;
            complain(&format!("no new run within {wait} s; one waits for a running job or migration"), 0);
        }
        let code = status::show(&path, self.bytes, Style::from_env(), &mut io::stdout().lock())?;
        // The last run's end says nothing of the one that is to come.
        Ok(if begun { code } else { exit::IN_PROGRESS })
    }

    /// Waits for the end of a run other than `before`, and says whether one has begun.
    fn wait_for_the_end(&self, path: &Path, before: &RunId) -> bool {
        let end = Instant::now() + Duration::from_secs(self.wait.into());
        loop {
            let run = status::read(path).ok().map(|document| document.run).filter(|run| run.id != *before);
            // One that began by itself a moment before the reload is superseded by what is waited for.
            let ended = run
                .as_ref()
                .is_some_and(|run| run.outcome.is_terminal() && run.outcome != Outcome::Superseded);
            if ended || Instant::now() >= end {
                return run.is_some();
            }
            std::thread::sleep(POLL);
        }
    }
}
