//! The commands and their options.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

use super::changes::Changes;
use crate::names::Repository;
use crate::settings::folder;

/// Give a pull request a preview on EC2, and take it away again
///
/// Launches an instance that brings the application up by itself, watches what
/// it reports, tells the pull request, and leaves nothing behind. In a workflow
/// everything is known from the event; on a laptop say which pull request.
#[derive(Debug, Parser)]
#[command(name = "preview", version, max_term_width = 80)]
#[command(arg_required_else_help = true, disable_help_subcommand = true)]
pub struct Cli {
    #[command(flatten)]
    pub(super) common: Common,
    #[command(subcommand)]
    pub(super) command: Command,
}

#[derive(Debug, Args)]
pub(super) struct Common {
    /// The repository [env: GITHUB_REPOSITORY]
    #[arg(long, global = true, value_name = "OWNER/NAME")]
    pub(super) repository: Option<Repository>,
    /// The settings, in place of preview.yaml in the repository
    #[arg(long, global = true, value_name = "FILE")]
    pub(super) settings: Option<PathBuf>,
    /// Write one JSON document on standard output
    #[arg(long, global = true)]
    pub(super) json: bool,
}

/// What can be asked for.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// See whether all that a preview needs is there, and touch nothing
    Check(Launch),
    /// Bring a preview up, and wait until it serves or has failed
    Up(Launch),
    /// Wait for a preview that is there
    Wait(Waiting),
    /// Take a preview down
    Down {
        /// The pull request; in a workflow that of the event
        number: Option<u64>,
        /// Only pull requests that had this label [env: PREVIEW_LABEL]
        #[arg(long)]
        label: Option<String>,
        /// Also that of an open pull request
        #[arg(long)]
        force: bool,
    },
    /// Look for what closed pull requests have left
    Sweep {
        /// Take it down; on a schedule that goes without saying
        #[arg(long)]
        act: bool,
    },
    /// List all previews of the account
    List,
    /// Show the agent's status of a preview
    Status {
        /// The pull request
        number: u64,
    },
    /// Show the newest lines of a log on the instance
    Logs {
        /// The pull request
        number: u64,
        /// Whose log
        #[arg(value_enum, default_value_t = Source::App)]
        source: Source,
    },
    /// Change a CloudFormation stack: reviewed, gated, applied, and the way back
    #[command(subcommand)]
    Changes(Changes),
    /// Print the IAM policy that all this needs
    IamPolicy(Policy),
}

/// A policy; what is not said stands in it in capitals.
#[derive(Debug, Args)]
pub struct Policy {
    /// The folder of all parameters, as in the settings
    #[arg(long, default_value = "/pr-preview", value_parser = folder)]
    pub(super) path: String,
    /// ARN of the instance's role
    #[arg(long, value_name = "ARN", default_value = "arn:aws:iam::ACCOUNT:role/INSTANCE-ROLE")]
    pub(super) role: String,
    /// ARN of its instance profile
    #[arg(
        long,
        value_name = "ARN",
        default_value = "arn:aws:iam::ACCOUNT:instance-profile/INSTANCE-PROFILE"
    )]
    pub(super) profile: String,
    /// ARN of a group whose rules may change; may be repeated
    #[arg(
        long = "security-group",
        value_name = "ARN",
        default_value = "arn:aws:ec2:REGION:ACCOUNT:security-group/GROUP"
    )]
    pub(super) groups: Vec<String>,
}

/// A launch.
#[derive(Debug, Args)]
pub struct Launch {
    /// The pull request; in a workflow that of the event
    pub(super) number: Option<u64>,
    /// The commit; in a workflow that of the event, else the pull request's newest
    #[arg(long, value_name = "COMMIT")]
    pub(super) sha: Option<String>,
    /// Only pull requests with this label [env: PREVIEW_LABEL]
    #[arg(long)]
    pub(super) label: Option<String>,
    /// Minutes to wait for an outcome
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u64).range(1..=120))]
    pub(super) minutes: u64,
    /// URL of the folder with the agent's executables [env: PREVIEW_AGENT_RELEASE]
    #[arg(long, value_name = "URL")]
    pub(super) agent_release: Option<String>,
    /// Their SHA256SUMS [env: PREVIEW_AGENT_SUMS]
    #[arg(long, value_name = "FILE")]
    pub(super) agent_sums: Option<PathBuf>,
}

/// A wait.
#[derive(Debug, Args)]
pub struct Waiting {
    /// The pull request; in a workflow that of the event
    pub(super) number: Option<u64>,
    /// Minutes to wait for an outcome
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u64).range(1..=120))]
    pub(super) minutes: u64,
}

/// Whose log.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub enum Source {
    /// The application's
    App,
    /// That of jobs and migration
    Migrate,
    /// The image's build
    Build,
    /// The agent's
    Agent,
}

impl Source {
    /// As `agent logs` calls it.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::App => "app",
            Self::Migrate => "migrate",
            Self::Build => "build",
            Self::Agent => "agent",
        }
    }
}
