//! What all jobs and the migration of a run share.

use std::collections::HashMap;

use super::super::database::{self, DatabaseReachable};
use super::super::image::{ImageReady, Images};
use super::super::plan::Job;
use super::container::Containers;
use crate::config::{JobKind, service_hint};
use crate::postgres::Revisions;
use crate::state::{DatabaseKey, Step, Store};
use crate::status::{Code, Fault, PhaseName};

/// What running jobs needs.
pub(super) struct Jobs<'a> {
    /// Runs their containers.
    pub(super) containers: Containers<'a>,
    /// Records of what is done.
    pub(super) store: &'a mut Store,
    /// The database, as it was last asked.
    pub(super) database: Option<DatabaseReachable>,
    /// Its revisions before the migration.
    pub(super) before: Revisions,
    /// The application's image.
    pub(super) image: &'a ImageReady,
    /// Own images by the names of their jobs, as far as they were needed.
    pub(super) images: HashMap<String, ImageReady>,
    /// Specs of all jobs and of the migration: what a crash left of one of them is for that one to handle.
    pub(super) wanted: Vec<String>,
    /// How often the database was the cause of a failure that counted as no try.
    pub(super) forgiven: u32,
    /// The last try failed while the database was away.
    pub(super) database_went: bool,
}

/// What is to be done about a job.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Todo {
    /// It runs.
    Run,
    /// Its record says it is done.
    Keep,
}

impl<'a> Jobs<'a> {
    pub(super) fn new(
        containers: Containers<'a>,
        store: &'a mut Store,
        image: &'a ImageReady,
        database: Option<&DatabaseReachable>,
    ) -> Self {
        let desired = containers.desired;
        let before = database.map_or(Revisions::None, |database| database.revisions().clone());
        let database = database.cloned();
        let mut jobs = Self {
            containers,
            store,
            database,
            before,
            image,
            images: HashMap::new(),
            wanted: Vec::new(),
            forgiven: 0,
            database_went: false,
        };
        // What has no spec gets its fault when its turn comes.
        jobs.wanted =
            desired.jobs.iter().chain(&desired.migrate).filter_map(|job| jobs.spec(job).ok()).collect();
        jobs
    }

    /// Under what a job's end is recorded.
    ///
    /// # Errors
    /// A file of it cannot be read.
    pub(super) fn spec(&self, job: &Job) -> Result<String, Fault> {
        let spec = self.containers.desired.job_spec(job, self.image.id(), self.store);
        spec.map_err(|(path, error)| {
            let (name, hint) = (&job.settings.name, service_hint(&path, error.kind()));
            Fault::new(Code::CredentialMissing, format!("{name}: {}: {error}{hint}", path.display()))
        })
    }

    /// Under which key the database's records are kept.
    pub(super) fn key(&self) -> DatabaseKey {
        database::key(self.containers.desired, self.database.as_ref())
    }

    /// What is recorded of the database, oldest first.
    pub(super) fn steps(&self) -> &[Step] {
        self.store.state().databases.steps(&self.key())
    }

    /// The image of a job: its own, else the application's.
    pub(super) async fn image(&self, job: &Job) -> Result<ImageReady, Fault> {
        let Some(own) = &job.image else { return Ok(self.image.clone()) };
        if let Some(image) = self.images.get(&job.settings.name) {
            return Ok(image.clone());
        }
        let Containers { run, engine, desired, .. } = self.containers;
        let images = Images { run, phase: phase_of(job.settings.kind), engine, desired, store: self.store };
        images.pull(own).await
    }
}

/// The phase that a one-shot container runs in.
pub(super) const fn phase_of(kind: JobKind) -> PhaseName {
    match kind {
        JobKind::Job => PhaseName::Jobs,
        JobKind::Migration => PhaseName::Migrate,
    }
}
