//! Room for a launch: parameters that are nobody else's, secrets, and nothing of before.

use super::failure::Failure;
use super::job::Job;
use super::plan::tags;
use crate::aws::{Filter, Instance};
use crate::names::{Preview, Scope};
use crate::report::{Told, Turn, fenced};
use crate::settings::Settings;

/// Two repositories in one account have pull requests of one number: neither takes the other's parameters.
pub(super) async fn is_free(job: &Job, preview: &Preview) -> Result<(), Failure> {
    let others = job.aws.previews(None).await?;
    let other = others.iter().find(|instance| {
        instance.number() == Some(preview.number)
            && instance.repository().as_ref() != Some(&preview.repository)
    });
    let Some((other, repository)) = other.and_then(|other| Some((other, other.repository()?))) else {
        return Ok(());
    };
    // That of another folder is in nobody's way.
    if job.document(preview, &other.id).await?.is_none() {
        return Ok(());
    }
    let folder = preview.folder();
    Err(Failure::settings(format!("{folder} belongs to #{} of {repository}", preview.number))
        .hint("Set `path` in preview.yaml to another folder, as in /pr-preview-web."))
}

pub(super) async fn store_secrets(job: &Job, settings: &Settings, preview: &Preview) -> Result<(), Failure> {
    let tags = tags(preview, settings.scope.purpose());
    for secret in &settings.secrets {
        let name = preview.secret(&secret.name);
        match job.variables.get(&secret.variable) {
            Some(value) => job.aws.store(&name, &value.to_owned().into(), &tags).await?,
            // What was there before would go on being read.
            None => job.aws.delete(&[name]).await?,
        }
    }
    Ok(())
}

/// Ends what is in the way: with one instance for a repository, that of any of its pull requests. Its rules
/// go first, since its address is soon a stranger's. Returns what is ending.
pub(super) async fn make(job: &Job, settings: &Settings, preview: &Preview) -> Result<Vec<String>, Failure> {
    let number = (settings.scope == Scope::PullRequest).then_some(preview.number);
    let filter = Filter { repository: job.repository.clone(), number };
    let mut ending = Vec::new();
    for old in job.aws.previews(Some(&filter)).await? {
        let Some(owner) = old.number() else { continue };
        let before = Preview { number: owner, ..preview.clone() };
        last_words(job, &before, &old).await;
        job.close_all(Some(settings), &before).await?;
        job.aws.terminate(&old.id).await?;
        job.output.say(&format!("ended {} of #{owner}", old.id));
        if owner != preview.number {
            let mut told = Told::starting(old.commit().unwrap_or_default(), job.run_url.clone());
            told.turn = Turn::Replaced(preview.number);
            job.comment(owner, &told).await;
            job.undeploy(owner).await;
        }
        ending.push(old.id);
    }
    Ok(ending)
}

/// What an instance that had failed has to say, before it goes.
async fn last_words(job: &Job, preview: &Preview, old: &Instance) {
    let Ok(Some(document)) = job.document(preview, &old.id).await else { return };
    job.output.say(&format!("the last word of {}: {}", old.id, document.verdict));
    if document.fault.is_some() {
        for evidence in job.evidence(&old.id, Some(&document)).await {
            job.output.summary(&format!(
                "Before {} was ended, {}:\n\n{}",
                old.id,
                evidence.from,
                fenced(&evidence.text, 20_000)
            ));
        }
    }
}
