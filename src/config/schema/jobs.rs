//! `jobs` and `migrate`: one-shot containers before the app.

use std::collections::{BTreeMap, HashSet};
use std::path::PathBuf;
use std::time::Duration;

use super::super::field::{Field, Map};
use super::super::model::{Job, JobKind};
use super::super::names;
use super::shared::{arguments, command_line, duration_within, image};

/// Keys that a job and the migration share.
const KEYS: [&str; 5] = ["image", "entrypoint", "command", "files", "timeout"];

/// Time limit of one try.
const TIMEOUT: Duration = Duration::from_secs(10 * 60);

/// The migration of an app that says nothing about it.
pub(super) fn alembic() -> Job {
    Job {
        kind: JobKind::Migration,
        name: "migrate".to_owned(),
        image: None,
        entrypoint: None,
        command: ["alembic", "upgrade", "head"].map(str::to_owned).to_vec(),
        files: BTreeMap::new(),
        timeout: TIMEOUT,
    }
}

pub(super) fn jobs(field: &Field<'_>, longest: Duration) -> Option<Vec<Job>> {
    let mut names = HashSet::new();
    let mut jobs = Vec::new();
    let mut complete = true;
    for field in field.items("a list of jobs")? {
        let job = job(&field, &mut names, longest);
        complete &= job.is_some();
        jobs.extend(job);
    }
    complete.then_some(jobs)
}

fn job(field: &Field<'_>, taken: &mut HashSet<String>, longest: Duration) -> Option<Job> {
    let known: Vec<&str> = ["name"].into_iter().chain(KEYS).collect();
    let map = field.record(&known)?;
    let name = map.need("name", "a name for the status", |field| {
        let name = field.parse("a job's name", |name| names::job(name).map(|()| name.to_owned()))?;
        if taken.insert(name.clone()) { Some(name) } else { field.fail("another job has this name") }
    });
    let defaults =
        Job { kind: JobKind::Job, name: name.unwrap_or_default(), command: Vec::new(), ..alembic() };
    container(&map, defaults, longest).filter(|job| !job.name.is_empty())
}

/// `None` inside is `off`.
pub(super) fn migrate(field: &Field<'_>, longest: Duration) -> Option<Option<Job>> {
    if field.is_off() {
        return Some(None);
    }
    container(&field.record(&KEYS)?, alembic(), longest).map(Some)
}

fn container(map: &Map<'_>, defaults: Job, longest: Duration) -> Option<Job> {
    let image = map.maybe("image", image);
    let entrypoint = map.maybe("entrypoint", command_line);
    let command = map.or("command", defaults.command, arguments);
    let files = map.or("files", BTreeMap::new(), files);
    let timeout = map.or("timeout", defaults.timeout, |field| duration_within(field, longest));
    let (image, entrypoint, command) = (image?, entrypoint?, command?);
    if image.is_none() && entrypoint.is_none() && command.is_empty() {
        return map.field.fail("`command` is missing: without one the app itself would start");
    }
    Some(Job {
        kind: defaults.kind,
        name: defaults.name,
        image,
        entrypoint,
        command,
        files: files?,
        timeout: timeout?,
    })
}

fn files(field: &Field<'_>) -> Option<BTreeMap<String, PathBuf>> {
    let container_path = |path: &str| names::absolute_path(path);
    let entries = field.entries("a map of container paths to host paths", container_path)?;
    entries
        .into_iter()
        .map(|(target, field)| {
            let host = field.parse("an absolute path", |path| names::absolute_path(path).map(|()| path))?;
            field.note_host_file(PathBuf::from(host));
            Some((target.to_owned(), PathBuf::from(host)))
        })
        .collect()
}
