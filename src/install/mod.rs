//! What an installation consists of: the binary, the unit and its drop-in, and
//! what becomes of them at an upgrade and at the end.

mod error;
mod files;
pub mod purge;
pub mod service;
pub mod systemctl;

use std::fs::{self, File};
use std::path::{Path, PathBuf};

pub use error::Error;
use files::{put, remove, remove_folder};

/// The unit's name.
pub const UNIT: &str = "preview-agent.service";

/// The unit as it is installed: `systemd/preview-agent.service` of the repository.
pub const UNIT_TEXT: &str = include_str!("../../systemd/preview-agent.service");

/// The variable that names the status parameter for a configuration that cannot be read.
pub const REPORT: &str = "PREVIEW_AGENT_REPORT";

/// Where distributions keep the units of their packages.
const PACKAGED: [&str; 2] = ["usr/lib/systemd/system", "lib/systemd/system"];

/// Where everything is.
#[derive(Debug, Clone)]
pub struct Layout {
    root: PathBuf,
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

    /// Whether the unit was masked, and how that is undone.
    fn check_mask(&self) -> Result<(), Error> {
        let runtime = self.root.join("run/systemd/system").join(UNIT);
        for (path, option) in [(self.unit(), ""), (runtime, "--runtime ")] {
            if fs::read_link(path).is_ok_and(|target| target == Path::new("/dev/null")) {
                return Err(Error::Masked { option });
            }
        }
        Ok(())
    }

    /// Whether the unit is one that an installation wrote, of this version or
    /// of another: its first line tells.
    fn is_ours(&self) -> bool {
        fs::read_to_string(self.unit()).is_ok_and(|text| text.lines().next() == UNIT_TEXT.lines().next())
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

    /// Puts binary, unit, drop-in and the configuration's folder in place and
    /// returns what was changed. Each file is replaced as a whole; a second call, also after
    /// one that was cut short, changes what differs. For a package's binary
    /// the unit of an installation from before the package goes, which would
    /// hide the package's.
    ///
    /// # Errors
    /// [`Error::Masked`], [`Error::Packaged`] if a package owns what another
    /// binary wants to replace, or what the file system says.
    pub fn install(&self, executable: &Path, report: Option<&str>) -> Result<Vec<PathBuf>, Error> {
        self.check_mask()?;
        let mut changed = Vec::new();
        let mut placed = |path: PathBuf, is_new: bool| {
            if is_new {
                changed.push(path);
            }
        };
        match self.packaged_unit() {
            None => {
                placed(self.binary(), files::copy(executable, &self.binary())?);
                placed(self.unit(), put(&self.unit(), UNIT_TEXT.as_bytes())?);
            }
            Some(_) if files::is_same(executable, &self.binary()) => {
                placed(self.unit(), self.is_ours() && remove(&self.unit())?);
            }
            Some(unit) => return Err(Error::Packaged { unit }),
        }
        if let Some(name) = report {
            placed(self.drop_in(), put(&self.drop_in(), drop_in_text(name).as_bytes())?);
        }
        placed(self.config(), files::create_folder(&self.config())?);
        Ok(changed)
    }

    /// Removes what [`Layout::install`] and the service made, but neither state
    /// nor configuration.
    ///
    /// # Errors
    /// [`Error::Packaged`], before anything is removed.
    pub fn uninstall(&self) -> Result<Removal, Error> {
        if let Some(unit) = self.packaged_unit() {
            return Err(Error::Packaged { unit });
        }
        let mut removal = Removal::default();
        for path in [self.unit(), self.drop_in()] {
            removal.note(remove(&path), path);
        }
        // Somebody else's drop-ins stay, and an empty folder is not worth a word.
        if let Err(error) = files::remove_if_empty(&self.drop_in().with_file_name("")) {
            removal.errors.push(error);
        }
        removal.note(remove_folder(&self.run()), self.run());
        removal.note(remove(&self.binary()), self.binary());
        Ok(removal)
    }

    /// Removes the state, and the configuration's folder if nobody wrote
    /// anything into it.
    #[must_use]
    pub fn forget(&self) -> Removal {
        let mut removal = Removal::default();
        removal.note(remove_folder(&self.state()), self.state());
        removal.note(files::remove_if_empty(&self.config()), self.config());
        removal
    }
}

/// What became of a removal. Every step of it is tried: what stands in the way
/// of one keeps no other from being done.
#[derive(Debug, Default)]
pub struct Removal {
    /// What was there and is gone.
    pub removed: Vec<PathBuf>,
    /// What stays, and why.
    pub errors: Vec<Error>,
}

impl Removal {
    fn note(&mut self, result: Result<bool, Error>, path: PathBuf) {
        match result {
            Ok(true) => self.removed.push(path),
            Ok(false) => {}
            Err(error) => self.errors.push(error),
        }
    }
}

/// The drop-in. Parameter names have none of the characters that mean
/// something to systemd; [`crate::config::names::parameter`] sees to that.
fn drop_in_text(name: &str) -> String {
    format!("# Written by `agent install --report`.\n[Service]\nEnvironment={REPORT}={name}\n")
}
