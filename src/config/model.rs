//! The validated configuration: what a `config.yaml` means once every check
//! that needs nothing but the file itself has passed. Values that live
//! elsewhere are still references here; `deploy::plan` fetches them.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

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

/// A literal that may contain `${instance.id}`, `${instance.region}` or
/// `${instance.tag.NAME}`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Text(pub Vec<TextPart>);

/// One piece of a [`Text`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TextPart {
    /// Characters taken as they are.
    Plain(String),
    /// `${instance.id}`
    InstanceId,
    /// `${instance.region}`
    InstanceRegion,
    /// `${instance.tag.NAME}`
    InstanceTag(String),
}

/// A value or the place it is read from.
#[derive(Clone, PartialEq, Eq)]
pub struct ValueRef {
    /// Where the value is.
    pub from: ValueSource,
    /// Whether absence is fine.
    pub optional: bool,
}

impl std::fmt::Debug for ValueRef {
    /// Names the place, never a literal: that may be a password.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self.from {
            ValueSource::Literal(_) => "literal",
            ValueSource::Env(_) => "env",
            ValueSource::File(_) => "file",
            ValueSource::Credential(_) => "credential",
            ValueSource::Ssm(_) => "ssm",
            ValueSource::SecretsManager { .. } => "secretsmanager",
        })
    }
}

/// The places a value can be read from.
#[derive(Clone, PartialEq, Eq)]
pub enum ValueSource {
    /// The value itself.
    Literal(Text),
    /// An environment variable of the agent.
    Env(String),
    /// A file; one trailing newline is dropped.
    File(PathBuf),
    /// A systemd credential, below `$CREDENTIALS_DIRECTORY`.
    Credential(String),
    /// An SSM parameter, decrypted.
    Ssm(String),
    /// A Secrets Manager secret, whole or one field of its JSON.
    SecretsManager {
        /// Name or ARN of the secret.
        id: String,
        /// The field of the JSON object, if not the whole text.
        key: Option<String>,
    },
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

/// The application's database.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Database {
    /// Its URL, or the parts of one.
    pub connection: Connection,
    /// The variable the application reads the URL from.
    pub env: String,
}

/// How the database URL is given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Connection {
    /// One SQLAlchemy URL.
    Url(ValueRef),
    /// Parts; user, password and name are percent-encoded by the agent.
    Parts {
        /// URL scheme, `postgresql` by default.
        scheme: String,
        /// Host name or address.
        host: ValueRef,
        /// Port; 5432 by default.
        port: u16,
        /// Database name.
        name: ValueRef,
        /// Role.
        user: ValueRef,
        /// Password, not yet encoded.
        password: ValueRef,
    },
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

/// The application's container.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct App {
    /// `None`: the image's own entrypoint.
    pub entrypoint: Option<Vec<String>>,
    /// `None`: the image's own command.
    pub command: Option<Vec<String>>,
    /// The port the application listens on inside the container.
    pub port: u16,
    /// Where the host publishes it.
    pub publish: Publish,
    /// Memory limit in bytes.
    pub memory: Option<u64>,
    /// What becomes of the old application when the new one fails.
    pub on_failure: OnFailure,
    /// Environment; empty and absent values are left out, except a literal `""`.
    pub env: BTreeMap<String, ValueRef>,
}

/// A published port.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Publish {
    /// Host address; `0.0.0.0` unless given.
    pub ip: IpAddr,
    /// Host port.
    pub port: u16,
}

/// What becomes of the old application when its successor fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnFailure {
    /// Start it again.
    Restore,
    /// Leave it stopped.
    Leave,
}

/// What proves the application healthy.
#[derive(Debug, Clone, PartialEq)]
pub enum Health {
    /// The handbook's four stages; 404 on a path means "not served, skipped",
    /// and at least one HTTP stage must answer 2xx or 3xx.
    Default,
    /// Stages as written, all strict.
    Stages(Vec<Stage>),
}

/// One health stage.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Stage {
    /// The published port accepts a connection.
    Tcp,
    /// `GET path` answers 2xx or 3xx.
    Http {
        /// Path with its leading slash.
        path: String,
        /// Fields that the JSON answer must have with these values.
        json: Option<serde_json::Map<String, serde_json::Value>>,
    },
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
