//! `agent status`: what the status file says, for people and for scripts.
//!
//! It needs the file and nothing else: no root, no HOME, no network, no terminal.

use std::io::{self, IsTerminal as _, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;
use serde::Deserialize;
use time::OffsetDateTime;

use super::style::Style;
use super::{bounded, exit, view, written};
use crate::files;
use crate::redact::plain;
use crate::status::{Document, SCHEMA, Timestamp, file, paths};

/// A status file is 2,300 bytes; nothing near this is one.
const MAX_FILE: u64 = 64 * 1024;

/// Between two looks at the file while watching.
const POLL: Duration = Duration::from_millis(250);

/// Show the state of the deployment
#[derive(Debug, Args)]
pub struct Status {
    /// Print the status document as it is
    #[arg(long, conflicts_with = "watch")]
    pub json: bool,
    /// Follow live: on a terminal until Ctrl-C, else one line per change until the run has ended
    #[arg(long)]
    pub watch: bool,
    /// Write at most this many bytes: what matters least is left out
    #[arg(long, value_name = "N", value_parser = bounded::bytes, conflicts_with_all = ["json", "watch"])]
    pub bytes: Option<usize>,
}

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

impl Status {
    /// Runs the command and returns the exit code.
    #[must_use]
    pub fn run(self) -> u8 {
        let path = paths::run_dir().join(file::NAME);
        let result = match (self.json, self.watch) {
            (true, _) => json(&path, &mut io::stdout().lock()),
            (_, true) if io::stdout().is_terminal() => watch(&path),
            (_, true) => follow(&path, &mut io::stdout().lock()),
            _ => show(&path, self.bytes, Style::from_env(), &mut io::stdout().lock()),
        };
        written(result)
    }
}

/// Writes the view once, within `bytes` if that is given. Returns the exit code.
///
/// # Errors
/// Whatever the reader at the other end says.
pub fn show(path: &Path, bytes: Option<usize>, style: Style, out: &mut impl Write) -> io::Result<u8> {
    match read(path) {
        Ok(document) => {
            let view = match bytes {
                Some(max) => view::render_within(&document, now(), style, max),
                None => view::render(&document, now(), style),
            };
            out.write_all(view.as_bytes())?;
            Ok(exit::of_document(&document, now()))
        }
        Err(error) => complain(&error),
    }
}

/// Writes the file's own bytes. Returns the exit code.
///
/// # Errors
/// Whatever the reader at the other end says.
pub fn json(path: &Path, out: &mut impl Write) -> io::Result<u8> {
    let bytes = match bytes(path) {
        Ok(bytes) => bytes,
        Err(error) => return complain(&error),
    };
    out.write_all(&bytes)?;
    if !bytes.ends_with(b"\n") {
        out.write_all(b"\n")?;
    }
    match parse(path, &bytes) {
        Ok(document) => Ok(exit::of_document(&document, now())),
        Err(error) => complain(&error),
    }
}

/// Writes a line per verdict until the run has ended. Returns the exit code.
///
/// # Errors
/// Whatever the reader at the other end says.
pub fn follow(path: &Path, out: &mut impl Write) -> io::Result<u8> {
    let mut last = String::new();
    loop {
        let document = match read(path) {
            Ok(document) => document,
            Err(error) => return complain(&error),
        };
        if document.verdict != last {
            writeln!(out, "{}", plain(&document.verdict))?;
            out.flush()?;
            last.clone_from(&document.verdict);
        }
        let code = exit::of_document(&document, now());
        if code != exit::IN_PROGRESS {
            return Ok(code);
        }
        std::thread::sleep(POLL);
    }
}

/// Draws the view anew whenever it changes, until Ctrl-C.
fn watch(path: &Path) -> io::Result<u8> {
    let style = Style::from_env();
    let mut last = String::new();
    loop {
        let screen = match read(path) {
            Ok(document) => view::render(&document, now(), style),
            Err(error) => format!("{error}\n"),
        };
        if screen != last {
            // Home, each line cleared behind its end, the rest cleared: nothing flickers.
            // What does not fit is left out below, so that the verdict stays in sight.
            let mut out = io::stdout().lock();
            write!(out, "\u{1b}[H")?;
            // A terminal that nobody has given a size has none; a session may begin so.
            let rows = match rustix::termios::tcgetwinsize(&out) {
                Ok(size) if size.ws_row > 0 => size.ws_row.max(2),
                _ => 24,
            };
            for line in screen.lines().take(usize::from(rows) - 1) {
                writeln!(out, "{line}\u{1b}[K")?;
            }
            write!(out, "\u{1b}[J")?;
            out.flush()?;
            last = screen;
        }
        std::thread::sleep(POLL);
    }
}

fn complain(error: &StatusError) -> io::Result<u8> {
    writeln!(io::stderr(), "{error}")?;
    Ok(exit::NO_AGENT)
}

fn now() -> Timestamp {
    OffsetDateTime::now_utc().into()
}

/// Reads the status document at `path`.
///
/// # Errors
/// Why there is none.
pub fn read(path: &Path) -> Result<Document, StatusError> {
    parse(path, &bytes(path)?)
}

fn bytes(path: &Path) -> Result<Vec<u8>, StatusError> {
    match files::read(path, MAX_FILE) {
        Ok(bytes) => Ok(bytes),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Err(StatusError::Absent(path.to_owned())),
        Err(source) => Err(StatusError::Unreadable { path: path.to_owned(), source }),
    }
}

fn parse(path: &Path, bytes: &[u8]) -> Result<Document, StatusError> {
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
