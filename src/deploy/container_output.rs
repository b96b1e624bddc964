//! The output of containers and builds: the log files that `agent logs` reads,
//! and the last lines that a fault shows.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::pin::pin;
use std::time::Duration;

use futures_util::StreamExt as _;
use tokio::time::timeout;

use crate::docker::Engine;
use crate::files;
use crate::redact::Redactor;
use crate::redact::output::{Outputs, Tail};

/// Lines that are asked of the engine for a tail.
const TAIL_LINES: u32 = 100;

/// They come at once; a stream that has no end must not hold up what needs its tail.
const TAIL_READ: Duration = Duration::from_secs(20);

/// The last output of a container, clean and redacted; empty where the engine has none.
pub async fn tail(engine: &Engine, id: &str, redactor: &Redactor) -> Tail {
    let mut outputs = Outputs::new(redactor);
    let mut tail = Tail::default();
    let mut chunks = pin!(engine.last_logs(id, TAIL_LINES));
    let read = async {
        while let Some(Ok((stream, chunk))) = chunks.next().await {
            outputs.push(stream, &chunk).into_iter().for_each(|line| tail.push(line));
        }
    };
    // What came until then is kept.
    timeout(TAIL_READ, read).await.ok();
    outputs.finish().for_each(|line| tail.push(line));
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
        let file = files::append(&path).inspect_err(|error| tracing::warn!(%error, "no log file")).ok();
        let bytes = file.as_ref().and_then(|file| file.metadata().ok()).map_or(0, |meta| meta.len());
        Self { path, file, bytes }
    }

    /// Adds a line that has been redacted.
    pub(super) fn line(&mut self, line: &str) {
        if self.bytes > Self::MAX && std::fs::rename(&self.path, self.path.with_extension("log.1")).is_ok() {
            self.file = files::append(&self.path).ok();
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
