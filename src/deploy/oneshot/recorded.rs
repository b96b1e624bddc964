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
    /// The image is older than the schema, and is not to start then.
    pub(super) fn todo_migration(&mut self, job: &Job, serves: Serves) -> Result<Todo, Fault> {
        let (run, rules) = (self.containers.run, &self.containers.desired.config.migration_rules);
        let Ok(spec) = self.spec(job) else { return Ok(Todo::Run) };
        if run.order == Order::Migrate {
            return Ok(Todo::Run);
        }
        let unknown = Revisions::Unknown(String::new());
        let revisions = self.database.as_ref().map_or(&unknown, DatabaseReachable::revisions).clone();
        let note = |text: String| run.reporter.update(|report| report.note(text));
        match needed(&spec, self.steps(), &revisions, serves) {
            Needed::Run => return Ok(Todo::Run),
            Needed::Done => self.learn(&spec, &revisions),
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
                if self.database.as_ref().is_some_and(DatabaseReachable::is_known) {
                    note(format!(
                        "the revision in the database could not be read, the record decides: {why}"
                    ));
                }
            }
        }
        Ok(Todo::Keep)
    }

    /// A migration that could not say where it left the database, or that an earlier agent recorded, has
    /// left it here.
    fn learn(&mut self, spec: &str, revisions: &Revisions) {
        let Revisions::At(now) = revisions else { return };
        let knows = |step: &Step| step.spec != spec || step.revisions.is_some();
        if !self.steps().iter().all(knows) {
            let key = self.key();
            self.store.update(|state| state.databases.learn(&key, spec, now));
        }
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

    /// Asks the database again, after jobs that may have made or changed it.
    ///
    /// # Errors
    /// It still lets nobody in.
    pub(super) async fn ask_again(&mut self) -> Result<(), Fault> {
        let Containers { run, desired, .. } = self.containers;
        if let Some(url) = &desired.database {
            let now = database::wait(run, desired, url, PhaseName::Jobs).await?;
            self.before = now.revisions().clone();
            self.database = Some(now);
        }
        Ok(())
    }

    /// A database that is gone took with it what had been done there.
    pub(super) fn forget_what_is_gone(&mut self) {
        if self.database.as_ref().is_some_and(DatabaseReachable::is_missing) {
            let key = self.key();
            self.store.update(|state| state.databases.forget(&key));
        }
    }

    /// Takes over what an earlier agent has recorded as done, which knew no databases and named a job's
    /// own image by its id.
    pub(super) async fn take_over(&mut self) {
        if self.store.state().done.is_empty() {
            return;
        }
        let desired = self.containers.desired;
        let step = |spec| Step { spec, run: 0, done: true, revisions: None };
        let mut steps = Vec::new();
        for job in desired.jobs.iter().chain(&desired.migrate) {
            let Some(recorded) = self.store.state().done.get(&job.settings.name).cloned() else { continue };
            // In the application's image it was named as it is now, whichever image that was.
            let Some(own) = &job.image else {
                steps.push(step(recorded));
                continue;
            };
            let local = self.containers.engine.local_image(&own.to_string()).await;
            let Ok(Some(local)) = local else { continue };
            if let (Ok(before), Ok(spec)) = (desired.job_spec_of(job, &local.id, self.store), self.spec(job))
                && recorded == before
            {
                steps.push(step(spec));
            }
        }
        let key = self.key();
        self.store.update(|state| {
            state.done.clear();
            steps.into_iter().for_each(|step| state.databases.add(&key, step));
        });
    }
}
