//! `preview list`, `status` and `logs`: show previews and change nothing.

use preview_agent::cli::exit;
use preview_agent::cli::status::view::render;
use preview_agent::cli::style::Style;
use serde_json::{Value, json};

use super::down::settings;
use super::failure::Failure;
use super::job::Job;
use super::up::find;
use super::watch::now;
use crate::names::Preview;

/// Lists all previews of the region.
///
/// # Errors
/// AWS did not answer, or denies it.
pub async fn list(job: &Job) -> Result<u8, Failure> {
    let (_, path) = settings(job).await;
    let mut rows = Vec::new();
    let mut found = job.aws.previews(None).await?;
    found.sort_by_key(|instance| (instance.repository().map(|it| it.to_string()), instance.number()));
    for instance in found {
        let (Some(number), Some(repository)) = (instance.number(), instance.repository()) else { continue };
        let preview = Preview { repository: repository.clone(), number, path: path.clone() };
        // A status that may not be read hides no other.
        let (document, trouble) = match job.document(&preview, &instance.id).await {
            Ok(document) => (document, None),
            Err(error) => (None, Some(error.to_string())),
        };
        let verdict = document.as_ref().map(|document| document.verdict.clone()).or(trouble);
        let minutes = (now().unix() - instance.launched).max(0) / 60;
        let url = document.and_then(|document| document.app.url);
        rows.push(json!({
            "repository": repository.to_string(), "number": number, "instance": instance.id, "minutes": minutes,
            "public_ip": instance.public_ip, "commit": instance.commit(), "url": url,
            "verdict": verdict.unwrap_or_else(|| "the agent has not reported yet".to_owned()),
        }));
    }
    if job.output.json {
        job.output.print(&Value::from(rows).to_string());
        return Ok(exit::OK);
    }
    if rows.is_empty() {
        job.output.say(&format!("no previews in {}", job.aws.region));
    }
    for row in rows {
        let text = |name: &str| row[name].as_str().unwrap_or("-").to_owned();
        let (url, age) = (text("url"), row["minutes"].as_i64().unwrap_or_default());
        job.output.say(&format!(
            "{}#{}  {}  {age} min  {url}",
            text("repository"),
            row["number"],
            text("instance")
        ));
        job.output.say(&format!("    {}", text("verdict")));
    }
    Ok(exit::OK)
}

/// Shows the agent's status of a preview; returns its exit code.
///
/// # Errors
/// There is no preview, or AWS did not answer.
pub async fn status(job: &Job, number: u64) -> Result<u8, Failure> {
    let (_, path) = settings(job).await;
    let instance = find(job, number).await?;
    let preview = Preview { repository: job.repository.clone(), number, path };
    let Some(document) = job.document(&preview, &instance.id).await? else {
        let message = format!("{} has not reported yet", instance.id);
        return Err(Failure {
            message,
            hint: Some("`preview logs N` shows its console.".to_owned()),
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
    let (_, path) = settings(job).await;
    let instance = find(job, number).await?;
    let preview = Preview { repository: job.repository.clone(), number, path };
    if job.document(&preview, &instance.id).await?.is_none() {
        job.output.say("the agent has not reported yet; this is the console:");
        job.output.quote(&job.aws.console(&instance.id).await?);
        return Ok(exit::NO_AGENT);
    }
    let text = job.logs_of(&instance.id, source).await?;
    job.output.quote(&text);
    Ok(exit::OK)
}
