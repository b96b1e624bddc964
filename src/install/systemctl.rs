//! systemctl, with a time limit.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use super::error::Error;

/// Time limit of a call that asks or enables: systemd may be busy with a boot.
pub const LIMIT: Duration = Duration::from_secs(30);

/// Time limit of a stop: `TimeoutStopSec=` of the unit and some more.
const STOP_LIMIT: Duration = Duration::from_secs(120);

/// Between two looks at a call.
const POLL: Duration = Duration::from_millis(10);

/// Whether systemd runs this machine (sd_booted(3)), rather than a folder
/// that an image is built in.
#[must_use]
pub fn is_running() -> bool {
    Path::new("/run/systemd/system").is_dir()
}

/// Calls systemctl and returns what it prints.
///
/// # Errors
/// It is not there, fails, or takes longer than `limit`.
pub fn call(arguments: &[&str], limit: Duration) -> Result<String, Error> {
    let mut child = Command::new("systemctl")
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(Error::NoSystemctl)?;
    let end = Instant::now() + limit;
    // What it prints is far below what a pipe holds, so that it can be read afterwards.
    loop {
        match child.try_wait() {
            Ok(Some(_)) => break,
            Ok(None) if Instant::now() < end => std::thread::sleep(POLL),
            Ok(None) => {
                child.kill().and_then(|()| child.wait()).ok();
                return Err(Error::Silent { arguments: arguments.join(" "), limit });
            }
            Err(error) => return Err(failed(arguments, &error.to_string())),
        }
    }
    let output = child.wait_with_output().map_err(|error| failed(arguments, &error.to_string()))?;
    let message = String::from_utf8_lossy(&output.stderr);
    match message.trim() {
        _ if output.status.success() => Ok(String::from_utf8_lossy(&output.stdout).into_owned()),
        "" => Err(failed(arguments, &output.status.to_string())),
        message => Err(failed(arguments, message)),
    }
}

/// Stops a unit; one that systemd does not know is stopped.
///
/// # Errors
/// As [`call`].
pub fn stop(unit: &str) -> Result<(), Error> {
    match call(&["stop", unit], STOP_LIMIT) {
        Err(error) if is_not_loaded(&error) => Ok(()),
        result => result.map(|_| ()),
    }
}

fn is_not_loaded(error: &Error) -> bool {
    matches!(error, Error::Systemctl { message, .. } if message.ends_with("not loaded."))
}

fn failed(arguments: &[&str], message: &str) -> Error {
    Error::Systemctl { arguments: arguments.join(" "), message: message.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_unit_that_is_not_loaded_is_told_from_one_that_does_not_stop() {
        let says = |message| failed(&["stop", "a.service"], message);
        assert!(is_not_loaded(&says("Failed to stop a.service: Unit a.service not loaded.")));
        assert!(!is_not_loaded(&says("Job for a.service canceled.")));
    }
}
