//! The jobs in order, then the migration; one that runs is never cut by a reload.

use super::super::image::{ImageReady, Images};
use super::super::plan::{Desired, Job};
use super::super::run_context::{RunContext, Stop};
use super::container::Containers;
use super::job::{Done, Jobs, phase_of};
use super::result::Moved;
use crate::docker::Engine;
use crate::probe::database::DatabaseReachable;
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

/// Runs what is not recorded as done; the database, where there is one, answers.
///
/// # Errors
/// The pull's fault of a job's own image, or the fault of the job that failed.
pub async fn run_all(
    run: &RunContext,
    engine: &Engine,
    desired: &Desired,
    store: &mut Store,
    image: &ImageReady,
    _database: Option<&DatabaseReachable>,
) -> Result<Migrated, Stop> {
    let images = images(run, engine, desired, store, image).await?;
    let all = desired.jobs.iter().chain(&desired.migrate).zip(&images);
    // What has none yet gets its fault when its turn comes.
    let specs = all.filter_map(|(job, image)| desired.job_spec(job, image.id(), store).ok());
    let wanted = specs.collect();
    let containers = Containers { run, engine, desired, logs: store.folder().to_owned() };
    let mut jobs = Jobs { containers, store, wanted };
    let mut kept = true;
    for (job, image) in desired.jobs.iter().zip(&images) {
        let work = jobs.run(job, image);
        kept &= run.phase(PhaseName::Jobs, work).await? == Done::Before;
    }
    if kept {
        let state = if desired.jobs.is_empty() { PhaseState::Skipped } else { PhaseState::Kept };
        run.skip(PhaseName::Jobs, state);
    }
    let (Some(job), Some(image)) = (&desired.migrate, images.last()) else {
        run.skip(PhaseName::Migrate, PhaseState::Skipped);
        return Ok(Migrated { moved: None });
    };
    migrate(run, &mut jobs, job, image).await
}

async fn migrate(
    run: &RunContext,
    jobs: &mut Jobs<'_>,
    job: &Job,
    image: &ImageReady,
) -> Result<Migrated, Stop> {
    let report = |state, moved, attempts| report(&run.reporter, state, moved, attempts);
    report(PhaseState::Running, None, 0);
    match run.phase(PhaseName::Migrate, jobs.run(job, image)).await {
        Ok(Done::Before) => {
            report(PhaseState::Kept, None, 0);
            run.skip(PhaseName::Migrate, PhaseState::Kept);
            Ok(Migrated { moved: None })
        }
        Ok(Done::Now { moved, attempts }) => {
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

/// The image of each job and of the migration: its own, else the application's.
async fn images(
    run: &RunContext,
    engine: &Engine,
    desired: &Desired,
    store: &Store,
    image: &ImageReady,
) -> Result<Vec<ImageReady>, Stop> {
    let mut images = Vec::new();
    for job in desired.jobs.iter().chain(&desired.migrate) {
        let own = match &job.image {
            Some(own) => {
                let phase = phase_of(job.settings.kind);
                let images = Images { run, phase, engine, desired, store };
                run.phase(phase, images.pull(own)).await?
            }
            None => image.clone(),
        };
        images.push(own);
    }
    Ok(images)
}

fn report(reporter: &Reporter, state: PhaseState, moved: Option<&Moved>, attempts: u32) {
    let (from, to) = moved.map_or((None, None), |moved| (moved.from.clone(), Some(moved.to.clone())));
    reporter.update(|report| report.migration(Migration { state, from, to, attempts }));
}
