//! `agent uninstall`: what `agent install` made goes; what was deployed stays,
//! unless it is purged.

use std::path::Path;

use clap::Args;

use super::exit;
use super::output::{complain, failed, say};
use crate::install::{Error, Layout, Removal, UNIT, purge, systemctl};

/// Stop the service and remove what `agent install` made
///
/// The application's containers, the state and the configuration stay. For
/// root.
#[derive(Debug, Args)]
pub struct Uninstall {
    /// Remove the application's containers, their network and the state, too; images and a configuration stay
    #[arg(long)]
    pub purge: bool,
}

impl Uninstall {
    /// Runs the command and returns the exit code.
    #[must_use]
    pub fn run(self) -> u8 {
        if !rustix::process::geteuid().is_root() {
            return complain("uninstalling is for root; try with sudo", exit::NO_PERMISSION);
        }
        self.uninstall(&Layout::new(Path::new("/"))).unwrap_or_else(|error| failed(&error))
    }

    fn uninstall(&self, layout: &Layout) -> Result<u8, Error> {
        systemctl::call(&["--version"], systemctl::LIMIT)?;
        let _lock = layout.lock()?;
        if let Some(unit) = layout.packaged_unit() {
            return Err(Error::Packaged { unit });
        }
        // From here on every step is tried, so that no obstacle leaves halves.
        let mut errors = Vec::new();
        if systemctl::is_running() {
            errors.extend(systemctl::stop(UNIT).err());
        }
        if layout.unit().exists() {
            errors.extend(systemctl::call(&["disable", "--quiet", UNIT], systemctl::LIMIT).err());
        }
        let purged = if self.purge { objects(layout) } else { Ok(()) };
        errors.extend(announce(layout.uninstall()?));
        if self.purge {
            errors.extend(announce(layout.forget()));
        }
        if systemctl::is_running() {
            errors.extend(systemctl::call(&["daemon-reload"], systemctl::LIMIT).err());
            // A unit that is gone is forgotten where it had failed, too.
            systemctl::call(&["reset-failed", UNIT], systemctl::LIMIT).ok();
        }
        let mut messages: Vec<_> = errors.iter().map(Error::to_string).collect();
        if let Err(error) = purged {
            let label = format!("label=preview-agent.scope={}", layout.state().display());
            messages.push(format!(
                "{error}; containers and network stay. Remove them once Docker is up:\n  \
                 docker rm -f -v $(docker ps -aq --filter {label})\n  \
                 docker network prune -f --filter {label}"
            ));
        }
        Ok(messages.iter().fold(exit::OK, |_, message| complain(message, exit::FAILED)))
    }
}

/// Removes what the engine keeps for this agent.
fn objects(layout: &Layout) -> Result<(), Error> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(Error::Runtime)?;
    for object in runtime.block_on(purge::docker_objects(&layout.state()))? {
        say(&format!("removed {object}"));
    }
    Ok(())
}

/// Says what was removed and returns what was not.
fn announce(removal: Removal) -> Vec<Error> {
    for path in removal.removed {
        say(&format!("removed {}", path.display()));
    }
    removal.errors
}
