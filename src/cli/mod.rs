//! The command line: one file per command, each command struct owns its `run()`.

mod app_log;
pub mod bounded;
mod check;
mod completions;
pub mod exit;
mod iam_policy;
mod install;
mod logging;
mod logs;
mod man;
mod reload;
mod run;
pub mod status;
pub mod style;
pub mod tail;
mod uninstall;
pub mod view;
mod waterfall;

use std::io::{self, Write as _};

use clap::{Parser, Subcommand};

pub use check::Check;
pub use completions::Completions;
pub use iam_policy::IamPolicy;
pub use install::Install;
pub use logs::{Logs, Source};
pub use man::Man;
pub use reload::Reload;
pub use run::Run;
pub use status::Status;
pub use uninstall::Uninstall;

use crate::install::Error as InstallError;
use crate::redact::plain;

/// Where the configuration is, unless told otherwise.
pub const CONFIG_FILE: &str = "/etc/preview-agent/config.yaml";

/// Turn this instance into a running deployment, and say what state it is in
///
/// The agent reads one configuration file, gets the application's image (from
/// its registry, or built from the source), waits for the database, migrates
/// it, starts the application and proves it healthy. Every step is reported to
/// a file, an SSM parameter and systemd. Afterwards the agent stays, watches,
/// and deploys anew when it is reloaded.
#[derive(Debug, Parser)]
#[command(name = "agent", version, after_long_help = MANUAL, max_term_width = 80)]
#[command(arg_required_else_help = true, disable_help_subcommand = true)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Run(Run),
    Check(Check),
    Status(Status),
    Logs(Logs),
    Reload(Reload),
    Install(Install),
    Uninstall(Uninstall),
    IamPolicy(IamPolicy),
    Completions(Completions),
    Man(Man),
}

impl Cli {
    /// Runs the command and returns the exit code.
    #[must_use]
    pub fn run(self) -> u8 {
        match self.command {
            Command::Run(command) => command.run(),
            Command::Check(command) => command.run(),
            Command::Status(command) => command.run(),
            Command::Logs(command) => command.run(),
            Command::Reload(command) => command.run(),
            Command::Install(command) => command.run(),
            Command::Uninstall(command) => command.run(),
            Command::IamPolicy(command) => command.run(),
            Command::Completions(command) => command.run(),
            Command::Man(command) => command.run(),
        }
    }
}

/// Says what went wrong; where even that fails there is nobody to tell.
fn complain(message: &str, code: u8) -> u8 {
    logging::tell(&format!("agent: {}\n", plain(message)));
    code
}

/// The exit code of a command that has written its answer. A reader that has seen enough (`| head`)
/// is no failure; a full disk behind `>` is.
fn written(result: io::Result<u8>) -> u8 {
    match result {
        Ok(code) => code,
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => exit::OK,
        Err(error) => complain(&format!("cannot show all of it: {error}"), exit::FAILED),
    }
}

/// Says what was done; a reader that has gone stops no installation.
fn say(message: &str) {
    writeln!(io::stdout(), "{message}").ok();
}

/// Says why an installation or removal was not done.
fn failed(error: &InstallError) -> u8 {
    let code = if matches!(error, InstallError::Busy) { exit::TEMPORARY } else { exit::FAILED };
    complain(&error.to_string(), code)
}

const MANUAL: &str = "\
Exit status:
  0   done; for status and reload: the service is up, the last run ready
  1   failed: the last run failed, or the service is degraded or down
  2   the command line is wrong
  3   a run is in progress
  4   there is no agent, it was stopped, or its status has expired
  75  may work later: another agent runs, the state folder cannot be used, or
      an installed agent is still starting
  77  permission denied
  78  the configuration is wrong

Files:
  /etc/preview-agent/config.yaml    the configuration
  /run/preview-agent/status.json    the status; no secrets, world-readable
  /var/lib/preview-agent/           state, migrate.log, build.log
  /usr/bin/agent                    this program, as `agent install` places it
  /etc/systemd/system/preview-agent.service
                                    the unit; your changes go into a drop-in:
                                    `systemctl edit preview-agent`
  /etc/systemd/system/preview-agent.service.d/report.conf
                                    the name from `agent install --report`

Environment:
  RUNTIME_DIRECTORY   folder of status.json; systemd sets it
  STATE_DIRECTORY     folder of what survives a reboot; systemd sets it
  NOTIFY_SOCKET, WATCHDOG_USEC, CREDENTIALS_DIRECTORY   from systemd
  AWS_ENDPOINT_URL, AWS_REGION, ...   as every AWS client reads them
  DOCKER_HOST         the engine's socket, else unix:///var/run/docker.sock
  PREVIEW_AGENT_REPORT   status parameter where no configuration can be read
  NO_COLOR            no colours on a terminal

Examples:
  agent status                      what state is it in?
  agent status --watch              follow a deployment
  agent logs migrate -n 50          the end of the migration's output
  agent install --report /pr-preview/42/status
                                    make this program the service, or upgrade it
  agent reload                      deploy what the configuration says now
";
