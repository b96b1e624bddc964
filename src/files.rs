//! Regular files and nothing else: a pipe in the place of one would block its reader or writer for
//! ever, a device never end, and a link lead somewhere else.

use std::fs::File;
use std::io::{self, Read as _};
use std::os::unix::fs::OpenOptionsExt as _;
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

/// A new file that only its owner reads, in the place of whatever a crash has left there.
///
/// # Errors
/// What the system says.
pub fn begin(path: &Path) -> io::Result<File> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => File::options().create_new(true).write(true).mode(0o600).open(path),
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
