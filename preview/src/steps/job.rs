//! What every step has at hand.

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
    /// Whose previews these are.
    pub repository: Repository,
    /// The environment.
    pub variables: Variables,
    /// The way out.
    pub output: Output,
    /// Masks the job's secrets in whatever is told.
    pub redactor: Redactor,
    /// Settings in the place of the repository's.
    pub settings: Option<PathBuf>,
    /// The address of the workflow's run.
    pub run_url: Option<String>,
}
