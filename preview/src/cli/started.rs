//! Makes a command's job from the environment and the options.

use std::path::Path;

use preview_agent::cli::exit;
use preview_agent::redact::Redactor;

use super::command_line::Common;
use crate::aws::Aws;
use crate::github::{Event, GitHub, Intent};
use crate::names::Repository;
use crate::output::Output;
use crate::pace::Pace;
use crate::settings::Variables;
use crate::steps::{Failure, Job};

/// The job of a command.
///
/// # Errors
/// No repository, or invalid addresses.
pub(super) async fn job(
    common: Common,
    output: Output,
    redactor: Redactor,
    pace: Pace,
) -> Result<Job, Failure> {
    let variables = Variables::from_env();
    let usage = |message: String| Failure { code: exit::USAGE, ..Failure::new(message) };
    let repository = match (common.repository, variables.text("GITHUB_REPOSITORY")) {
        (Some(repository), _) => repository,
        (None, Some(text)) => text.parse().map_err(|error| usage(format!("GITHUB_REPOSITORY: {error}")))?,
        (None, None) => return Err(usage("which repository? Give --repository owner/name".to_owned())),
    };
    let github = github(&variables, &repository)?;
    let aws = Aws::connect(pace).await;
    let run_url = run_url(&variables, &repository);
    for token in ["GITHUB_TOKEN", "GH_TOKEN"].iter().filter_map(|name| variables.get(name)) {
        redactor.learn(token);
    }
    Ok(Job { aws, github, repository, variables, output, redactor, settings: common.settings, run_url })
}

fn github(variables: &Variables, repository: &Repository) -> Result<Option<GitHub>, Failure> {
    let Some(token) = variables.text("GITHUB_TOKEN").or_else(|| variables.text("GH_TOKEN")) else {
        return Ok(None);
    };
    let base = variables.text("GITHUB_API_URL").unwrap_or_else(|| "https://api.github.com".to_owned());
    Ok(Some(GitHub::new(&base, token.into(), repository.clone())?))
}

/// The URL of this workflow run.
fn run_url(variables: &Variables, repository: &Repository) -> Option<String> {
    let server = variables.text("GITHUB_SERVER_URL")?;
    let run = variables.text("GITHUB_RUN_ID")?;
    Some(format!("{server}/{repository}/actions/runs/{run}"))
}

/// What the event asks for; `None` without an event.
///
/// # Errors
/// The file holds no event.
pub(super) fn intent(job: &Job, label: Option<&str>) -> Result<Option<Intent>, Failure> {
    let variables = &job.variables;
    let of_environment = variables.text("PREVIEW_LABEL");
    let label = label.or(of_environment.as_deref());
    let (Some(name), Some(path)) = (variables.text("GITHUB_EVENT_NAME"), variables.text("GITHUB_EVENT_PATH"))
    else {
        return Ok(None);
    };
    if name == "workflow_dispatch" {
        return Ok(None);
    }
    let unusable = |why: String| Failure::new(format!("{path} (GITHUB_EVENT_PATH): {why}"));
    let text = std::fs::read(Path::new(&path)).map_err(|error| unusable(error.to_string()))?;
    let event: Event = serde_json::from_slice(&text).map_err(|error| unusable(error.to_string()))?;
    Ok(Some(event.intent(&name, &job.repository, label)))
}
