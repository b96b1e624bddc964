//! The keys of the file, section by section, each with its default and its check.

mod app;
mod database;
mod health;
mod jobs;
mod limits;
mod registries;
mod shared;
mod source;

use std::collections::BTreeMap;
use std::time::Duration;

use self::app::app;
use self::database::database;
use self::health::health;
use self::jobs::{alembic, default_rules, jobs, migrate};
use self::limits::{DEADLINES, TRIES, deadlines, tries};
use self::registries::registries;
use self::shared::{duration, image};
use self::source::source;
use super::field::{Field, Map};
use super::model::{Config, Health, Job};
use super::names;
use super::value::checked_text;

const KEYS: [&str; 15] = [
    "version",
    "deployment",
    "image",
    "registries",
    "source",
    "database",
    "jobs",
    "migrate",
    "app",
    "health",
    "deadline",
    "deadlines",
    "tries",
    "report",
    "sidecars",
];

const MINUTE: Duration = Duration::from_secs(60);

/// The whole file. `None` once a problem has been reported.
pub(super) fn config(root: &Field<'_>) -> Option<Config> {
    let map = root.record(&KEYS)?;
    map.or("version", (), version);
    map.or("sidecars", (), |field| field.fail("this key is reserved for a later version"));

    let deadline = map.or("deadline", 20 * MINUTE, duration);
    let longest = deadline.unwrap_or(Duration::MAX);
    let database = map.need("database", "give its url or its parts, or `off`", database);
    let migrate =
        map.or("migrate", (default_migrate(&map), default_rules()), |field| migrate(field, longest));
    let deployment_id = map.maybe("deployment", |field| {
        field.record(&["id"])?.maybe("id", |field| checked_text(field, deployment_id))
    });
    let image = map.need("image", "the app's image, such as ghcr.io/acme/api:1.2", image);
    let registries = map.or("registries", BTreeMap::new(), registries);
    let source = map.maybe("source", source);
    let jobs = map.or("jobs", Vec::new(), |field| jobs(field, longest));
    let app = app(&map, database.as_ref().and_then(Option::as_ref));
    let health = map.or("health", Health::Default, health);
    let deadlines = map.or("deadlines", DEADLINES, |field| deadlines(field, longest));
    let tries = map.or("tries", TRIES, tries);
    let report_parameter = map.maybe("report", |field| {
        field.record(&["parameter"])?.maybe("parameter", |field| checked_text(field, names::parameter))
    });
    let (migrate, migration_rules) = migrate?;
    Some(Config {
        deployment_id: deployment_id?.flatten(),
        image: image?,
        registries: registries?,
        source: source?,
        database: database?,
        jobs: jobs?,
        migrate,
        migration_rules,
        app: app?,
        health: health?,
        deadline: deadline?,
        deadlines: deadlines?,
        tries: tries?,
        report_parameter: report_parameter?.flatten(),
    })
}

/// `alembic upgrade head`, unless there is no database to migrate.
fn default_migrate(map: &Map<'_>) -> Option<Job> {
    if map.get("database").is_some_and(Field::is_off) { None } else { Some(alembic()) }
}

fn version(field: &Field<'_>) -> Option<()> {
    match field.text("1")? {
        "1" => Some(()),
        _ => field.fail("expected 1, the only version that this agent reads"),
    }
}

/// The status gives it one short line.
fn deployment_id(id: &str) -> Result<(), &'static str> {
    let fits = (1..=64).contains(&id.chars().count()) && !id.chars().any(char::is_control);
    if fits { Ok(()) } else { Err("expected 1 to 64 printable characters") }
}
