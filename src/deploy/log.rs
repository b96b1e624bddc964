//! The output of containers and builds: the log files that `agent logs` reads,
//! and the last lines that a fault shows.

use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use crate::docker::Engine;
use crate::redact::Redactor;
use crate::redact::output::{Lines, Tail};

/// Lines that are asked of the engine for a tail.
const TAIL_LINES: u32 = 100;

/// The last output of a container, clean and redacted; empty where the engine has none.
pub async fn tail(engine: &Engine, id: &str, redactor: &Redactor) -> Tail {
    let mut lines = Lines::new(redactor.clone());
    let mut tail = Tail::default();
    for chunk in engine.last_logs(id, TAIL_LINES).await.unwrap_or_default() {
        lines.push(&chunk).into_iter().for_each(|line| tail.push(line));
    }
    lines.finish().into_iter().for_each(|line| tail.push(line));
    tail
}

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
