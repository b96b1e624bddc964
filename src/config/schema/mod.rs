//! The keys of the file, section by section, each with its default and its check.

mod app;
mod database;
mod jobs;

use std::collections::BTreeMap;
use std::time::Duration;

use super::field::{Field, Map};
use super::image_ref::{ImageReference, is_registry_host};
use super::model::{Config, Deadlines, RegistryLogin, Source, Text, Tries, ValueRef, ValueSource};
use super::quantity;
use super::value::{checked_text, value};
use super::{names, schema};

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
    let database = map.need("database", "give its url or its parts, or `off`", database::database);
    let migrate = map.or("migrate", default_migrate(&map), |field| jobs::migrate(field, longest));
    let deployment_id = map.maybe("deployment", |field| {
        field.record(&["id"])?.maybe("id", |field| checked_text(field, deployment_id))
    });
    let image = map.need("image", "the app's image, such as ghcr.io/acme/api:1.2", image);
    let registries = map.or("registries", BTreeMap::new(), registries);
    let source = map.maybe("source", source);
    let jobs = map.or("jobs", Vec::new(), |field| jobs::jobs(field, longest));
    let app = app::app(&map, database.as_ref().and_then(Option::as_ref));
    let health = map.or("health", super::model::Health::Default, app::health);
    let deadlines = map.or("deadlines", DEADLINES, |field| deadlines(field, longest));
    let tries = map.or("tries", TRIES, tries);
    let report_parameter = map.maybe("report", |field| {
        field.record(&["parameter"])?.maybe("parameter", |field| checked_text(field, names::parameter))
    });
    Some(Config {
        deployment_id: deployment_id?.flatten(),
        image: image?,
        registries: registries?,
        source: source?,
        database: database?,
        jobs: jobs?,
        migrate: migrate?,
        app: app?,
        health: health?,
        deadline: deadline?,
        deadlines: deadlines?,
        tries: tries?,
        report_parameter: report_parameter?.flatten(),
    })
}

/// `alembic upgrade head`, unless there is no database to migrate.
fn default_migrate(map: &Map<'_>) -> Option<super::model::Job> {
    if map.get("database").is_some_and(Field::is_off) { None } else { Some(jobs::alembic()) }
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

fn image(field: &Field<'_>) -> Option<Text> {
    checked_text(field, |name| ImageReference::parse(name).map(|_| ()))
}

fn registries(field: &Field<'_>) -> Option<BTreeMap<String, RegistryLogin>> {
    let is_host = |host: &str| {
        if is_registry_host(host) {
            Ok(())
        } else {
            Err("expected a registry's host or host:port, such as ghcr.io")
        }
    };
    let mut logins = BTreeMap::new();
    let mut complete = true;
    for (host, field) in field.entries("a map of registry hosts to their logins", is_host)? {
        let login = field.record(&["username", "password"]).and_then(|map| {
            let (username, password) = (login_part(&map, "username"), login_part(&map, "password"));
            Some(RegistryLogin { username: username?, password: password? })
        });
        complete &= login.is_some();
        let known = login.is_some_and(|login| logins.insert(registry_key(host), login).is_some());
        if known {
            field.fail::<()>("another key names the same registry");
        }
    }
    complete.then_some(logins)
}

/// Absent means anonymous, as an empty value does.
fn login_part(map: &Map<'_>, key: &str) -> Option<ValueRef> {
    let anonymous = ValueRef { from: ValueSource::Literal(Text(Vec::new())), optional: false };
    map.or(key, anonymous, value)
}

/// The host as [`ImageReference::registry`] tells it.
fn registry_key(host: &str) -> String {
    match host.to_ascii_lowercase().as_str() {
        "index.docker.io" | "registry-1.docker.io" => "docker.io".to_owned(),
        host => host.to_owned(),
    }
}

fn source(field: &Field<'_>) -> Option<Source> {
    let map =
        field.record(&["repository", "ref", "token", "api_url", "context", "dockerfile", "build_args"])?;
    let repository = map.need("repository", "a GitHub repository as owner/name", |field| {
        checked_text(field, names::repository)
    });
    let reference =
        map.need("ref", "a commit, tag or branch", |field| checked_text(field, names::git_reference));
    let token = map.maybe("token", value);
    let api_url = map.or("api_url", "https://api.github.com".to_owned(), |field| {
        field.parse("a URL", |text| api_url(text).map(|()| text.to_owned()))
    });
    let context =
        map.or("context", ".".to_owned(), |field| field.parse("a folder", names::inside_repository));
    let dockerfile = map.or("dockerfile", "Dockerfile".to_owned(), |field| {
        match field.parse("a file", names::inside_repository)?.as_str() {
            "." => field.fail("expected a file, found the context's folder itself"),
            path => Some(path.to_owned()),
        }
    });
    let build_args = map.or("build_args", BTreeMap::new(), |field| {
        let entries = field.entries("a map of names to texts", names::variable)?;
        entries
            .into_iter()
            .map(|(name, field)| Some((name.to_owned(), super::value::text(&field)?)))
            .collect()
    });
    Some(Source {
        repository: repository?,
        reference: reference?,
        token: token?,
        api_url: api_url?,
        context: context?,
        dockerfile: dockerfile?,
        build_args: build_args?,
    })
}

fn api_url(text: &str) -> Result<(), &'static str> {
    let fits = url::Url::parse(text).is_ok_and(|url| {
        matches!(url.scheme(), "http" | "https")
            && url.has_host()
            && url.username().is_empty()
            && url.password().is_none()
            && url.query().is_none()
            && url.fragment().is_none()
    });
    match text.ends_with('/') {
        false if fits => Ok(()),
        _ => Err("expected an http or https URL without credentials, query or trailing slash"),
    }
}

/// A duration.
fn duration(field: &Field<'_>) -> Option<Duration> {
    field.parse("a duration such as 20m", quantity::duration)
}

/// A duration inside the whole run's: what can never be reached is a mistake.
fn duration_within(field: &Field<'_>, longest: Duration) -> Option<Duration> {
    match duration(field)? {
        limit if limit > longest => field.fail("longer than `deadline`, the limit of the whole run"),
        limit => Some(limit),
    }
}

const DEADLINES: Deadlines = Deadlines {
    pull: Duration::from_secs(900),
    build: Duration::from_secs(900),
    database: Duration::from_secs(300),
    health: Duration::from_secs(120),
};

fn deadlines(field: &Field<'_>, longest: Duration) -> Option<Deadlines> {
    let map = field.record(&["pull", "build", "database", "health"])?;
    let read = |key, default| map.or(key, default, |field| schema::duration_within(field, longest));
    let (pull, build) = (read("pull", DEADLINES.pull), read("build", DEADLINES.build));
    let (database, health) = (read("database", DEADLINES.database), read("health", DEADLINES.health));
    Some(Deadlines { pull: pull?, build: build?, database: database?, health: health? })
}

const TRIES: Tries = Tries { pull: 5, migrate: 5 };

fn tries(field: &Field<'_>) -> Option<Tries> {
    let map = field.record(&["pull", "migrate"])?;
    let read = |key, default| {
        map.or(key, default, |field| {
            const EXPECTED: &str = "expected a whole number from 1 to 100";
            field.parse("a whole number from 1 to 100", |text| {
                text.parse().ok().filter(|n| (1..=100).contains(n)).ok_or(EXPECTED)
            })
        })
    };
    let (pull, migrate) = (read("pull", TRIES.pull), read("migrate", TRIES.migrate));
    Some(Tries { pull: pull?, migrate: migrate? })
}
