//! What the records say is done, and what is left to do.

use super::super::database::{self, DatabaseReachable};
use super::super::image::Images;
use super::super::plan::Job;
use super::super::run_context::{Order, Stop};
use super::container::Containers;
use super::jobs::{Jobs, Todo, phase_of};
use super::needed::{Needed, Serves, needed};
use crate::config::Ahead;
use crate::postgres::Revisions;
use crate::state::Step;
use crate::status::{Code, Fault, PhaseName};

impl Jobs<'_> {
    /// What is to be done about a job. Whatever a fault in it, it comes out when its turn has come.
    pub(super) fn todo(&self, job: &Job) -> Todo {
        let done = |spec: &str| self.steps().iter().any(|step| step.done && step.spec == spec);
        match self.spec(job) {
            Ok(spec) if done(&spec) && self.containers.run.order != Order::Migrate => Todo::Keep,
            _ => Todo::Run,
        }
    }

    /// What is to be done about the migration, and why where a reader should know.
    ///
    /// # Errors
    /// The image is older than the schema, and is not to start then; the database takes no writes.
    pub(super) fn todo_migration(
        &self,
        job: &Job,
        database: Option<&DatabaseReachable>,
        serves: Serves,
    ) -> Result<Todo, Fault> {
        let (run, rules) = (self.containers.run, &self.containers.desired.config.migration_rules);
        let unknown = Revisions::Unknown(String::new());
        let revisions = database.map_or(&unknown, DatabaseReachable::revisions);
        let needed = match self.spec(job) {
            Ok(spec) if run.order != Order::Migrate => needed(&spec, self.steps(), revisions, serves),
            _ => Needed::Run,
        };
        let note = |text: String| run.reporter.update(|report| report.note(text));
        match needed {
            Needed::Done => {}
            Needed::Ahead { revisions, run: by } => {
                let ahead = format!("schema ahead: {} (run {by})", revisions.join(", "));
                if rules.ahead == Ahead::Refuse {
                    return Err(Fault::new(Code::SchemaAhead, ahead));
                }
                note(format!("{ahead}; this image is older and was not migrated"));
            }
            Needed::Foreign(revisions) => {
                let now = revisions.join(", ");
                note(format!("foreign: the database is at {now}, where no run of this agent has brought it"));
            }
            Needed::Unchecked(why) => {
                if database.is_some_and(DatabaseReachable::is_known) {
                    note(format!(
                        "the revision in the database could not be read, the record decides: {why}"
                    ));
                }
            }
            Needed::Run if database.is_some_and(DatabaseReachable::takes_no_writes) => {
                let words = "the server takes no writes, and the migration is to write";
                return Err(Fault::new(Code::DatabaseReadOnly, words));
            }
            Needed::Run => return Ok(Todo::Run),
        }
        Ok(Todo::Keep)
    }

    /// Pulls the own images of what is to run.
    ///
    /// # Errors
    /// The pull's fault.
    pub(super) async fn fetch(&mut self, jobs: impl Iterator<Item = (&Job, &Todo)>) -> Result<(), Stop> {
        let Self { containers, store, .. } = self;
        for (job, _) in jobs.filter(|(_, todo)| **todo == Todo::Run) {
            let Some(own) = &job.image else { continue };
            let phase = phase_of(job.settings.kind);
            let (run, engine, desired) = (containers.run, containers.engine, containers.desired);
            let images = Images { run, phase, engine, desired, store };
            let image = run.phase(phase, images.pull(own)).await?;
            self.images.insert(job.settings.name.clone(), image);
        }
        Ok(())
    }

    /// The revisions before the migration. What the jobs had to make first is there by now.
    ///
    /// # Errors
    /// The database still lets nobody in.
    pub(super) async fn ask_before(
        &self,
        todo: Todo,
        database: Option<&DatabaseReachable>,
    ) -> Result<Revisions, Fault> {
        let Some(database) = database else { return Ok(Revisions::None) };
        let Containers { run, desired, .. } = &self.containers;
        match &desired.database {
            Some(url) if todo == Todo::Run && database.is_to_be_made() => {
                let now = database::wait(run, desired, url, PhaseName::Migrate).await?;
                Ok(now.revisions().clone())
            }
            _ => Ok(database.revisions().clone()),
        }
    }

    /// Takes over what an earlier agent has recorded as done, which knew no databases and named a job's
    /// own image by its id.
    pub(super) async fn take_over(&mut self) {
        if self.store.state().done.is_empty() {
            return;
        }
        let desired = self.containers.desired;
        let mut steps = Vec::new();
        for job in desired.jobs.iter().chain(&desired.migrate) {
            let image = match &job.image {
                None => Some(self.image.id().to_owned()),
                Some(own) => {
                    self.containers.engine.local_image(&own.to_string()).await.ok().flatten().map(|i| i.id)
                }
            };
            let Some(image) = image else { continue };
            let recorded = self.store.state().done.get(&job.settings.name);
            if let (Ok(before), Ok(spec)) = (desired.job_spec_of(job, &image, self.store), self.spec(job))
                && recorded == Some(&before)
            {
                steps.push(Step { spec, run: 0, done: true, revisions: None });
            }
        }
        let key = self.key.clone();
        self.store.update(|state| {
            state.done.clear();
            steps.into_iter().for_each(|step| state.databases.add(&key, step));
        });
    }
}
