//! What an installation made, removed.

use std::path::PathBuf;

use super::error::Error;
use super::files::{self, remove, remove_folder};
use super::layout::Layout;

impl Layout {
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
