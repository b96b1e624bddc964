//! The pull request's side of preview-agent: launches a preview on EC2, watches the agent's status, reports to the
//! pull request, and removes everything again.

pub mod aws;
pub mod changes;
pub mod cli;
pub mod github;
pub mod iam_policy;
pub mod names;
pub mod output;
pub mod pace;
pub mod registry;
pub mod report;
pub mod settings;
pub mod steps;
