//! The jobs in order, then the migration; one that runs is never cut by a reload.

use super::super::database::DatabaseReachable;
use super::super::image::ImageReady;
use super::super::plan::{Desired, Job};
use super::super::run_context::{RunContext, Stop};
use super::container::Containers;
use super::job::Done;
use super::jobs::{Jobs, Todo};
use super::needed::Serves;
use super::result::{Moved, moved};
use crate::docker::Engine;
use crate::state::Store;
use crate::status::{Migration, PhaseName, PhaseState, Reporter};

/// The proof that every job and the migration is done: the application may start.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Migrated {
    moved: Option<Moved>,
}

impl Migrated {
    /// The revisions that this run moved the database between, if it moved it.
    #[must_use]
    pub fn moved(&self) -> Option<&Moved> {
        self.moved.as_ref()
    }
}

/// Runs what is not recorded as done.
///
/// # Errors
/// The pull's fault of a job's own image, or the fault of the job that failed.
pub async fn run_all(
    run: &RunContext,
    engine: &Engine,
    desired: &Desired,
    store: &mut Store,
    image: &ImageReady,
    database: Option<&DatabaseReachable>,
    serves: Serves,
) -> Result<Migrated, Stop> {
    let containers = Containers { run, engine, desired, logs: store.folder().to_owned() };
    let mut jobs = Jobs::new(containers, store, image, database);
    jobs.forget_what_is_gone();
    jobs.take_over().await;
    // Decided, and their images fetched, before anything is touched.
    let todo: Vec<Todo> = desired.jobs.iter().map(|job| jobs.todo(job)).collect();
    let any_runs = todo.contains(&Todo::Run);
    if let Some(refused) = database.and_then(DatabaseReachable::refused)
        && !any_runs
    {
        let refused = refused.clone();
        return run.phase(PhaseName::Database, async { Err(refused) }).await;
    }
    let mut migration = decide(run, &mut jobs, serves).await?;
    let all = desired.jobs.iter().zip(&todo);
    jobs.fetch(all.chain(desired.migrate.iter().zip(&migration))).await?;

    let mut kept = true;
    for (job, todo) in desired.jobs.iter().zip(&todo) {
        let work = jobs.run(job, *todo);
        kept &= run.phase(PhaseName::Jobs, work).await? == Done::Before;
    }
    if kept {
        let state = if desired.jobs.is_empty() { PhaseState::Skipped } else { PhaseState::Kept };
        run.skip(PhaseName::Jobs, state);
    }
    if any_runs {
        run.phase(PhaseName::Jobs, jobs.ask_again()).await?;
        migration = decide(run, &mut jobs, serves).await?;
    }
    match (&desired.migrate, migration) {
        (Some(job), Some(todo)) => migrate(run, &mut jobs, job, todo).await,
        _ => {
            run.skip(PhaseName::Migrate, PhaseState::Skipped);
            Ok(Migrated { moved: None })
        }
    }
}

/// What is to be done about the migration, if there is one.
async fn decide(run: &RunContext, jobs: &mut Jobs<'_>, serves: Serves) -> Result<Option<Todo>, Stop> {
    let Some(job) = &jobs.containers.desired.migrate else { return Ok(None) };
    match jobs.todo_migration(job, serves) {
        Ok(todo) => Ok(Some(todo)),
        Err(fault) => run.phase(PhaseName::Migrate, async { Err(fault) }).await,
    }
}

async fn migrate(run: &RunContext, jobs: &mut Jobs<'_>, job: &Job, todo: Todo) -> Result<Migrated, Stop> {
    let report = |state, moved, attempts| report(&run.reporter, state, moved, attempts);
    report(PhaseState::Running, None, 0);
    match run.phase(PhaseName::Migrate, jobs.run(job, todo)).await {
        Ok(Done::Before) => {
            report(PhaseState::Kept, None, 0);
            run.skip(PhaseName::Migrate, PhaseState::Kept);
            Ok(Migrated { moved: None })
        }
        Ok(Done::Now { printed, revisions, attempts }) => {
            let moved = moved(&jobs.before, &revisions, printed);
            report(PhaseState::Done, moved.as_ref(), attempts);
            Ok(Migrated { moved })
        }
        Err(stop) => {
            let (state, attempts) = match &stop {
                Stop::Fault(_, fault) => (PhaseState::Failed, fault.attempts),
                Stop::Cut(_) => (PhaseState::Cut, 0),
            };
            report(state, None, attempts);
            Err(stop)
        }
    }
}

fn report(reporter: &Reporter, state: PhaseState, moved: Option<&Moved>, attempts: u32) {
    let (from, to) = moved.map_or((None, None), |moved| (moved.from.clone(), Some(moved.to.clone())));
    reporter.update(|report| report.migration(Migration { state, from, to, attempts }));
}
