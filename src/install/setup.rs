//! What an installation puts in place, and an upgrade replaces.

use std::fs;
use std::path::{Path, PathBuf};

use super::error::Error;
use super::files::{self, put, remove};
use super::layout::Layout;
use super::unit::{UNIT, UNIT_TEXT, drop_in_text};

impl Layout {
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
}
