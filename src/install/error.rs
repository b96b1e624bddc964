//! What can go wrong with an installation.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::unit::UNIT;
use crate::docker;

/// Why something was not installed or removed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The file system refused.
    #[error("cannot {what} {}: {source}", path.display())]
    Io {
        /// What was tried.
        what: &'static str,
        /// On what.
        path: PathBuf,
        /// The system's answer.
        source: io::Error,
    },
    /// A package owns the files.
    #[error("{} belongs to a package: run its `/usr/bin/agent install`, or upgrade or remove the package preview-agent", unit.display())]
    Packaged {
        /// The package's unit.
        unit: PathBuf,
    },
    /// Somebody wants the service never to start.
    #[error("{} is masked: systemctl unmask {option}preview-agent", UNIT)]
    Masked {
        /// What `systemctl unmask` needs to find the mask, with a space.
        option: &'static str,
    },
    /// Another one is at work.
    #[error("another `agent install` or `agent uninstall` is at work")]
    Busy,
    /// systemctl cannot be started.
    #[error("cannot start systemctl: {0}; the agent installs itself where systemd is")]
    NoSystemctl(io::Error),
    /// systemctl said no.
    #[error("`systemctl {arguments}` failed: {message}")]
    Systemctl {
        /// What was asked.
        arguments: String,
        /// What it said, or how it ended.
        message: String,
    },
    /// systemctl said nothing in time.
    #[error("`systemctl {arguments}` did not end within {} s", limit.as_secs())]
    Silent {
        /// What was asked.
        arguments: String,
        /// How long it was given.
        limit: Duration,
    },
    /// The runtime for the engine's client cannot be made.
    #[error("no runtime: {0}")]
    Runtime(io::Error),
    /// The engine refused, or is not there.
    #[error(transparent)]
    Docker(#[from] docker::Error),
}

impl Error {
    /// Wraps what the file system said with what was tried.
    pub(super) fn io(what: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Io { what, path, source }
    }
}
