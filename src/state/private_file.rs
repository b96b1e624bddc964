//! A file of the state folder that only root reads.

use std::io;
use std::path::Path;

use crate::files::{self, Durability};

/// Writes it whole or not at all, across a loss of power too.
///
/// # Errors
/// What the file system says.
pub(super) fn write(folder: &Path, name: &str, bytes: &[u8]) -> io::Result<()> {
    // Always the same name: what a crash leaves here goes with the next write.
    let new = folder.join(format!("{name}.new"));
    files::replace(&folder.join(name), &new, bytes, 0o600, Durability::Synced)
}
