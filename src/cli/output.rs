//! What a command says at its end, and the exit code that goes with it.

use std::io::{self, Write as _};

use super::exit;
use super::stderr::write_patiently;
use crate::install::Error as InstallError;
use crate::redact::plain;

/// Says what went wrong; where even that fails there is nobody to tell.
pub(super) fn complain(message: &str, code: u8) -> u8 {
    write_patiently(&format!("agent: {}\n", plain(message)));
    code
}

/// The exit code of a command that has written its answer. A reader that has seen enough (`| head`)
/// is no failure; a full disk behind `>` is.
pub(super) fn written(result: io::Result<u8>) -> u8 {
    match result {
        Ok(code) => code,
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => exit::OK,
        Err(error) => complain(&format!("cannot show all of it: {error}"), exit::FAILED),
    }
}

/// Says what was done; a reader that has gone stops no installation.
pub(super) fn say(message: &str) {
    writeln!(io::stdout(), "{message}").ok();
}

/// Says why an installation or removal was not done.
pub(super) fn failed(error: &InstallError) -> u8 {
    let code = if matches!(error, InstallError::Busy) { exit::TEMPORARY } else { exit::FAILED };
    complain(&error.to_string(), code)
}
