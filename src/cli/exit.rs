//! Exit codes.
//!
//! Never 137, 168, 169 or 194: to the SSM Agent these mean killed, stop with
//! success, stop with failure, and reboot.

use crate::config;
use crate::status::{Document, Outcome, ServiceState, Timestamp};

/// Done; for `status`: the service is up and the last run ready.
pub const OK: u8 = 0;
/// The last run failed, or the service is degraded or down.
pub const FAILED: u8 = 1;
/// The command line is wrong; clap's own code for it.
pub const USAGE: u8 = 2;
/// A run is in progress.
pub const IN_PROGRESS: u8 = 3;
/// No agent, or its status has expired.
pub const NO_AGENT: u8 = 4;
/// The same may work later: EX_TEMPFAIL of sysexits.h.
pub const TEMPORARY: u8 = 75;
/// Permission denied: EX_NOPERM of sysexits.h.
pub const NO_PERMISSION: u8 = 77;
/// The configuration is wrong: EX_CONFIG of sysexits.h.
pub const CONFIG: u8 = 78;

/// What a configuration that cannot be used ends in.
#[must_use]
pub fn of_config_error(error: &config::Error) -> u8 {
    if matches!(error, config::Error::Denied { .. }) { NO_PERMISSION } else { CONFIG }
}

/// What `agent status` answers with.
#[must_use]
pub fn of_document(document: &Document, now: Timestamp) -> u8 {
    match (document.run.outcome, document.service.state) {
        _ if document.expires_at < now => NO_AGENT,
        (_, ServiceState::Unwatched) => NO_AGENT,
        (Outcome::InProgress, _) => IN_PROGRESS,
        (Outcome::Ready, ServiceState::Up) => OK,
        _ => FAILED,
    }
}
