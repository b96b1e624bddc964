//! `agent status`: what the status file says, for people and for scripts.
//!
//! It needs the file and nothing else: no root, no HOME, no network, no terminal.

mod read;
pub mod view;
mod waterfall;

use std::io::{self, IsTerminal as _, Write};
use std::path::Path;
use std::time::Duration;

use clap::Args;
use time::OffsetDateTime;

pub use read::{StatusError, read};

use self::read::{parse, read_bytes};
use super::output::written;
use super::style::Style;
use super::{bounded, exit};
use crate::redact::plain;
use crate::status::{Timestamp, file, paths};

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
        Err(error) => no_document(&error),
    }
}

/// Writes the file's own bytes. Returns the exit code.
///
/// # Errors
/// Whatever the reader at the other end says.
pub fn json(path: &Path, out: &mut impl Write) -> io::Result<u8> {
    let bytes = match read_bytes(path) {
        Ok(bytes) => bytes,
        Err(error) => return no_document(&error),
    };
    out.write_all(&bytes)?;
    if !bytes.ends_with(b"\n") {
        out.write_all(b"\n")?;
    }
    match parse(path, &bytes) {
        Ok(document) => Ok(exit::of_document(&document, now())),
        Err(error) => no_document(&error),
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
            Err(error) => return no_document(&error),
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

/// Says why there is nothing to show.
fn no_document(error: &StatusError) -> io::Result<u8> {
    writeln!(io::stderr(), "{error}")?;
    Ok(exit::NO_AGENT)
}

fn now() -> Timestamp {
    OffsetDateTime::now_utc().into()
}
