//! The service as systemd sees it, and whether it runs what is installed.

use std::collections::HashMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::error::Error;
use super::files;
use super::layout::Layout;
use super::systemctl::{LIMIT, call};
use super::unit::UNIT;

/// What systemd says of the unit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Service {
    properties: HashMap<String, String>,
}

impl Service {
    /// Asks systemd.
    ///
    /// # Errors
    /// systemctl has failed.
    pub fn query() -> Result<Self, Error> {
        let wanted = "--property=ActiveState,SubState,Result,MainPID,ExecMainStatus,\
                      ExecMainStartTimestampMonotonic,DropInPaths,FragmentPath,Job";
        Ok(Self::parse(&call(&["show", wanted, UNIT], LIMIT)?))
    }

    fn parse(text: &str) -> Self {
        let pairs = text.lines().filter_map(|line| line.split_once('='));
        Self { properties: pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).collect() }
    }

    fn get(&self, name: &str) -> &str {
        self.properties.get(name).map_or("", String::as_str)
    }

    /// Up, and it has said so itself.
    #[must_use]
    pub fn is_active(&self) -> bool {
        self.get("ActiveState") == "active"
    }

    /// Ended badly, and systemd does not start it again.
    #[must_use]
    pub fn has_failed(&self) -> bool {
        self.get("ActiveState") == "failed"
    }

    /// Its start is under way or waits for other units. Not while it waits to
    /// be started again after it has ended.
    #[must_use]
    pub fn is_starting(&self) -> bool {
        let is_restarting = self.get("SubState").starts_with("auto-restart");
        self.is_queued() || (self.get("ActiveState") == "activating" && !is_restarting)
    }

    fn is_queued(&self) -> bool {
        !matches!(self.get("Job"), "" | "0") && self.get("SubState") != "auto-restart-queued"
    }

    /// Whether a process of the installed binary runs by the installed unit and
    /// drop-ins. Compared with the files and not remembered from the
    /// installation, so that one that was cut short is seen, too.
    #[must_use]
    pub fn is_current(&self, layout: &Layout) -> bool {
        let pid = self.get("MainPID");
        let executable = PathBuf::from(format!("/proc/{pid}/exe"));
        if !self.is_active() || !files::is_same(&executable, &layout.binary()) {
            return false;
        }
        let Some(age) = self.age() else { return false };
        let paths = self.get("DropInPaths").split(' ').chain([self.get("FragmentPath")]);
        paths.filter(|path| !path.is_empty()).all(|path| is_older(Path::new(path), age))
    }

    /// How long the process has run.
    fn age(&self) -> Option<Duration> {
        let started = self.get("ExecMainStartTimestampMonotonic").parse().ok()?;
        let uptime = std::fs::read_to_string("/proc/uptime").ok()?;
        let uptime = Duration::try_from_secs_f64(uptime.split(' ').next()?.parse().ok()?).ok()?;
        uptime.checked_sub(Duration::from_micros(started))
    }
}

/// Whether a file was last changed before a process of this age began.
fn is_older(path: &Path, age: Duration) -> bool {
    let modified = std::fs::metadata(path).and_then(|metadata| metadata.modified());
    modified.is_ok_and(|modified| modified.elapsed().is_ok_and(|elapsed| elapsed > age))
}

impl fmt::Display for Service {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{UNIT} is {} ({})", self.get("ActiveState"), self.get("SubState"))?;
        match (self.get("Result"), self.get("ExecMainStatus")) {
            ("success", _) => {}
            // The agent has not ended so: a command that a drop-in has added did.
            ("exit-code", "" | "0") => write!(f, ", result exit-code, of another command than `agent run`")?,
            ("exit-code", status) => write!(f, ", result exit-code, exit status {status}")?,
            (result, _) => write!(f, ", result {result}")?,
        }
        if self.is_queued() {
            write!(f, ", its start waits for other units")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failed_service_is_told_with_its_exit_status() {
        let service =
            Service::parse("ActiveState=failed\nSubState=failed\nResult=exit-code\nExecMainStatus=78\n");
        assert!(service.has_failed() && !service.is_active());
        let told = "preview-agent.service is failed (failed), result exit-code, exit status 78";
        assert_eq!(service.to_string(), told);
    }

    #[test]
    fn a_command_before_the_agent_that_failed_is_not_told_with_the_agent_s_status() {
        let text = "ActiveState=failed\nSubState=failed\nResult=exit-code\nExecMainStatus=0\n";
        let told =
            "preview-agent.service is failed (failed), result exit-code, of another command than `agent run`";
        assert_eq!(Service::parse(text).to_string(), told);
        let text = "ActiveState=failed\nSubState=failed\nResult=signal\nExecMainStatus=9\n";
        assert_eq!(
            Service::parse(text).to_string(),
            "preview-agent.service is failed (failed), result signal"
        );
    }

    #[test]
    fn a_service_that_has_ended_is_not_about_to_start() {
        for (active, sub, job, starts) in [
            ("activating", "start", "", true),
            ("activating", "start-pre", "0", true),
            ("inactive", "dead", "117", true),
            ("activating", "auto-restart", "", false),
            ("activating", "auto-restart-queued", "117", false),
            ("failed", "failed", "", false),
            ("inactive", "dead", "", false),
        ] {
            let text = format!("ActiveState={active}\nSubState={sub}\nJob={job}\n");
            assert_eq!(Service::parse(&text).is_starting(), starts, "{text}");
        }
    }

    #[test]
    fn a_start_in_the_queue_is_told() {
        let service = Service::parse("ActiveState=inactive\nSubState=dead\nResult=success\nJob=117\n");
        let told = "preview-agent.service is inactive (dead), its start waits for other units";
        assert_eq!(service.to_string(), told);
    }
}
