//! The status document, read from its file.

use std::io;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use crate::files;
use crate::status::{Document, SCHEMA};

/// A status file is 2,300 bytes; nothing near this is one.
const MAX_FILE: u64 = 64 * 1024;

/// Why there is no document to show.
#[derive(Debug, thiserror::Error)]
pub enum StatusError {
    /// There is no file.
    #[error("no status: {} does not exist: the agent has said nothing since the boot; see `systemctl status preview-agent`", .0.display())]
    Absent(PathBuf),
    /// It cannot be read.
    #[error("no status: cannot read {}: {source}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// It holds something else.
    #[error("no status: {} is not a status document (line {line}, column {column})", path.display())]
    Garbage {
        /// The file.
        path: PathBuf,
        /// Where it stops being one.
        line: usize,
        /// Where it stops being one.
        column: usize,
    },
    /// A newer agent wrote it.
    #[error("{} has version {found} and this agent reads version {SCHEMA}; see `agent status --json`", path.display())]
    Newer {
        /// The file.
        path: PathBuf,
        /// Its version.
        found: u64,
    },
}

/// Reads the status document at `path`.
///
/// # Errors
/// Why there is none.
pub fn read(path: &Path) -> Result<Document, StatusError> {
    parse(path, &read_bytes(path)?)
}

/// The file as it is.
pub(super) fn read_bytes(path: &Path) -> Result<Vec<u8>, StatusError> {
    match files::read(path, MAX_FILE) {
        Ok(bytes) => Ok(bytes),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Err(StatusError::Absent(path.to_owned())),
        Err(source) => Err(StatusError::Unreadable { path: path.to_owned(), source }),
    }
}

/// The document that the bytes of the file at `path` are.
pub(super) fn parse(path: &Path, bytes: &[u8]) -> Result<Document, StatusError> {
    /// What every version has.
    #[derive(Deserialize)]
    struct Version {
        schema: u64,
    }
    let garbage = |error: serde_json::Error| StatusError::Garbage {
        path: path.to_owned(),
        line: error.line(),
        column: error.column(),
    };
    let version: Version = serde_json::from_slice(bytes).map_err(garbage)?;
    if version.schema > SCHEMA.into() {
        return Err(StatusError::Newer { path: path.to_owned(), found: version.schema });
    }
    serde_json::from_slice(bytes).map_err(garbage)
}
