//! Where the agent keeps what it writes.

use std::ffi::OsString;
use std::path::PathBuf;

/// The run folder: systemd's `RuntimeDirectory=`, else `/run/preview-agent`.
/// It holds `status.json` and is gone after a reboot.
#[must_use]
pub fn run_dir() -> PathBuf {
    first(std::env::var_os("RUNTIME_DIRECTORY"), "/run/preview-agent")
}

/// The state folder: systemd's `StateDirectory=`, else
/// `/var/lib/preview-agent`. It survives a reboot.
#[must_use]
pub fn state_dir() -> PathBuf {
    first(std::env::var_os("STATE_DIRECTORY"), "/var/lib/preview-agent")
}

/// systemd joins several folders with colons; ours is the first.
fn first(value: Option<OsString>, default: &str) -> PathBuf {
    value
        .and_then(|value| value.into_string().ok())
        .and_then(|value| value.split(':').next().filter(|first| !first.is_empty()).map(PathBuf::from))
        .unwrap_or_else(|| PathBuf::from(default))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_folder_of_systemd_is_taken_and_else_the_default() {
        assert_eq!(first(Some("/run/a:/run/b".into()), "/run/c"), PathBuf::from("/run/a"));
        assert_eq!(first(Some(OsString::new()), "/run/c"), PathBuf::from("/run/c"));
        assert_eq!(first(None, "/run/c"), PathBuf::from("/run/c"));
    }
}
