//! What every step uses.

use std::path::PathBuf;

use preview_agent::redact::Redactor;

use crate::aws::Aws;
use crate::github::GitHub;
use crate::names::Repository;
use crate::output::Output;
use crate::settings::Variables;

/// One run of a command.
#[derive(Debug)]
pub struct Job {
    /// AWS.
    pub aws: Aws,
    /// GitHub; `None` on a laptop without a token.
    pub github: Option<GitHub>,
    /// The repository of the previews.
    pub repository: Repository,
    /// The environment.
    pub variables: Variables,
    /// The output.
    pub output: Output,
    /// Masks the job's secrets in all output.
    pub redactor: Redactor,
    /// A file of settings that replaces the repository's.
    pub settings: Option<PathBuf>,
    /// The URL of the workflow run.
    pub run_url: Option<String>,
}
