//! The desired state with every value resolved: what a run works towards.

use std::collections::HashMap;
use std::path::PathBuf;

use secrecy::{ExposeSecret as _, SecretString};
use serde_json::json;

use crate::config::{self, Config, DatabaseUrl, ImageReference, JobKind, Stage};
use crate::docker::pull::Credentials;
use crate::files;
use crate::state::{Store, Watched};
use crate::status::Fault;

/// Largest file that a job may mount: it is read whole to tell whether it has changed.
const JOB_FILE_MAX: u64 = 16 * 1024 * 1024;

/// Logins by registry host, or why a registry gave none.
pub type Logins = HashMap<String, Result<Credentials, Fault>>;

/// A deployment as it shall be: the configuration, and every value that had to be fetched for it.
#[derive(Debug, Clone)]
pub struct Desired {
    /// The configuration, for all that needs no value from elsewhere.
    pub config: Config,
    /// `deployment.id`, or what stands for it: names the agent's sessions in the database's lists.
    pub deployment: String,
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
    /// The application's environment, the database URL included.
    pub env: Vec<(String, SecretString)>,
    /// Variables whose values are secrets.
    pub secret_names: Vec<String>,
}

/// A GitHub repository at one revision.
#[derive(Debug, Clone)]
pub struct Source {
    /// Where the API and the Dockerfile are.
    pub settings: config::Source,
    /// `owner/name`.
    pub repository: String,
    /// Commit, tag or branch.
    pub reference: String,
    /// API token, if any.
    pub token: Option<SecretString>,
    /// Build arguments.
    pub build_args: HashMap<String, String>,
}

/// A one-shot container.
#[derive(Debug, Clone)]
pub struct Job {
    /// What it runs.
    pub settings: config::Job,
    /// `None`: the application's image.
    pub image: Option<ImageReference>,
}

impl Desired {
    /// HMAC of the application's container as it shall be, from this image.
    #[must_use]
    pub fn app_spec(&self, image_id: &str, store: &Store) -> String {
        let app = &self.config.app;
        let spec = json!({
            "image": image_id,
            "entrypoint": app.entrypoint,
            "command": app.command,
            "env": exposed(&self.env),
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
            publish: self.config.app.publish,
            stages: stages.to_vec(),
            endpoints: database.map(|url| url.endpoints().to_vec()).unwrap_or_default(),
            postgres: database.is_some_and(DatabaseUrl::is_postgres),
        }
    }

    /// HMAC of what makes a job's result: image, database, command and the content of its files. A new
    /// password is no new migration. A job's own image counts by its name, so that it need not be asked
    /// for again once it is done; that of a migration only as long as the application's is the same.
    ///
    /// # Errors
    /// A file of the job that cannot be read, with its path.
    pub fn job_spec(
        &self,
        job: &Job,
        app_image_id: &str,
        store: &Store,
    ) -> Result<String, (PathBuf, std::io::Error)> {
        let image = match (&job.image, job.settings.kind) {
            (None, _) => app_image_id.to_owned(),
            (Some(own), JobKind::Job) => own.to_string(),
            (Some(own), JobKind::Migration) => format!("{own} beside {app_image_id}"),
        };
        self.job_spec_of(job, &image, store)
    }

    /// The same as earlier agents had it, from the id of the image whose ever it is.
    ///
    /// # Errors
    /// A file of the job that cannot be read, with its path.
    pub fn job_spec_of(
        &self,
        job: &Job,
        image: &str,
        store: &Store,
    ) -> Result<String, (PathBuf, std::io::Error)> {
        let job = &job.settings;
        let mut files = Vec::with_capacity(job.files.len());
        for (inside, host) in &job.files {
            let content = files::read(host, JOB_FILE_MAX).map_err(|error| (host.clone(), error))?;
            files.push((inside, store.digest(&content)));
        }
        let database = self.database.as_ref().map(|url| (url.endpoints_text(), url.name()));
        let spec = json!({
            "name": job.name,
            "image": image,
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
        let spec = json!([job_spec, password, exposed(&self.env)]);
        store.digest(spec.to_string().as_bytes())
    }
}

fn exposed(env: &[(String, SecretString)]) -> Vec<(&str, &str)> {
    let mut pairs: Vec<_> = env.iter().map(|(name, value)| (name.as_str(), value.expose_secret())).collect();
    pairs.sort_unstable();
    pairs
}
