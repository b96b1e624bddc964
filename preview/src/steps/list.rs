//! `preview list`: all previews of the region with their state.

use preview_agent::cli::exit;
use serde::Serialize;

use super::failure::Failure;
use super::job::Job;
use super::watch::now;
use crate::aws::Instance;

/// A preview, as `--json` shows it.
#[derive(Debug, Serialize)]
struct Row {
    repository: String,
    number: u64,
    instance: Option<String>,
    minutes: i64,
    public_ip: Option<String>,
    commit: Option<String>,
    url: Option<String>,
    verdict: String,
    stale: bool,
}

/// Lists all previews of the region, and launches of this repository that have no instance.
///
/// # Errors
/// AWS did not answer, or denies it.
pub async fn list(job: &Job) -> Result<u8, Failure> {
    let instances = job.aws.previews(None).await?;
    let mut rows = Vec::new();
    for instance in &instances {
        rows.extend(row(job, instance).await);
    }
    rows.extend(job.orphans(&instances).await.into_iter().map(|orphan| Row {
        repository: job.repository.to_string(),
        number: orphan.number,
        instance: None,
        minutes: minutes(orphan.since.unix()),
        public_ip: None,
        commit: None,
        url: None,
        verdict: orphan.line,
        stale: orphan.is_stale,
    }));
    rows.sort_by(|a, b| (&a.repository, a.number).cmp(&(&b.repository, b.number)));
    if job.output.json {
        job.output.print(&serde_json::to_string(&rows).unwrap_or_default());
        return Ok(exit::OK);
    }
    if rows.is_empty() {
        job.output.say(&format!("no previews in {}", job.aws.region));
    }
    for Row { repository, number, instance, minutes, url, verdict, .. } in rows {
        let shown = |text: Option<String>| text.unwrap_or_else(|| "-".to_owned());
        job.output.say(&format!("{repository}#{number}  {}  {minutes} min  {}", shown(instance), shown(url)));
        job.output.say(&format!("    {verdict}"));
    }
    Ok(exit::OK)
}

async fn row(job: &Job, instance: &Instance) -> Option<Row> {
    let (number, repository) = (instance.number()?, instance.repository()?.to_string());
    // A status that may not be read hides no other.
    let (document, verdict) = match job.status_of(instance).await {
        Ok(document) => (document, None),
        Err(error) => (None, Some(error.to_string())),
    };
    let stale = job.stale(instance, document.as_ref()).filter(|_| verdict.is_none());
    let is_stale = stale.is_some();
    let verdict = verdict.or(stale).or_else(|| Some(document.as_ref()?.verdict.clone()));
    Some(Row {
        repository,
        number,
        instance: Some(instance.id.clone()),
        minutes: minutes(instance.launched),
        public_ip: instance.public_ip.clone(),
        commit: instance.commit().map(str::to_owned),
        url: document.and_then(|document| document.app.url),
        verdict: verdict.unwrap_or_else(|| "the agent has not reported yet".to_owned()),
        stale: is_stale,
    })
}

fn minutes(since: i64) -> i64 {
    (now().unix() - since).max(0) / 60
}
