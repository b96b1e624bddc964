//! `preview sweep`: removes what closed pull requests left behind, since not every close starts a run.

use std::collections::BTreeSet;

use preview_agent::cli::exit;

use super::down::{another_open, is_closed, settings, take_down};
use super::failure::Failure;
use super::job::Job;
use super::launching::Orphan;
use crate::aws::{Filter, Instance};
use crate::names::{PULL_REQUEST, PURPOSE, Preview, REPOSITORY, Scope, number};

/// Finds previews of closed pull requests, and with `act` removes them; names those of open ones whose state is out of
/// date; returns the exit code.
///
/// # Errors
/// What could not be read, or not be removed; the rest is removed.
pub async fn sweep(job: &Job, act: bool) -> Result<u8, Failure> {
    let Some(github) = &job.github else {
        return Err(Failure::new(
            "which pull requests are closed? Only GitHub knows, and GITHUB_TOKEN is not set",
        ));
    };
    let (settings, path) = settings(job).await;
    let mut failures = Vec::new();
    let mut left = 0;
    let filter = Filter { repository: job.repository.clone(), number: None };
    let instances = job.aws.previews(Some(&filter)).await?;
    let orphans = job.orphans(&instances).await;
    for number in candidates(job, &instances).await? {
        match is_closed(github, number).await {
            Ok(false) => {
                if let Some(line) = stale(job, number, &instances, &orphans).await {
                    job.output.warn(&format!("#{number} is open, and its preview is {line}"));
                }
            }
            Ok(true) => {
                left += 1;
                // The close started no run, or its run failed.
                job.output.warn(&format!("#{number} is closed, and its preview is still there"));
                let preview = Preview { repository: job.repository.clone(), number, path: path.clone() };
                if act && let Err(failure) = take_down(job, settings.as_ref(), &preview, false).await {
                    failures.push(failure);
                }
            }
            Err(failure) => {
                job.output.warn(&format!("#{number} is left as it is: {}", failure.text()));
            }
        }
    }
    job.output.say(match (left, act) {
        (0, _) => "nothing is left over",
        (_, true) => "swept",
        (_, false) => "nothing was changed; --act removes it",
    });
    Failure::all(&failures).map_or(Ok(exit::OK), Err)
}

/// Numbers of pull requests that have an instance, a rule or a parameter of this repository.
async fn candidates(job: &Job, instances: &[Instance]) -> Result<BTreeSet<u64>, Failure> {
    let mut found = BTreeSet::new();
    let mut staying = BTreeSet::new();
    for instance in instances {
        let Some(number) = instance.number() else { continue };
        // It stays while another pull request is open.
        let stays = instance.is_shared() && another_open(job, number).await?.is_some();
        if stays {
            staying.insert(number)
        } else {
            found.insert(number)
        };
    }
    let rules = job.aws.tagged_rules(PURPOSE, &Scope::PURPOSES).await?;
    let ours = rules.iter().filter(|rule| job.is_of_repository(rule));
    found.extend(ours.filter_map(|rule| number(rule.tags.get(PULL_REQUEST)?)));
    for name in job.aws.tagged_names(&[(REPOSITORY, &job.repository.to_string())]).await? {
        // PATH/NUMBER/NAME, for any path.
        let mut parts = name.rsplit('/');
        if let (Some(last), Some(number)) = (parts.next(), parts.next().and_then(number))
            && !(last == "status" && staying.contains(&number))
        {
            found.insert(number);
        }
    }
    Ok(found)
}

/// Why the state of an open pull request's preview is out of date; `None` if it is not, or AWS does not say.
async fn stale(job: &Job, number: u64, instances: &[Instance], orphans: &[Orphan]) -> Option<String> {
    for instance in instances.iter().filter(|instance| instance.number() == Some(number)) {
        let document = job.status_of(instance).await.ok()?;
        if let Some(line) = job.stale(instance, document.as_ref()) {
            return Some(line);
        }
    }
    let orphan = orphans.iter().find(|orphan| orphan.number == number && orphan.is_stale);
    orphan.map(|orphan| orphan.line.clone())
}
