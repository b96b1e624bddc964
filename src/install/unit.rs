//! The unit and its drop-in, as they are installed.

/// The unit's name.
pub const UNIT: &str = "preview-agent.service";

/// The unit as it is installed: `systemd/preview-agent.service` of the repository.
pub const UNIT_TEXT: &str = include_str!("../../systemd/preview-agent.service");

/// The variable that names the status parameter for a configuration that cannot be read.
pub const REPORT: &str = "PREVIEW_AGENT_REPORT";

/// The drop-in. Parameter names have none of the characters that mean
/// something to systemd; [`crate::config::names::parameter`] sees to that.
pub(super) fn drop_in_text(name: &str) -> String {
    format!("# Written by `agent install --report`.\n[Service]\nEnvironment={REPORT}={name}\n")
}
