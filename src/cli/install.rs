//! `agent install`: this executable becomes the service of this machine.

use std::path::Path;
use std::time::{Duration, Instant};

use clap::Args;

use super::exit;
use super::output::{complain, failed, say};
use super::status::{self, view};
use super::style::Style;
use crate::config::names;
use crate::install::service::Service;
use crate::install::{Error, Layout, UNIT, systemctl};
use crate::status::{Code, Document, Timestamp, file};

/// How long the first status of the new process is waited for.
const PATIENCE: Duration = Duration::from_secs(30);

/// Between two looks at the unit and its status.
const POLL: Duration = Duration::from_millis(200);

/// Install this executable as a service, or upgrade the one that is there
///
/// Copies the executable to /usr/bin/agent, writes the unit, enables and
/// starts it, waits at most 30 s for the first status and prints it. Run
/// again, it changes only what differs; an upgrade leaves the application
/// running. For root.
#[derive(Debug, Args)]
pub struct Install {
    /// The SSM parameter that is told where even the configuration cannot be read
    #[arg(long, value_name = "NAME", value_parser = parameter)]
    pub report: Option<String>,
    /// Enable the service, and start nothing: for the image that instances are made from
    #[arg(long)]
    pub no_start: bool,
}

fn parameter(name: &str) -> Result<String, &'static str> {
    names::parameter(name).map(|()| name.to_owned())
}

impl Install {
    /// Runs the command and returns the exit code.
    #[must_use]
    pub fn run(self) -> u8 {
        if !rustix::process::geteuid().is_root() {
            return complain("installing is for root; try with sudo", exit::NO_PERMISSION);
        }
        self.install(&Layout::new(Path::new("/"))).unwrap_or_else(|error| failed(&error))
    }

    fn install(&self, layout: &Layout) -> Result<u8, Error> {
        // Before anything is touched.
        systemctl::call(&["--version"], systemctl::LIMIT)?;
        let _lock = layout.lock()?;
        let changed = layout.install(Path::new("/proc/self/exe"), self.report.as_deref())?;
        for path in &changed {
            let did = if path.exists() { "wrote" } else { "removed" };
            say(&format!("{did} {}", path.display()));
        }
        if systemctl::is_running() {
            systemctl::call(&["daemon-reload"], systemctl::LIMIT)?;
        }
        systemctl::call(&["enable", "--quiet", UNIT], systemctl::LIMIT)?;
        if self.no_start || !systemctl::is_running() {
            say(&format!("{UNIT} is enabled; it starts at the next boot"));
            return Ok(exit::OK);
        }
        start(layout, changed.contains(&layout.unit()))
    }
}

/// Starts or restarts the service if it does not run what is installed, and
/// shows its first word. A unit that gave way to a package's older file is not
/// seen by its age.
fn start(layout: &Layout, is_new_unit: bool) -> Result<u8, Error> {
    let path = layout.run().join(file::NAME);
    let mut old_run = None;
    if !is_new_unit && Service::query()?.is_current(layout) {
        say(&format!("{UNIT} runs what is installed"));
    } else {
        // The file outlives the process, so that only another run is a new process's word.
        old_run = status::read(&path).ok().map(|document| document.run.id);
        // One that was started too often is started all the same; one that was not has nothing to reset.
        systemctl::call(&["reset-failed", UNIT], systemctl::LIMIT).ok();
        // Within User Data a start that blocks would wait for units that wait for User Data.
        systemctl::call(&["restart", "--no-block", UNIT], systemctl::LIMIT)?;
        say(&format!("{UNIT} is enabled and starts"));
    }
    let is_new = |document: &Document| old_run.as_ref() != Some(&document.run.id);
    let end = Instant::now() + PATIENCE;
    loop {
        let service = Service::query()?;
        let document = status::read(&path).ok().filter(is_new);
        match document {
            Some(document) if service.is_active() || document.run.outcome.is_terminal() => {
                return Ok(show(&document));
            }
            None if service.has_failed() => return Ok(silent(&service, exit::FAILED)),
            _ if Instant::now() > end && service.is_starting() => {
                return Ok(silent(&service, exit::TEMPORARY));
            }
            _ if Instant::now() > end => return Ok(silent(&service, exit::FAILED)),
            _ => std::thread::sleep(POLL),
        }
    }
}

fn show(document: &Document) -> u8 {
    let now = Timestamp::from(time::OffsetDateTime::now_utc());
    say(&format!("\n{}", view::render(document, now, Style::from_env()).trim_end()));
    let refused = document.fault.as_ref().is_some_and(|fault| fault.code == Code::ConfigInvalid);
    if refused { exit::CONFIG } else { exit::OK }
}

fn silent(service: &Service, code: u8) -> u8 {
    let seconds = PATIENCE.as_secs();
    complain(&format!("no status within {seconds} s: {service}; see `agent logs agent`"), code)
}
