//! Building the image from the source tarball of its commit.

use std::collections::HashMap;

use serde_json::json;

use super::super::container_output::LogFile;
use super::super::faults::SIGKILLED;
use super::super::faults::output_patterns;
use super::super::plan::{Desired, Source};
use super::pull::Images;
use super::ready::ImageReady;
use crate::docker::build::{BuildError, BuildRequest, build as build_image};
use crate::docker::pull::{Credentials, PullError};
use crate::github::{self, Archive, Limits};
use crate::redact::output::Tail;
use crate::retry;
use crate::status::{Code, Fault};

/// Builds the image, or finds the one that an earlier run built from the same.
///
/// # Errors
/// What kept the source or the image from being had.
pub(super) async fn from_source(images: &Images<'_>, source: &Source) -> Result<ImageReady, Fault> {
    let limit = images.desired.config.deadlines.build.min(images.run.left());
    let work = async {
        if let Some(commit) = full_commit(&source.reference)
            && let Some(ready) = built_before(images, source, commit).await?
        {
            return Ok(ready);
        }
        let archive = fetch(images, source, limit).await?;
        let commit = archive.commit().map(str::to_owned);
        images.run.reporter.update(|report| report.build_from(commit.clone()));
        match built_before(images, source, commit.as_deref().unwrap_or_default()).await? {
            Some(ready) => Ok(ready),
            None => build_archive(images, source, archive).await,
        }
    };
    match tokio::time::timeout(limit, work).await {
        Ok(result) => result,
        Err(_) => Err(Fault::new(Code::BuildTimeout, format!("not built within {} s", limit.as_secs()))),
    }
}

async fn fetch(images: &Images<'_>, source: &Source, limit: std::time::Duration) -> Result<Archive, Fault> {
    let request = github::Request {
        api_url: source.settings.api_url.clone(),
        repository: source.repository.clone(),
        reference: source.reference.clone(),
        token: source.token.clone(),
        context: source.settings.context.clone(),
        dockerfile: source.settings.dockerfile.clone(),
    };
    let limits = Limits::default();
    let limits = Limits {
        retry: retry::Policy { total: limit, ..limits.retry },
        stall: images.run.timings.stall,
        ..limits
    };
    let reporter = &images.run.reporter;
    let fetched = github::fetch(&request, images.store.folder(), &limits, |progress| {
        reporter.progress(|report| report.transferred(progress.bytes, progress.total));
    });
    fetched.await.map_err(|gave_up| Fault::from(gave_up.error).after(gave_up.attempts))
}

async fn build_archive(images: &Images<'_>, source: &Source, archive: Archive) -> Result<ImageReady, Fault> {
    let commit = archive.commit().unwrap_or_default().to_owned();
    let labels = images.engine.build_labels(images.run.id.as_str(), &spec(images, source, &commit));
    let request = BuildRequest {
        context: archive.context(),
        dockerfile: source.settings.dockerfile.clone(),
        build_args: source.build_args.clone(),
        tag: tag(images, source, &commit),
        labels,
        credentials: logins(images.desired),
        redactor: images.run.redactor.clone(),
        stall: crate::docker::build::STALL,
    };
    let mut log = LogFile::open(images.store.folder(), "build.log");
    log.line(&format!("--- {} at {commit} in run {}", source.repository, images.run.id));
    let mut tail = Tail::default();
    let built = build_image(images.engine.client(), request, |line| {
        log.line(line);
        tail.push(line);
    });
    let built = built.await.map_err(|error| fault(error, &tail.text()))?;
    let commit = Some(commit).filter(|commit| !commit.is_empty());
    Ok(ImageReady::built(built.id, commit))
}

/// The logins that were had; a base image may come from any registry.
fn logins(desired: &Desired) -> HashMap<String, Credentials> {
    let had = |(host, login): (&String, &Result<Credentials, Fault>)| {
        Some((host.clone(), login.as_ref().ok()?.clone()))
    };
    desired.logins.iter().filter_map(had).collect()
}

/// An image that was built from the same commit in the same way.
async fn built_before(
    images: &Images<'_>,
    source: &Source,
    commit: &str,
) -> Result<Option<ImageReady>, Fault> {
    if commit.is_empty() {
        return Ok(None);
    }
    let local = images.engine.local_image(&tag(images, source, commit)).await?;
    let spec = spec(images, source, commit);
    let same = local.filter(|image| image.spec == spec);
    Ok(same.map(|image| ImageReady::built(image.id, Some(commit.to_owned()))))
}

fn spec(images: &Images<'_>, source: &Source, commit: &str) -> String {
    let mut args: Vec<_> = source.build_args.iter().collect();
    args.sort_unstable();
    let settings = &source.settings;
    let spec = json!([source.repository, commit, settings.context, settings.dockerfile, args]);
    images.store.digest(spec.to_string().as_bytes())
}

/// The local name of a build: one per way of building, so that a build with
/// other arguments does not take the name of the one that serves.
fn tag(images: &Images<'_>, source: &Source, commit: &str) -> String {
    let spec = spec(images, source, commit);
    let short = |text: &str| text.get(..12).unwrap_or(text).to_owned();
    // An archive need not tell its commit, and a tag does not begin with a dash.
    let commit = if commit.is_empty() { "unknown".to_owned() } else { short(commit) };
    format!("{}/build:{commit}-{}", images.engine.scope().name(), short(&spec))
}

fn full_commit(reference: &str) -> Option<&str> {
    let hex = reference.len() == 40 && reference.bytes().all(|byte| byte.is_ascii_hexdigit());
    hex.then_some(reference)
}

fn fault(error: BuildError, tail: &str) -> Fault {
    // BuildKit repeats the whole command; what the command said itself is in the tail.
    let exit = match &error {
        BuildError::Failed { step, message } => {
            message.rsplit_once("exit code: ").map(|(_, exit)| (step, exit))
        }
        _ => None,
    };
    let killed = SIGKILLED.to_string();
    let code = match &error {
        _ if exit.is_some_and(|(_, exit)| exit == killed) => Code::BuildKilled,
        BuildError::Base { image, message } => Fault::from(PullError::from_message(message, image)).code,
        BuildError::Context(_) => Code::SourceCorrupt,
        BuildError::DiskFull(_) => Code::DiskFull,
        BuildError::NoBuildKit(_) => Code::DockerTooOld,
        BuildError::Engine(_) => Code::DockerUnavailable,
        BuildError::Stalled { .. } => Code::BuildTimeout,
        _ => Code::BuildFailed,
    };
    let words = exit.map(|(step, exit)| {
        format!("{} failed with exit code {exit}: {}", beginning(step), output_patterns::key_line(tail))
    });
    Fault::new(code, words.unwrap_or_else(|| error.to_string())).with_tail(tail)
}

/// Enough of a step to know it by.
fn beginning(step: &str) -> String {
    match step.char_indices().nth(40) {
        Some((end, _)) => format!("{}…", &step[..end]),
        None => step.to_owned(),
    }
}
