//! The pull request's side of preview-agent: launches a preview on EC2, watches what the agent on it reports,
//! tells the pull request, and takes everything down again.

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
