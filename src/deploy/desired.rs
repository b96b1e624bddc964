//! The desired state with every value resolved: what a run works towards.

use std::collections::HashMap;
use std::path::PathBuf;
use std::time::Duration;

use secrecy::{ExposeSecret as _, SecretString};
use serde_json::json;

use super::store::{Store, Watched};
use crate::config::{DatabaseUrl, Deadlines, Health, ImageReference, OnFailure, Publish, Stage};
use crate::docker::pull::Credentials;
use crate::files;
use crate::status::Fault;

/// Largest file that a job may mount: it is read whole to tell whether it has changed.
const JOB_FILE_MAX: u64 = 16 * 1024 * 1024;

/// Logins by registry host, or why a registry gave none.
pub type Logins = HashMap<String, Result<Credentials, Fault>>;

/// A deployment as it shall be.
#[derive(Debug, Clone)]
pub struct Desired {
    /// The image, by tag or digest.
    pub image: ImageReference,
    /// Logins of the registries.
    pub logins: Logins,
    /// Where to build from if the pull fails for good.
    pub source: Option<Source>,
    /// `None` with `database: off`.
    pub database: Option<DatabaseUrl>,
    /// Jobs in order.
    pub jobs: Vec<Job>,
    /// `None` with `migrate: off`.
    pub migrate: Option<Job>,
    /// The application.
    pub app: App,
    /// What proves it healthy.
    pub health: Health,
    /// Time limits of the phases.
    pub deadlines: Deadlines,
    /// Tries of each job and of the migration.
    pub job_tries: u32,
}

/// A GitHub repository at one revision.
#[derive(Debug, Clone)]
pub struct Source {
    /// `owner/name`.
    pub repository: String,
    /// Commit, tag or branch.
    pub reference: String,
    /// API token, if any.
    pub token: Option<SecretString>,
    /// API root.
    pub api_url: String,
    /// Folder inside the repository.
    pub context: String,
    /// Dockerfile, relative to the context.
    pub dockerfile: String,
    /// Build arguments.
    pub build_args: HashMap<String, String>,
}

/// A one-shot container.
#[derive(Debug, Clone)]
pub struct Job {
    /// Its name; `migrate` for the migration.
    pub name: String,
    /// `None`: the application's image.
    pub image: Option<ImageReference>,
    /// `None`: the image's own.
    pub entrypoint: Option<Vec<String>>,
    /// Empty: the image's own.
    pub command: Vec<String>,
    /// Host path by container path.
    pub files: Vec<(String, PathBuf)>,
    /// Limit of one try.
    pub timeout: Duration,
}

/// The application's container.
#[derive(Debug, Clone)]
pub struct App {
    /// `None`: the image's own.
    pub entrypoint: Option<Vec<String>>,
    /// `None`: the image's own.
    pub command: Option<Vec<String>>,
    /// Port inside the container.
    pub port: u16,
    /// Port on the host.
    pub publish: Publish,
    /// Memory limit in bytes.
    pub memory: Option<u64>,
    /// What becomes of the old application when this one fails.
    pub on_failure: OnFailure,
    /// Environment, the database URL included.
    pub env: Vec<(String, SecretString)>,
    /// Variables whose values are secrets.
    pub secret_names: Vec<String>,
}

impl Desired {
    /// HMAC of the application's container as it shall be, from this image.
    #[must_use]
    pub fn app_spec(&self, image_id: &str, store: &Store) -> String {
        let app = &self.app;
        let spec = json!({
            "image": image_id,
            "entrypoint": app.entrypoint,
            "command": app.command,
            "env": exposed(&app.env),
            "port": app.port,
            "publish": (app.publish.ip, app.publish.port),
            "memory": app.memory,
        });
        store.digest(spec.to_string().as_bytes())
    }

    /// What the deployment is to be watched for once these stages have held.
    #[must_use]
    pub fn watched(&self, stages: &[Stage]) -> Watched {
        let database = self.database.as_ref();
        Watched {
            publish: self.app.publish,
            stages: stages.to_vec(),
            endpoints: database.map(|url| url.endpoints().to_vec()).unwrap_or_default(),
            postgres: database.is_some_and(DatabaseUrl::is_postgres),
        }
    }

    /// HMAC of what makes a job's result: image, database, command and the
    /// content of its files. A new password is no new migration.
    ///
    /// # Errors
    /// A file of the job that cannot be read, with its path.
    pub fn job_spec(
        &self,
        job: &Job,
        image_id: &str,
        store: &Store,
    ) -> Result<String, (PathBuf, std::io::Error)> {
        let mut files = Vec::with_capacity(job.files.len());
        for (inside, host) in &job.files {
            let content = files::read(host, JOB_FILE_MAX).map_err(|error| (host.clone(), error))?;
            files.push((inside, store.digest(&content)));
        }
        let database = self.database.as_ref().map(|url| (url.endpoints_text(), url.name()));
        let spec = json!({
            "name": job.name,
            "image": image_id,
            "database": database,
            "entrypoint": job.entrypoint,
            "command": job.command,
            "files": files,
        });
        Ok(store.digest(spec.to_string().as_bytes()))
    }

    /// HMAC of all that a failing job depends on: with another password or
    /// variable it is worth new tries.
    #[must_use]
    pub fn tries_spec(&self, job_spec: &str, store: &Store) -> String {
        let password = self.database.as_ref().map(|url| url.url().expose_secret());
        let spec = json!([job_spec, password, exposed(&self.app.env)]);
        store.digest(spec.to_string().as_bytes())
    }
}

fn exposed(env: &[(String, SecretString)]) -> Vec<(&str, &str)> {
    let mut pairs: Vec<_> = env.iter().map(|(name, value)| (name.as_str(), value.expose_secret())).collect();
    pairs.sort_unstable();
    pairs
}
