//! `preview down`: removes everything of a pull request's preview.

use preview_agent::cli::exit;

use super::failure::Failure;
use super::job::Job;
use super::load::USUAL_PATH;
use super::up::Ended;
use super::watch::now;
use crate::aws::{Filter, Instance};
use crate::github::{GitHub, Pull};
use crate::names::{PULL_REQUEST, Preview, REPOSITORY};
use crate::report::{Report, Stage, summary};
use crate::settings::Settings;

/// Removes the preview of a pull request. An open one keeps it, even if an old event asks for this, unless it has lost
/// this label or somebody uses `force`.
///
/// # Errors
/// What could not be removed.
pub async fn down(job: &Job, number: u64, force: bool, unlabeled: Option<&str>) -> Result<Ended, Failure> {
    let pull = match &job.github {
        Some(github) => github.pull(number).await?,
        None if force => None,
        None => {
            return Err(Failure::new(format!(
                "is #{number} closed? Only GitHub knows, and GITHUB_TOKEN is not set"
            ))
            .hint("--force removes its preview in any case."));
        }
    };
    // A re-run has an old event.
    let lost_its_label = |pull: &Pull| unlabeled.is_some_and(|label| !pull.has_label(label));
    if let (Some(pull), false) = (&pull, force)
        && pull.open
        && !lost_its_label(pull)
    {
        job.output.say(&format!("#{number} is open: its preview stays (--force removes it)"));
        let report = Report::starting(&pull.head, job.run_url.clone());
        return Ok(Ended { outcome: "open", code: exit::OK, report, address: None });
    }
    let (settings, path) = settings(job).await;
    let preview = Preview { repository: job.repository.clone(), number, path };
    let report = take_down(job, settings.as_ref(), &preview, force).await?;
    take_down_what_stayed(job, settings.as_ref(), &preview).await?;
    Ok(Ended { outcome: "gone", code: exit::OK, report, address: None })
}

/// The instance of a pull request that was closed before, and that stayed while this one was open.
async fn take_down_what_stayed(
    job: &Job,
    settings: Option<&Settings>,
    closed: &Preview,
) -> Result<(), Failure> {
    let Some(github) = &job.github else { return Ok(()) };
    let filter = Filter { repository: job.repository.clone(), number: None };
    let all = job.aws.previews(Some(&filter)).await?;
    for number in all.iter().filter(|instance| instance.is_shared()).filter_map(Instance::number) {
        let stayed = number != closed.number && is_closed(github, number).await?;
        if stayed && another_open(job, number).await?.is_none() {
            take_down(job, settings, &Preview { number, ..closed.clone() }, false).await?;
        }
    }
    Ok(())
}

/// The settings, if they are valid, and the folder of parameters. Wrong settings stop no removal: tags lead to what
/// must go.
pub(super) async fn settings(job: &Job) -> (Option<Settings>, String) {
    let settings = job.usual_settings().await.ok().map(|loaded| loaded.settings);
    let path = settings.as_ref().map_or_else(|| USUAL_PATH.to_owned(), |settings| settings.path.clone());
    (settings, path)
}

/// Removes the rules first, since EC2 soon gives the address to a stranger; then instance and parameters, and last
/// updates the pull request. With one instance for a repository it stays while another pull request is open, unless
/// somebody uses `force`.
///
/// # Errors
/// What could not be removed; the rest is.
pub(super) async fn take_down(
    job: &Job,
    settings: Option<&Settings>,
    preview: &Preview,
    force: bool,
) -> Result<Report, Failure> {
    let mut failures = Vec::new();
    let mut kept = |result: Result<usize, Failure>| {
        result.unwrap_or_else(|failure| {
            failures.push(failure);
            0
        })
    };
    let rules = kept(job.close_all(settings, preview).await);
    let mut report = Report::starting("", job.run_url.clone());
    report.stage = Stage::Closed;
    let ended = kept(instances(job, preview, force, &mut report).await);
    let parameters = kept(parameters(job, preview, report.instance.is_some()).await);
    kept(viewers(job).await.map(|()| 0));
    let nothing = rules + ended + parameters == 0 && failures.is_empty();
    job.output.say(&format!(
        "{} in {}: {rules} rules, {ended} instances and {parameters} parameters removed{}",
        preview.description(),
        job.aws.region,
        if nothing { "; there was nothing" } else { "" }
    ));
    if let Some(failure) = Failure::all(&failures) {
        (report.stage, report.reason) = (Stage::Left, Some(failure.message.clone()));
        job.output.summary(&summary(&report, now()));
        job.comment(preview.number, &report).await;
        return Err(failure);
    }
    job.output.summary(&summary(&report, now()));
    // A pull request that never had a preview gets no comment.
    if !nothing {
        job.comment(preview.number, &report).await;
        job.undeploy(preview.number, None).await;
    }
    Ok(report)
}

/// Terminates the instances and returns how many. The report names one that stays.
async fn instances(job: &Job, preview: &Preview, force: bool, report: &mut Report) -> Result<usize, Failure> {
    let filter = Filter { repository: job.repository.clone(), number: Some(preview.number) };
    let (mut ended, mut failed) = (0, None);
    for instance in job.aws.previews(Some(&filter)).await? {
        report.sha = instance.commit().unwrap_or_default().to_owned();
        if instance.is_shared()
            && !force
            && let Some(other) = another_open(job, preview.number).await?
        {
            report.notes.push(format!("The instance {} stays while #{other} is open.", instance.id));
            job.output.say(&format!("{} stays while #{other} is open", instance.id));
            report.instance = Some(instance.id);
            continue;
        }
        match job.aws.terminate(&instance.id).await {
            Ok(()) => {
                job.output.say(&format!("ended {}", instance.id));
                // The agent may write a last status, which would bring the parameter back.
                job.gone(&instance.id).await;
                ended += 1;
            }
            Err(error) => failed = Some(Failure::from(error)),
        }
    }
    failed.map_or(Ok(ended), Err)
}

/// Another open pull request that may have a preview, as GitHub knows it now.
pub(super) async fn another_open(job: &Job, number: u64) -> Result<Option<u64>, Failure> {
    let Some(github) = &job.github else { return Ok(None) };
    let open = github.open_pulls().await?;
    Ok(open.iter().find(|pull| pull.trusted && pull.number != number).map(|pull| pull.number))
}

/// Asks GitHub about one pull request: a list of open ones may be incomplete, and the missing ones would be removed.
pub(super) async fn is_closed(github: &GitHub, number: u64) -> Result<bool, Failure> {
    Ok(github.pull(number).await?.is_none_or(|pull| !pull.open))
}

/// Removes status and secrets in all folders, except for the status of an instance that stays; returns how many.
async fn parameters(job: &Job, preview: &Preview, stays: bool) -> Result<usize, Failure> {
    let number = preview.number.to_string();
    let tags = [(REPOSITORY, &*job.repository.to_string()), (PULL_REQUEST, &*number)];
    let mut names = job.aws.tagged_names(&tags).await?;
    names.retain(|name| !stays || !name.ends_with("/status"));
    job.aws.delete(&names).await?;
    Ok(names.len())
}

/// Removes the viewers' rules once the repository has no preview any more.
async fn viewers(job: &Job) -> Result<(), Failure> {
    let filter = Filter { repository: job.repository.clone(), number: None };
    if job.aws.previews(Some(&filter)).await?.is_empty() {
        job.close_to_viewers(None).await?;
    }
    Ok(())
}
