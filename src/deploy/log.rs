//! The log files of jobs and builds, which `agent logs` reads.

use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

/// A log file of ours for `agent logs`, bounded: the older half goes when it is full.
pub(super) struct LogFile {
    path: PathBuf,
    file: Option<std::fs::File>,
    bytes: u64,
}

impl LogFile {
    /// Two files of this size at most.
    const MAX: u64 = 512 * 1024;

    /// Opens the log to append; without one the job runs all the same.
    pub(super) fn open(folder: &Path, name: &str) -> Self {
        let path = folder.join(name);
        let file = append(&path).inspect_err(|error| tracing::warn!(%error, "no log file")).ok();
        let bytes = file.as_ref().and_then(|file| file.metadata().ok()).map_or(0, |meta| meta.len());
        Self { path, file, bytes }
    }

    /// Adds a line that has been redacted.
    pub(super) fn line(&mut self, line: &str) {
        if self.bytes > Self::MAX && std::fs::rename(&self.path, self.path.with_extension("log.1")).is_ok() {
            self.file = append(&self.path).ok();
            self.bytes = 0;
        }
        if let Some(file) = &mut self.file {
            match writeln!(file, "{line}") {
                Ok(()) => self.bytes += line.len() as u64 + 1,
                Err(_) => self.file = None,
            }
        }
    }
}

fn append(path: &Path) -> io::Result<std::fs::File> {
    use std::os::unix::fs::OpenOptionsExt as _;
    std::fs::File::options().create(true).append(true).mode(0o600).open(path)
}
