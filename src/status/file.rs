//! The status file: world-readable, replaced as a whole.

use std::fs::DirBuilder;
use std::io;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};

use crate::files::{self, Durability};

/// The file's name in the run folder.
pub const NAME: &str = "status.json";

/// The status file of a run folder.
#[derive(Debug, Clone)]
pub struct StatusFile {
    path: PathBuf,
}

impl StatusFile {
    /// The file in `dir`, which need not exist yet.
    #[must_use]
    pub fn new(dir: &Path) -> Self {
        Self { path: dir.join(NAME) }
    }

    /// Its path.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Replaces the content: a reader sees the old bytes or the new ones,
    /// nothing between. Nothing is synced: the folder lives in memory, and
    /// after a crash the next start writes anew.
    ///
    /// # Errors
    /// Whatever the file system says.
    pub fn write(&self, bytes: &[u8]) -> io::Result<()> {
        let dir = self.path.parent().unwrap_or(Path::new("/"));
        DirBuilder::new().recursive(true).mode(0o755).create(dir)?;
        // Always the same name: what a crash leaves here goes with the next write.
        let new = dir.join(format!(".{NAME}.new"));
        files::replace(&self.path, &new, bytes, 0o644, Durability::Unsynced)
    }
}
