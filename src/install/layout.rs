//! Where everything is, and the lock on it.

use std::fs::File;
use std::path::{Path, PathBuf};

use super::error::Error;
use super::unit::UNIT;

/// Where distributions keep the units of their packages.
const PACKAGED: [&str; 2] = ["usr/lib/systemd/system", "lib/systemd/system"];

/// Where everything is.
#[derive(Debug, Clone)]
pub struct Layout {
    pub(super) root: PathBuf,
}

impl Layout {
    /// The layout below a root folder, `/` for this machine.
    #[must_use]
    pub fn new(root: &Path) -> Self {
        Self { root: root.to_owned() }
    }

    /// The binary. root's PATH and sudo's find it here on every distribution.
    #[must_use]
    pub fn binary(&self) -> PathBuf {
        self.root.join("usr/bin/agent")
    }

    /// The folder of units that belong to no package.
    #[must_use]
    pub fn units(&self) -> PathBuf {
        self.root.join("etc/systemd/system")
    }

    /// The unit.
    #[must_use]
    pub fn unit(&self) -> PathBuf {
        self.units().join(UNIT)
    }

    /// The drop-in with the name of the status parameter.
    #[must_use]
    pub fn drop_in(&self) -> PathBuf {
        self.units().join("preview-agent.service.d/report.conf")
    }

    /// The folder of the configuration.
    #[must_use]
    pub fn config(&self) -> PathBuf {
        self.root.join("etc/preview-agent")
    }

    /// The run folder, as the unit has it.
    #[must_use]
    pub fn run(&self) -> PathBuf {
        self.root.join("run/preview-agent")
    }

    /// The state folder, as the unit has it.
    #[must_use]
    pub fn state(&self) -> PathBuf {
        self.root.join("var/lib/preview-agent")
    }

    /// A package's unit, where there is one.
    #[must_use]
    pub fn packaged_unit(&self) -> Option<PathBuf> {
        PACKAGED.iter().map(|folder| self.root.join(folder).join(UNIT)).find(|unit| unit.exists())
    }

    /// Keeps a second installation or removal away for as long as the value
    /// lives. The lock is on a folder that both need and neither removes.
    ///
    /// # Errors
    /// [`Error::Busy`], or what the file system says.
    pub fn lock(&self) -> Result<File, Error> {
        let folder = self.units();
        let file = File::open(&folder).map_err(Error::io("open", &folder))?;
        match file.try_lock() {
            Ok(()) => Ok(file),
            Err(std::fs::TryLockError::WouldBlock) => Err(Error::Busy),
            Err(std::fs::TryLockError::Error(error)) => Err(Error::io("lock", &folder)(error)),
        }
    }
}
