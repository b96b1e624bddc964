//! `preview status` and `logs`: show one preview and change nothing.

use preview_agent::cli::exit;
use preview_agent::cli::status::view::render;
use preview_agent::cli::style::Style;

use super::failure::Failure;
use super::job::Job;
use super::up::find;
use super::watch::now;

/// Shows the agent's status of a preview; returns its exit code.
///
/// # Errors
/// There is no preview, or AWS did not answer.
pub async fn status(job: &Job, number: u64) -> Result<u8, Failure> {
    let instance = find(job, number).await?;
    let Some(document) = job.status_of(&instance).await? else {
        let message = format!("{} has not reported yet", instance.id);
        return Err(Failure {
            message,
            hint: Some(format!("`preview logs {number}` shows its console.")),
            code: exit::NO_AGENT,
        });
    };
    let text = match job.output.json {
        true => serde_json::to_string(&document).unwrap_or_default(),
        false => render(&document, now(), Style::from_env()),
    };
    job.output.print(text.trim_end());
    Ok(exit::of_document(&document, now()))
}

/// Shows the newest lines of a log on the instance.
///
/// # Errors
/// There is no preview, or its instance did not answer.
pub async fn logs(job: &Job, number: u64, source: &str) -> Result<u8, Failure> {
    let instance = find(job, number).await?;
    if job.status_of(&instance).await?.is_none() {
        job.output.say("the agent has not reported yet; this is the console:");
        job.output.quote(&job.aws.console(&instance.id).await?);
        return Ok(exit::NO_AGENT);
    }
    let text = job.logs_of(&instance.id, source).await?;
    job.output.quote(&text);
    Ok(exit::OK)
}
