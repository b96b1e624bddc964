//! `agent uninstall`: what `agent install` made goes; what was deployed stays,
//! unless it is purged.

use std::path::{Path, PathBuf};

use clap::Args;

use super::{complain, exit, say};
use crate::install::{Error, Layout, UNIT, purge, systemctl};

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
        self.uninstall(&Layout::new(Path::new("/"))).unwrap_or_else(|error| super::failed(&error))
    }

    fn uninstall(&self, layout: &Layout) -> Result<u8, Error> {
        systemctl::call(&["--version"], systemctl::LIMIT)?;
        let _lock = layout.lock()?;
        if let Some(unit) = layout.packaged_unit() {
            return Err(Error::Packaged { unit });
        }
        if layout.unit().exists() {
            if systemctl::is_running() {
                systemctl::call(&["stop", UNIT], systemctl::STOP_LIMIT)?;
            }
            systemctl::call(&["disable", "--quiet", UNIT], systemctl::LIMIT)?;
        }
        let purged = if self.purge { objects(layout) } else { Ok(()) };
        tell(layout.uninstall()?);
        if self.purge {
            tell(layout.forget()?);
        }
        if systemctl::is_running() {
            systemctl::call(&["daemon-reload"], systemctl::LIMIT)?;
            // A unit that is gone is forgotten where it had failed, too.
            systemctl::call(&["reset-failed", UNIT], systemctl::LIMIT).ok();
        }
        match purged {
            Ok(()) => Ok(exit::OK),
            Err(error) => {
                let label = format!("label=preview-agent.scope={}", layout.state().display());
                let words = format!(
                    "{error}; containers and network stay. Remove them once Docker is up:\n  \
                     docker rm -f -v $(docker ps -aq --filter {label})\n  \
                     docker network prune -f --filter {label}"
                );
                Ok(complain(&words, exit::FAILED))
            }
        }
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

fn tell(removed: Vec<PathBuf>) {
    for path in removed {
        say(&format!("removed {}", path.display()));
    }
}
