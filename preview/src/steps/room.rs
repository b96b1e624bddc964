//! Prepares a launch: reserves the parameters and removes the preview before it.

use super::failure::Failure;
use super::job::Job;
use super::launching::Launching;
use crate::aws::{Filter, Instance};
use crate::github::Deployment;
use crate::names::{Preview, REPOSITORY, Scope};
use crate::report::{Report, Stage, fenced};
use crate::settings::Settings;

/// Stores the secrets and makes the status parameter, all with tags. Two repositories in one account can each have a
/// pull request 7: neither takes the other's parameters.
pub(super) async fn take_parameters(
    job: &Job,
    settings: &Settings,
    preview: &Preview,
) -> Result<(), Failure> {
    let ours = job.aws.tagged_names(&[(REPOSITORY, &job.repository.to_string())]).await?;
    let present = job.aws.names(&preview.folder()).await?;
    let status = preview.status();
    for name in present.iter().filter(|name| !ours.contains(name)) {
        let is_wanted = settings.secrets.iter().any(|secret| preview.secret(&secret.name) == *name);
        if is_wanted || *name == status && of_another(job, preview).await? {
            return Err(Failure::settings(format!("{name} exists and is not this repository's"))
                .hint("Set `path` in preview.yaml to another folder such as /pr-preview-web, or delete the parameter."));
        }
    }
    let tags = preview.tags(settings.scope.purpose());
    let launching = Launching::begin(job).text();
    // The agent's writes keep the tags.
    job.aws.keep_place(&status, &launching, &tags).await?;
    // A run that was killed before it launched left its own text.
    if ours.contains(&status)
        && job.aws.parameter(&status).await?.is_some_and(|text| Launching::read(&text).is_some())
    {
        job.aws.overwrite(&status, &launching).await?;
    }
    for secret in &settings.secrets {
        let name = preview.secret(&secret.name);
        match job.variables.get(&secret.variable) {
            Some(value) => job.aws.store(&name, &value.to_owned().into(), &tags).await?,
            // The instance would read the old value.
            None => job.aws.delete(&[name]).await?,
        }
    }
    Ok(())
}

/// Whether the status belongs to another repository's preview that runs or is being launched.
async fn of_another(job: &Job, preview: &Preview) -> Result<bool, Failure> {
    let text = job.aws.parameter(&preview.status()).await?.unwrap_or_default();
    if Launching::read(&text).is_some_and(|launching| !launching.is_for(&preview.repository)) {
        return Ok(true);
    }
    for other in job.aws.previews(None).await? {
        let is_another = other.repository().as_ref() != Some(&preview.repository);
        if is_another
            && other.number() == Some(preview.number)
            && job.document(preview, &other.id).await?.is_some()
        {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Terminates the preview before: with one instance for a repository, that of any of its pull requests. Its rules go
/// first, since EC2 soon gives its address to a stranger. Returns the instances that terminate.
pub(super) async fn make(
    job: &Job,
    settings: &Settings,
    preview: &Preview,
    deployment: Option<Deployment>,
) -> Result<Vec<String>, Failure> {
    let mut ending = Vec::new();
    for old in in_the_way(job, settings, preview).await? {
        let Some(owner) = old.number() else { continue };
        let before = Preview { number: owner, ..preview.clone() };
        show_last_report(job, &before, &old).await;
        job.close_all(Some(settings), &before).await?;
        job.aws.terminate(&old.id).await?;
        job.output.say(&format!("ended {} of #{owner}", old.id));
        if owner != preview.number {
            let mut report = Report::starting(old.commit().unwrap_or_default(), job.run_url.clone());
            report.stage = Stage::Replaced(preview.number);
            job.comment(owner, &report).await;
        }
        // EC2 soon gives their address to a stranger.
        job.undeploy(owner, deployment).await;
        ending.push(old.id);
    }
    Ok(ending)
}

/// Checks that the preview to be replaced is one of the same application. Another name says that another workflow or
/// another file of settings launched it: each would go on to terminate the other's.
pub(super) async fn has_one_application(
    job: &Job,
    settings: &Settings,
    preview: &Preview,
) -> Result<(), Failure> {
    let name = &settings.instance.name;
    for old in in_the_way(job, settings, preview).await? {
        let other = old.tags.get("Name").filter(|other| *other != name && !other.is_empty());
        if let (Some(other), Some(owner)) = (other, old.number()) {
            let message = format!(
                "{} of #{owner} has the name `{other}`, and this preview would have `{name}`: a repository has previews of \
                 one application",
                old.id
            );
            return Err(Failure::settings(message).hint(format!(
                "If `instance.name` (INSTANCE_NAME) has changed, remove the old one: `preview down {owner} --force`."
            )));
        }
    }
    Ok(())
}

/// Another run may have launched at the same time: terminates all but the newest.
pub(super) async fn settle(
    job: &Job,
    settings: &Settings,
    preview: &Preview,
    id: &str,
) -> Result<(), Failure> {
    let all = in_the_way(job, settings, preview).await?;
    let age = |instance: &Instance| (instance.launched, instance.id.clone());
    let Some(own) = all.iter().find(|instance| instance.id == id).map(age) else { return Ok(()) };
    for older in all.iter().filter(|instance| age(instance) < own) {
        // EC2 soon gives its address to a stranger.
        if let Some(number) = older.number() {
            job.close_all(Some(settings), &Preview { number, ..preview.clone() }).await?;
        }
        job.aws.terminate(&older.id).await?;
        job.output.say(&format!("ended {}, which another run launched", older.id));
    }
    Ok(())
}

async fn in_the_way(job: &Job, settings: &Settings, preview: &Preview) -> Result<Vec<Instance>, Failure> {
    let number = (settings.scope == Scope::PullRequest).then_some(preview.number);
    let mut all = job.aws.previews(Some(&Filter { repository: job.repository.clone(), number })).await?;
    // Instances of another scope belong to their own pull requests.
    all.retain(|instance| instance.is_shared() == (settings.scope == Scope::Repository));
    Ok(all)
}

/// Shows an instance's last verdict, and the logs of a failed one, before it is terminated.
async fn show_last_report(job: &Job, preview: &Preview, old: &Instance) {
    let Ok(Some(document)) = job.document(preview, &old.id).await else { return };
    job.output.say(&format!("the last status of {}:", old.id));
    job.output.quote(&document.verdict);
    if document.fault.is_some() {
        for evidence in job.evidence(&old.id, Some(&document)).await {
            job.output.summary(&format!(
                "Before {} was terminated, {}:\n\n{}",
                old.id,
                evidence.from,
                fenced(&evidence.text, 20_000)
            ));
        }
    }
}
