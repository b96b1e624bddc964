//! Regular files and nothing else: a pipe in the place of one would block its reader or writer for
//! ever, a device never end, and a link lead somewhere else.

use std::fs::{File, Permissions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::Path;

/// A regular file, to be read.
///
/// # Errors
/// What the system says, or that it is no such file.
pub fn open(path: &Path) -> io::Result<File> {
    regular(File::options().read(true).custom_flags(nonblocking()).open(path)?)
}

/// The content of a regular file of at most `max` bytes.
///
/// # Errors
/// As [`open`], or that it is larger.
pub fn read(path: &Path, max: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    open(path)?.take(max + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > max {
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, format!("larger than {max} bytes")));
    }
    Ok(bytes)
}

/// A regular file that only its owner reads, to be added to; made where there is none.
///
/// # Errors
/// As [`open`].
pub fn append(path: &Path) -> io::Result<File> {
    regular(File::options().create(true).append(true).mode(0o600).custom_flags(nonblocking()).open(path)?)
}

/// Whether a file that was replaced must be there after a loss of power.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Durability {
    /// File and folder are synced before the call returns.
    Synced,
    /// Nothing is synced: what is lost is written anew.
    Unsynced,
}

/// Replaces a file, or a link but not what it leads to, in one step: a reader sees the old bytes or
/// the new ones, nothing between. They are written to `temporary` first, in the same folder. A
/// caller gives it always the same name, so that what a crash leaves there goes with the next write.
///
/// # Errors
/// What the system says; the temporary file is gone then.
pub fn replace(
    path: &Path,
    temporary: &Path,
    bytes: &[u8],
    mode: u32,
    durability: Durability,
) -> io::Result<()> {
    let written = write_and_rename(path, temporary, bytes, mode, durability);
    if written.is_err() {
        // A full disk is not helped by half a file.
        std::fs::remove_file(temporary).ok();
    }
    written
}

fn write_and_rename(
    path: &Path,
    temporary: &Path,
    bytes: &[u8],
    mode: u32,
    durability: Durability,
) -> io::Result<()> {
    match std::fs::remove_file(temporary) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    // Nobody else reads it before its mode is right.
    let mut file = File::options().create_new(true).write(true).mode(0o600).open(temporary)?;
    // Set by hand: a umask takes bits away.
    file.set_permissions(Permissions::from_mode(mode))?;
    file.write_all(bytes)?;
    if durability == Durability::Synced {
        file.sync_all()?;
    }
    std::fs::rename(temporary, path)?;
    match path.parent() {
        Some(folder) if durability == Durability::Synced => File::open(folder)?.sync_all(),
        _ => Ok(()),
    }
}

fn regular(file: File) -> io::Result<File> {
    if file.metadata()?.is_file() {
        Ok(file)
    } else {
        Err(io::Error::new(io::ErrorKind::InvalidInput, "not a regular file"))
    }
}

fn nonblocking() -> i32 {
    rustix::fs::OFlags::NONBLOCK.bits().cast_signed()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mode(path: &Path) -> u32 {
        std::fs::symlink_metadata(path).unwrap().permissions().mode() & 0o7777
    }

    #[test]
    fn a_file_is_replaced_with_its_mode_and_leaves_no_other() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        for (bytes, bits, durability) in
            [(&b"old"[..], 0o600, Durability::Synced), (b"new", 0o666, Durability::Unsynced)]
        {
            // As a crash leaves it.
            std::fs::write(at("a.new"), "half of it").unwrap();
            replace(&at("a"), &at("a.new"), bytes, bits, durability).unwrap();
            assert_eq!((std::fs::read(at("a")).unwrap().as_slice(), mode(&at("a"))), (bytes, bits));
            assert!(!at("a.new").exists());
        }
    }

    #[test]
    fn a_link_is_replaced_and_not_what_it_leads_to() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        std::fs::write(at("elsewhere"), "somebody else's").unwrap();
        for link in ["a", "a.new"] {
            std::os::unix::fs::symlink(at("elsewhere"), at(link)).unwrap();
        }
        replace(&at("a"), &at("a.new"), b"ours", 0o600, Durability::Synced).unwrap();
        assert_eq!(std::fs::read(at("elsewhere")).unwrap(), b"somebody else's");
        assert!(at("a").symlink_metadata().unwrap().is_file());
    }

    #[test]
    fn a_write_that_fails_leaves_no_temporary_file() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        std::fs::create_dir(at("a")).unwrap();
        assert!(replace(&at("a"), &at("a.new"), b"ours", 0o600, Durability::Synced).is_err());
        assert!(!at("a.new").exists());
    }
}
