//! The last lines of a growing file, and what comes after them.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, BufRead as _, BufReader, Seek as _, SeekFrom, Write};
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::time::Duration;

use crate::files;
use crate::redact::plain;

/// As far back as the last lines are looked for.
const MAX_BACK: u64 = 4 * 1024 * 1024;

/// Between two looks at a followed file.
const POLL: Duration = Duration::from_millis(250);

/// Writes the last `lines` lines of a file, without what could drive a
/// terminal; with `follow` it goes on, also when the file is replaced or
/// begun anew, until writing fails.
///
/// # Errors
/// Whatever the file system says, or the reader at the other end.
pub fn show(path: &Path, lines: usize, follow: bool, out: &mut impl Write) -> io::Result<()> {
    let mut log = Log::open(path)?;
    let length = log.file.get_ref().metadata()?.len();
    if length > MAX_BACK {
        log.file.seek(SeekFrom::Start(length - MAX_BACK))?;
        // Most likely it stands within a line.
        log.file.skip_until(b'\n')?;
    }
    let mut last = VecDeque::new();
    while let Some(line) = log.line(!follow)? {
        last.push_back(line);
        if last.len() > lines {
            last.pop_front();
        }
    }
    for line in last {
        writeln!(out, "{line}")?;
    }
    out.flush()?;
    if !follow {
        return Ok(());
    }
    loop {
        std::thread::sleep(POLL);
        if log.is_over(path) {
            log = Log::open(path)?;
        }
        while let Some(line) = log.line(false)? {
            writeln!(out, "{line}")?;
        }
        out.flush()?;
    }
}

struct Log {
    file: BufReader<File>,
    /// A line whose end has not been written yet.
    partial: Vec<u8>,
}

impl Log {
    fn open(path: &Path) -> io::Result<Self> {
        Ok(Self { file: BufReader::new(files::open(path)?), partial: Vec::new() })
    }

    /// The next whole line; at the end of the file what is left of one, if `rest` is wanted.
    fn line(&mut self, rest: bool) -> io::Result<Option<String>> {
        self.file.read_until(b'\n', &mut self.partial)?;
        let whole = self.partial.ends_with(b"\n");
        if self.partial.is_empty() || !(whole || rest) {
            return Ok(None);
        }
        let bytes = std::mem::take(&mut self.partial);
        let line = String::from_utf8_lossy(&bytes);
        Ok(Some(plain(line.trim_end_matches(['\n', '\r'])).into_owned()))
    }

    /// Whether another file stands at the path, or this one was cut.
    fn is_over(&mut self, path: &Path) -> bool {
        let position = self.file.stream_position().unwrap_or_default();
        match (std::fs::metadata(path), self.file.get_ref().metadata()) {
            (Ok(there), Ok(here)) => there.ino() != here.ino() || here.len() < position,
            // Gone for a moment: the one that replaces it is still to come.
            _ => false,
        }
    }
}
