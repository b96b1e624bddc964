//! The commands and their options.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

use super::changes::Changes;
use crate::names::{self, Repository};
use crate::settings::folder;

/// Give a pull request a preview on EC2, and remove it again
///
/// Launches an instance that deploys the application by itself, watches its
/// status, reports to the pull request, and leaves nothing behind. A workflow's
/// event names the pull request; on a laptop give its number.
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
    /// Read the settings from this file, not from preview.yaml in the repository
    #[arg(long, global = true, value_name = "FILE")]
    pub(super) settings: Option<PathBuf>,
    /// Write one JSON document on standard output
    #[arg(long, global = true)]
    pub(super) json: bool,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Check everything that a preview needs, and change nothing
    Check(Launch),
    /// Launch a preview, and wait until it serves or fails
    Up(Launch),
    /// Wait for a preview that was launched before
    Wait(Waiting),
    /// Remove a preview
    Down {
        /// The pull request's number; default is the event's
        #[arg(value_parser = pull_request)]
        number: Option<u64>,
        /// Only for pull requests that had this label [env: PREVIEW_LABEL]
        #[arg(long)]
        label: Option<String>,
        /// Remove it although the pull request is open
        #[arg(long)]
        force: bool,
    },
    /// Find what closed pull requests left behind
    Sweep {
        /// Remove it; a scheduled run always does
        #[arg(long)]
        act: bool,
    },
    /// List all previews of the account
    List,
    /// Show the agent's status of a preview
    Status {
        /// The pull request's number
        #[arg(value_parser = pull_request)]
        number: u64,
    },
    /// Show the newest lines of a log on the instance
    Logs {
        /// The pull request's number
        #[arg(value_parser = pull_request)]
        number: u64,
        /// The log to show
        #[arg(value_enum, default_value_t = Source::App)]
        source: Source,
    },
    /// Change a CloudFormation stack: reviewed, gated, applied, and the way back
    #[command(subcommand)]
    Changes(Changes),
    /// Print the IAM policy that these commands need
    IamPolicy(Policy),
}

/// A commit's id, or as much of its beginning as GitHub shows.
fn commit(text: &str) -> Result<String, String> {
    let fits = (7..=40).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_hexdigit());
    fits.then(|| text.to_owned()).ok_or_else(|| "expected 7 to 40 hexadecimal digits".to_owned())
}

/// Reads a pull request's number.
fn pull_request(text: &str) -> Result<u64, &'static str> {
    names::number(text).ok_or("expected the number of a pull request, from 1 on")
}

/// Options of a policy; it has placeholders in capitals for missing ones.
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
    /// ARN of a subnet that may be launched in; repeat it for several
    #[arg(long = "subnet", value_name = "ARN", default_value = "arn:aws:ec2:REGION:ACCOUNT:subnet/SUBNET")]
    pub(super) subnets: Vec<String>,
    /// ARN of a group to launch with, whose rules may change; repeat it for several
    #[arg(
        long = "security-group",
        value_name = "ARN",
        default_value = "arn:aws:ec2:REGION:ACCOUNT:security-group/GROUP"
    )]
    pub(super) groups: Vec<String>,
    /// Instance type that may be launched; repeat it for several
    #[arg(long = "instance-type", value_name = "TYPE", default_value = "t3.small")]
    pub(super) kinds: Vec<String>,
    /// Whose machine images: amazon or an account; repeat it for several
    #[arg(long = "image-owner", value_name = "OWNER", default_value = "amazon")]
    pub(super) owners: Vec<String>,
    /// Parameter of your own machine image, where `instance.ami` has resolve:ssm:
    #[arg(long, value_name = "NAME", value_parser = folder)]
    pub(super) image_parameter: Option<String>,
}

/// Options of a launch.
#[derive(Debug, Args)]
pub struct Launch {
    /// The pull request's number; default is the event's
    #[arg(value_parser = pull_request)]
    pub(super) number: Option<u64>,
    /// The commit; default is the event's, else the pull request's newest
    #[arg(long, value_name = "COMMIT", value_parser = commit)]
    pub(super) sha: Option<String>,
    /// Only for pull requests with this label [env: PREVIEW_LABEL]
    #[arg(long)]
    pub(super) label: Option<String>,
    /// Minutes to wait for an outcome
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u64).range(1..=120))]
    pub(super) minutes: u64,
    /// URL of the folder that holds the agent's executables [env: PREVIEW_AGENT_RELEASE]
    #[arg(long, value_name = "URL")]
    pub(super) agent_release: Option<String>,
    /// The file SHA256SUMS of these executables [env: PREVIEW_AGENT_SUMS]
    #[arg(long, value_name = "FILE")]
    pub(super) agent_sums: Option<PathBuf>,
}

/// Options of a wait.
#[derive(Debug, Args)]
pub struct Waiting {
    /// The pull request's number; default is the event's
    #[arg(value_parser = pull_request)]
    pub(super) number: Option<u64>,
    /// Minutes to wait for an outcome
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u64).range(1..=120))]
    pub(super) minutes: u64,
}

/// The log of an instance.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub enum Source {
    /// The application's log
    App,
    /// The log of jobs and migration
    Migrate,
    /// The log of the image's build
    Build,
    /// The agent's log
    Agent,
}

impl Source {
    /// The name that `agent logs` takes.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::App => "app",
            Self::Migrate => "migrate",
            Self::Build => "build",
            Self::Agent => "agent",
        }
    }
}
