//! The database, waited for.

use super::plan::Desired;
use super::run_context::{RunContext, Stop};
use crate::probe::database::{DatabaseReachable, wait};
use crate::status::{DatabaseState, PhaseName, PhaseState};

/// Waits for the database, if there is one.
///
/// # Errors
/// The last try's fault: see [`wait`].
pub async fn reachable(run: &RunContext, desired: &Desired) -> Result<Option<DatabaseReachable>, Stop> {
    let Some(url) = &desired.database else {
        run.skip(PhaseName::Database, PhaseState::Skipped);
        return Ok(None);
    };
    let report = |state| run.reporter.update(|report| report.database(url.endpoints_text(), state));
    report(DatabaseState::Waiting);
    let policy = run.timings.database(&desired.config);
    let wait =
        wait(url, policy, run.timings.connect, |attempt| run.attempt(PhaseName::Database, attempt, None));
    let reached = run.phase(PhaseName::Database, wait).await;
    report(if reached.is_ok() { DatabaseState::Reachable } else { DatabaseState::Unreachable });
    reached.map(Some)
}
