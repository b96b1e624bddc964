//! How long and how often: the defaults of every phase, in one place.
//! Configuration can set only deadlines, tries and a job's time limit.

use std::time::Duration;

use crate::aws::PARAMETERS_LIMIT;
use crate::config::Config;
use crate::retry;
use crate::status::heartbeat::HEARTBEAT;
use crate::status::parameter::Pace;

/// The times a run and the watch after it go by.
#[derive(Debug, Clone, Copy)]
pub struct Timings {
    /// How long the Docker socket may take to answer at boot.
    pub docker_patience: Duration,
    /// All parameters and secrets together.
    pub parameters: Duration,
    /// A pull or download without a byte for this long has stalled.
    pub stall: Duration,
    /// Between pulls.
    pub pull_wait: (Duration, Duration),
    /// Between connection attempts to the database.
    pub database_wait: (Duration, Duration),
    /// One connection attempt.
    pub connect: Duration,
    /// Between tries of a job.
    pub job_wait: (Duration, Duration),
    /// Between looks at a migration's lock that another host holds.
    pub lock_wait: (Duration, Duration),
    /// How often a lock's session shows that it is in use.
    pub lock_kept: Duration,
    /// How often a job's sessions are looked at for what they wait for.
    pub look_at_locks: Duration,
    /// What an application that serves gets to stop.
    pub grace: Duration,
    /// What one that was never proven gets: nobody uses it, and while it
    /// starts it may not hear the signal at all.
    pub unproven_grace: Duration,
    /// What the end of a run keeps for the way back, when a successor is not healthy by then;
    /// a tenth of the run where that is less.
    pub way_back: Duration,
    /// One health probe.
    pub probe: Duration,
    /// Between health probes, growing from the first to the second.
    pub probe_wait: (Duration, Duration),
    /// Between liveness probes.
    pub liveness: Duration,
    /// Liveness misses in a row that make the service degraded.
    pub misses: u32,
    /// Before a run that follows a failed one by itself: at most so long, the last from then on.
    pub between_runs: [Duration; 5],
    /// Between two heartbeats.
    pub heartbeat: Duration,
    /// How often the status parameter is written.
    pub report: Pace,
    /// How long an exit waits for the parameter to be written.
    pub flush: Duration,
}

impl Default for Timings {
    fn default() -> Self {
        let seconds = Duration::from_secs;
        Self {
            docker_patience: seconds(60),
            parameters: PARAMETERS_LIMIT,
            stall: seconds(60),
            pull_wait: (seconds(1), seconds(30)),
            database_wait: (Duration::from_millis(250), seconds(5)),
            connect: seconds(2),
            job_wait: (seconds(2), seconds(30)),
            lock_wait: (Duration::from_millis(250), seconds(5)),
            lock_kept: seconds(20),
            look_at_locks: seconds(5),
            grace: seconds(30),
            unproven_grace: seconds(2),
            way_back: seconds(90),
            probe: seconds(5),
            probe_wait: (Duration::from_millis(50), seconds(2)),
            liveness: seconds(10),
            misses: 3,
            between_runs: [30, 60, 120, 300, 600].map(seconds),
            heartbeat: HEARTBEAT,
            report: Pace::default(),
            flush: seconds(10),
        }
    }
}

impl Timings {
    /// The longest wait before another run, after so many that followed failed ones by themselves.
    #[must_use]
    pub fn before_run(&self, followed: usize) -> Duration {
        self.between_runs[followed.min(self.between_runs.len() - 1)]
    }

    /// The pull's retry policy.
    #[must_use]
    pub fn pull(&self, config: &Config) -> retry::Policy {
        let (first, max) = self.pull_wait;
        retry::Policy { tries: config.tries.pull, first, max, total: config.deadlines.pull }
    }

    /// The database's retry policy: as many tries as fit into the time.
    #[must_use]
    pub fn database(&self, config: &Config) -> retry::Policy {
        let (first, max) = self.database_wait;
        retry::Policy { tries: u32::MAX, first, max, total: config.deadlines.database }
    }
}
