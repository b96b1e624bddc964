//! `jobs` and `migrate`: one-shot containers before the app.

use std::collections::{BTreeMap, HashSet};
use std::path::PathBuf;
use std::time::Duration;

use super::super::field::{Field, Map};
use super::super::model::{Ahead, Job, JobKind, MigrationRules, VersionTable};
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

/// The rules of a migration that says nothing about them.
pub(super) fn default_rules() -> MigrationRules {
    let version_table = VersionTable { schema: None, name: "alembic_version".to_owned() };
    MigrationRules { lock: true, ahead: Ahead::Allow, version_table }
}

/// The migration, `None` with `off`, and its rules.
pub(super) fn migrate(field: &Field<'_>, longest: Duration) -> Option<(Option<Job>, MigrationRules)> {
    if field.is_off() {
        return Some((None, default_rules()));
    }
    let known: Vec<&str> = KEYS.into_iter().chain(["lock", "ahead", "version_table"]).collect();
    let map = field.record(&known)?;
    let (job, rules) = (container(&map, alembic(), longest), rules(&map));
    Some((Some(job?), rules?))
}

fn rules(map: &Map<'_>) -> Option<MigrationRules> {
    let MigrationRules { lock, ahead, version_table } = default_rules();
    let lock = map.or("lock", lock, switch);
    let ahead = map.or("ahead", ahead, |field| match field.text("allow or refuse")? {
        "allow" => Some(Ahead::Allow),
        "refuse" => Some(Ahead::Refuse),
        _ => field.fail("expected allow or refuse"),
    });
    let version_table = map.or("version_table", version_table, version_table_of);
    Some(MigrationRules { lock: lock?, ahead: ahead?, version_table: version_table? })
}

fn switch(field: &Field<'_>) -> Option<bool> {
    match field.text("on or off")? {
        "on" | "true" => Some(true),
        "off" | "false" => Some(false),
        _ => field.fail("expected on or off"),
    }
}

fn version_table_of(field: &Field<'_>) -> Option<VersionTable> {
    let text = field.text("a table such as app.alembic_version")?;
    let (schema, name) = match text.split_once('.') {
        Some((schema, name)) => (Some(schema), name),
        None => (None, text),
    };
    let is_name = |name: &str| (1..=63).contains(&name.len()) && !name.contains(['.', '"', '\0']);
    if !is_name(name) || !schema.is_none_or(is_name) {
        return field.fail("expected a table such as alembic_version or app.alembic_version, without quotes");
    }
    Some(VersionTable { schema: schema.map(str::to_owned), name: name.to_owned() })
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
