//! The database, waited for and asked.

use super::plan::Desired;
use super::run_context::{RunContext, Stop};
use crate::config::DatabaseUrl;
use crate::postgres::{Identity, Revisions, Session};
use crate::probe::Login;
use crate::probe::database;
use crate::state::DatabaseKey;
use crate::status::{Code, DatabaseState, Fault, PhaseName, PhaseState};

/// The proof that the database answers, and what it says of itself.
#[derive(Debug, Clone)]
pub struct DatabaseReachable {
    /// `None` where it could not be asked.
    identity: Option<Identity>,
    /// What alembic has written down in it.
    revisions: Revisions,
    /// Why it lets nobody in, where a job may still mend that.
    refused: Option<Fault>,
}

impl DatabaseReachable {
    fn unasked(refused: Option<Fault>) -> Self {
        let revisions = Revisions::Unknown("the database was not asked".to_owned());
        Self { identity: None, revisions, refused }
    }

    /// What alembic has written down in it.
    #[must_use]
    pub fn revisions(&self) -> &Revisions {
        &self.revisions
    }

    /// Whether it let the agent in.
    #[must_use]
    pub fn is_known(&self) -> bool {
        self.identity.is_some()
    }

    /// Whether it takes no writes.
    #[must_use]
    pub fn takes_no_writes(&self) -> bool {
        self.identity.as_ref().is_some_and(|identity| identity.takes_no_writes)
    }

    /// Why it lets nobody in, where a job may still mend that.
    #[must_use]
    pub fn refused(&self) -> Option<&Fault> {
        self.refused.as_ref()
    }

    /// Whether the server has no such database.
    #[must_use]
    pub fn is_missing(&self) -> bool {
        self.refused.as_ref().is_some_and(|fault| fault.code == Code::DatabaseMissing)
    }
}

/// Waits for the database, if there is one, and asks it.
///
/// # Errors
/// The last try's fault: see [`database::wait`].
pub async fn reachable(run: &RunContext, desired: &Desired) -> Result<Option<DatabaseReachable>, Stop> {
    let Some(url) = &desired.database else {
        run.skip(PhaseName::Database, PhaseState::Skipped);
        return Ok(None);
    };
    let report = |state| run.reporter.update(|report| report.database(url.endpoints_text(), state));
    report(DatabaseState::Waiting);
    let reached = run.phase(PhaseName::Database, wait(run, desired, url, PhaseName::Database)).await;
    report(if reached.is_ok() { DatabaseState::Reachable } else { DatabaseState::Unreachable });
    reached.map(Some)
}

/// Waits until the database answers, and asks it.
///
/// # Errors
/// See [`database::wait`]. Before the jobs, what they may still make is no fault.
pub async fn wait(
    run: &RunContext,
    desired: &Desired,
    url: &DatabaseUrl,
    phase: PhaseName,
) -> Result<DatabaseReachable, Fault> {
    let policy = run.timings.database(&desired.config);
    let on_try = |attempt| run.attempt(phase, attempt, None);
    let note = |text: String| run.reporter.update(|report| report.note(text));
    match database::wait(url, policy, run.timings.connect, on_try).await {
        Ok(Login::Foreign) => Ok(DatabaseReachable::unasked(None)),
        Ok(Login::NotAsked(why)) => {
            note(format!("the database was not asked what state it is in: {why}"));
            Ok(DatabaseReachable::unasked(None))
        }
        Ok(Login::HostRefused(fault)) => {
            note(format!(
                "the database refuses this host, and perhaps not its containers: {}",
                fault.message
            ));
            Ok(DatabaseReachable::unasked(None))
        }
        Ok(Login::In(session, identity)) => {
            let revisions = read(&session, desired).await;
            Ok(DatabaseReachable { identity: Some(identity), revisions, refused: None })
        }
        Err(fault) if phase == PhaseName::Database && may_be_made(desired, &fault) => {
            tracing::info!(fault = %fault.code.name(), "what keeps the role out is left to the jobs");
            Ok(DatabaseReachable::unasked(Some(fault)))
        }
        Err(fault) => Err(fault),
    }
}

fn may_be_made(desired: &Desired, fault: &Fault) -> bool {
    !desired.jobs.is_empty() && matches!(fault.code, Code::DatabaseAuth | Code::DatabaseMissing)
}

/// Whether the database does not let the role in at the moment, which may pass.
pub async fn is_away(run: &RunContext, desired: &Desired) -> bool {
    let Some(url) = &desired.database else { return false };
    database::ask(url, run.timings.connect).await.is_err_and(|fault| fault.code.retryable())
}

/// Reads the revisions again.
pub async fn revisions(run: &RunContext, desired: &Desired) -> Revisions {
    let Some(url) = &desired.database else { return Revisions::None };
    match database::ask(url, run.timings.connect).await {
        Ok(Login::In(session, _)) => read(&session, desired).await,
        Ok(_) => Revisions::Unknown("the database was not asked".to_owned()),
        Err(fault) => Revisions::Unknown(fault.message),
    }
}

/// Under which key its records are kept.
pub fn key(desired: &Desired, reachable: Option<&DatabaseReachable>) -> DatabaseKey {
    let Some(url) = &desired.database else { return DatabaseKey::default() };
    let identity = reachable.and_then(|reachable| reachable.identity.as_ref());
    DatabaseKey {
        endpoint: url.endpoints_text(),
        // A server takes the role's name where the URL has none.
        name: url.name().or(url.user()).unwrap_or_default().to_owned(),
        oid: identity.map(|identity| identity.oid),
    }
}

async fn read(session: &Session, desired: &Desired) -> Revisions {
    let revisions = session.revisions(&desired.config.migration_rules.version_table).await;
    revisions.unwrap_or_else(|error| Revisions::Unknown(error.to_string()))
}
