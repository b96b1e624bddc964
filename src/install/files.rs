//! Files and folders of an installation: replaced as a whole, removed if there.

use std::fs::{self, DirBuilder, File, Permissions};
use std::io::{self, ErrorKind, Read as _};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use super::error::Error;
use crate::files::{self, Durability};

/// Copies an executable, unless the same bytes are there. Returns whether it did.
pub(super) fn copy(from: &Path, to: &Path) -> Result<bool, Error> {
    if is_file(to) && is_same(from, to) {
        return Ok(false);
    }
    let mut source = File::open(from).map_err(Error::io("read", from))?;
    let mut bytes = Vec::new();
    source.read_to_end(&mut bytes).map_err(Error::io("read", from))?;
    replace(to, &bytes, 0o755)
}

/// Writes a text, unless it is there already. Returns whether it did.
pub(super) fn put(path: &Path, bytes: &[u8]) -> Result<bool, Error> {
    if let Some(folder) = path.parent() {
        create_folder(folder)?;
    }
    replace(path, bytes, 0o644)
}

/// Replaces a file that differs. Returns whether it did. What a killed
/// installation left behind goes in any case.
fn replace(path: &Path, bytes: &[u8], mode: u32) -> Result<bool, Error> {
    let temporary = temporary(path);
    unlink(&temporary)?;
    let is_there = is_file(path)
        && fs::read(path).is_ok_and(|there| there == bytes)
        && fs::metadata(path).is_ok_and(|metadata| metadata.mode() & 0o7777 == mode);
    if is_there {
        return Ok(false);
    }
    files::replace(path, &temporary, bytes, mode, Durability::Synced).map_err(Error::io("write", path))?;
    Ok(true)
}

/// `/usr/bin/.agent.new` of `/usr/bin/agent`.
fn temporary(path: &Path) -> PathBuf {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    path.with_file_name(format!(".{name}.new"))
}

/// Makes a folder that everybody may enter. Returns whether it was missing.
pub(super) fn create_folder(path: &Path) -> Result<bool, Error> {
    if path.is_dir() {
        return Ok(false);
    }
    let made = DirBuilder::new().recursive(true).mode(0o755).create(path);
    let made = made.and_then(|()| fs::set_permissions(path, Permissions::from_mode(0o755)));
    made.map(|()| true).map_err(Error::io("create", path))
}

/// Whether a file is there itself, not a link to one.
fn is_file(path: &Path) -> bool {
    fs::symlink_metadata(path).is_ok_and(|metadata| metadata.is_file())
}

/// Whether both paths lead to the same file.
pub(super) fn is_same(a: &Path, b: &Path) -> bool {
    match (fs::metadata(a), fs::metadata(b)) {
        (Ok(a), Ok(b)) => (a.dev(), a.ino()) == (b.dev(), b.ino()),
        _ => false,
    }
}

/// Removes a file or link with its temporary one. Returns whether it was there.
/// A folder in its place is nobody's that we know: it stays, and is an error.
pub(super) fn remove(path: &Path) -> Result<bool, Error> {
    unlink(&temporary(path))?;
    unlink(path)
}

fn unlink(path: &Path) -> Result<bool, Error> {
    found(fs::remove_file(path)).map_err(Error::io("remove", path))
}

/// Removes a folder with its content. Returns whether there was something. Of
/// a mount point the content goes and the folder stays.
pub(super) fn remove_folder(path: &Path) -> Result<bool, Error> {
    let is_empty = || fs::read_dir(path).is_ok_and(|mut entries| entries.next().is_none());
    let was_empty = is_empty();
    match fs::remove_dir_all(path) {
        Err(error) if error.kind() == ErrorKind::ResourceBusy && is_empty() => Ok(!was_empty),
        result => found(result).map_err(Error::io("remove", path)),
    }
}

/// Removes a folder that holds nothing. Returns whether it did.
pub(super) fn remove_if_empty(path: &Path) -> Result<bool, Error> {
    match fs::remove_dir(path) {
        Err(error) if matches!(error.kind(), ErrorKind::DirectoryNotEmpty | ErrorKind::ResourceBusy) => {
            Ok(false)
        }
        result => found(result).map_err(Error::io("remove", path)),
    }
}

/// Whether there was something to remove.
fn found(result: io::Result<()>) -> io::Result<bool> {
    match result {
        Ok(()) => Ok(true),
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => Ok(false),
        Err(error) => Err(error),
    }
}
