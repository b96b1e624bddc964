//! The commands, and what `agent --help` says of them all.

use clap::{CommandFactory as _, Parser, Subcommand};

use super::check::Check;
use super::completions::Completions;
use super::help_text::MANUAL;
use super::iam_policy::IamPolicy;
use super::install::Install;
use super::logs::Logs;
use super::man::Man;
use super::reload::Reload;
use super::run::Run;
use super::status::Status;
use super::uninstall::Uninstall;

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
            Command::Completions(command) => command.run(Self::command()),
            Command::Man(command) => command.run(Self::command()),
        }
    }
}
