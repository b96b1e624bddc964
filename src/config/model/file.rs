//! The file as a whole, and the sections that hold little.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use super::super::placeholders::Text;
use super::app::{App, Health};
use super::database::Database;
use super::value::ValueRef;

/// A whole configuration, version 1.
#[derive(Debug, Clone, PartialEq)]
pub struct Config {
    /// `deployment.id`: echoed in the status so that a reader knows whose answer it reads.
    pub deployment_id: Option<Text>,
    /// The image reference as written; folded to lower case and parsed once expanded.
    pub image: Text,
    /// Credentials by registry host; one host's login is never sent to another.
    pub registries: BTreeMap<String, RegistryLogin>,
    /// Where the source lives, if the image may be built from it.
    pub source: Option<Source>,
    /// `None` is `database: off`.
    pub database: Option<Database>,
    /// One-shot containers before the migration, in order.
    pub jobs: Vec<Job>,
    /// `None` is `migrate: off`.
    pub migrate: Option<Job>,
    /// What holds for the migration besides its container.
    pub migration_rules: MigrationRules,
    /// The application's container.
    pub app: App,
    /// What proves the application healthy.
    pub health: Health,
    /// The whole run's time limit.
    pub deadline: Duration,
    /// Time limits of single phases.
    pub deadlines: Deadlines,
    /// How often a phase is tried.
    pub tries: Tries,
    /// `report.parameter`: the SSM parameter that receives the status.
    pub report_parameter: Option<Text>,
}

/// A registry's credentials.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RegistryLogin {
    /// Empty or absent means anonymous.
    pub username: ValueRef,
    /// Empty or absent means anonymous.
    pub password: ValueRef,
}

/// A GitHub repository at one revision.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source {
    /// `owner/name`.
    pub repository: Text,
    /// Commit, tag or branch.
    pub reference: Text,
    /// API token; absent means anonymous.
    pub token: Option<ValueRef>,
    /// API root without a trailing slash, `https://api.github.com` unless Enterprise.
    pub api_url: String,
    /// Build context: a folder inside the repository, `.` for its root.
    pub context: String,
    /// Dockerfile, relative to the context.
    pub dockerfile: String,
    /// Build arguments; they stay in the image's history.
    pub build_args: BTreeMap<String, Text>,
}

/// What a one-shot container is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum JobKind {
    /// Whatever the user wants done before the migration.
    Job,
    /// The migration.
    Migration,
}

/// A one-shot container. The migration is the one that comes with defaults.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Job {
    /// What it is for.
    pub kind: JobKind,
    /// Name in the status and in labels; `migrate` for the migration.
    pub name: String,
    /// `None`: the application's image.
    pub image: Option<Text>,
    /// `None`: the image's own entrypoint.
    pub entrypoint: Option<Vec<String>>,
    /// Arguments, or the image's own when empty.
    pub command: Vec<String>,
    /// Container path to host path, mounted read-only.
    pub files: BTreeMap<String, PathBuf>,
    /// Time limit of one try.
    pub timeout: Duration,
}

/// What holds for the migration besides its container.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MigrationRules {
    /// One migration at a time on a database, whatever host runs it.
    pub lock: bool,
    /// Whether an image may start on a schema that is newer than it.
    pub ahead: Ahead,
    /// Where alembic writes its revisions down.
    pub version_table: VersionTable,
}

/// What becomes of an image that is older than the schema.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ahead {
    /// It starts without its migration.
    Allow,
    /// The run fails before anything is touched.
    Refuse,
}

/// The table of alembic's revisions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VersionTable {
    /// `None`: the first schema of the search path that has it.
    pub schema: Option<String>,
    /// Its name.
    pub name: String,
}

/// Time limits of single phases.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Deadlines {
    /// Pulling, all tries together.
    pub pull: Duration,
    /// Download and build together.
    pub build: Duration,
    /// Waiting for the database.
    pub database: Duration,
    /// All health stages together.
    pub health: Duration,
}

/// How often a phase is tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tries {
    /// Pulls.
    pub pull: u32,
    /// Runs of each job and of the migration.
    pub migrate: u32,
}
