//! The jobs in order, then the migration; one that runs is never cut by a reload.

use super::Context;
use super::database::DatabaseReachable;
use super::jobs::{Done, Jobs, Migrated};
use super::phase::Stop;
use super::pull::ImageReady;
use crate::status::{Migration, PhaseName, PhaseState, Reporter};

impl Context<'_> {
    /// Runs what is not recorded as done; the database, where there is one, answers.
    ///
    /// # Errors
    /// The pull's fault of a job's own image, or the fault of the job that failed.
    pub(super) async fn migrate(
        &mut self,
        image: &ImageReady,
        _database: Option<DatabaseReachable>,
    ) -> Result<Migrated, Stop> {
        let images = self.job_images(image).await?;
        let progress = self.progress;
        let desired = &self.desired;
        let all = desired.jobs.iter().chain(&desired.migrate).zip(&images);
        // What cannot be told has its fault when its turn comes.
        let specs = all.filter_map(|(job, image)| desired.job_spec(job, &image.id, &self.agent.store).ok());
        let wanted = specs.collect();
        let mut jobs = Jobs {
            engine: &self.engine,
            progress,
            policy: &self.agent.policy,
            store: &mut self.agent.store,
            run: self.run,
            desired,
            wanted,
            force: self.force,
        };
        let mut kept = true;
        for (job, image) in desired.jobs.iter().zip(&images) {
            let work = jobs.run(PhaseName::Jobs, job, image);
            kept &= progress.phase(PhaseName::Jobs, work).await? == Done::Before;
        }
        if kept {
            let state = if desired.jobs.is_empty() { PhaseState::Skipped } else { PhaseState::Kept };
            progress.skip(PhaseName::Jobs, state);
        }
        let (Some(job), Some(image)) = (&desired.migrate, images.last()) else {
            progress.skip(PhaseName::Migrate, PhaseState::Skipped);
            return Ok(Migrated::default());
        };
        tell(&progress.reporter, PhaseState::Running, &Migrated::default(), 0);
        let work = jobs.run(PhaseName::Migrate, job, image);
        match progress.phase(PhaseName::Migrate, work).await {
            Ok(Done::Before) => {
                tell(&progress.reporter, PhaseState::Kept, &Migrated::default(), 0);
                progress.skip(PhaseName::Migrate, PhaseState::Kept);
                Ok(Migrated::default())
            }
            Ok(Done::Now { moved, attempts }) => {
                let migrated = Migrated { moved };
                tell(&progress.reporter, PhaseState::Done, &migrated, attempts);
                Ok(migrated)
            }
            Err(stop) => {
                let (state, attempts) = match &stop {
                    Stop::Fault(_, fault) => (PhaseState::Failed, fault.attempts),
                    Stop::Cut(_) => (PhaseState::Cut, 0),
                };
                tell(&progress.reporter, state, &Migrated::default(), attempts);
                Err(stop)
            }
        }
    }

    /// The image of each job and of the migration: its own, else the application's.
    async fn job_images(&self, image: &ImageReady) -> Result<Vec<ImageReady>, Stop> {
        let jobs = self.desired.jobs.iter().map(|job| (PhaseName::Jobs, job));
        let migrate = self.desired.migrate.iter().map(|job| (PhaseName::Migrate, job));
        let mut images = Vec::new();
        for (phase, job) in jobs.chain(migrate) {
            let own = match &job.image {
                Some(own) => {
                    let images = self.images(phase);
                    let pulled = images.pull(own, &self.desired);
                    self.progress.phase(phase, pulled).await?
                }
                None => image.clone(),
            };
            images.push(own);
        }
        Ok(images)
    }
}

fn tell(reporter: &Reporter, state: PhaseState, migrated: &Migrated, attempts: u32) {
    let (from, to) = migrated.moved.clone().map_or((None, None), |(from, to)| (from, Some(to)));
    reporter.update(|document| document.migration = Some(Migration { state, from, to, attempts }));
}
