//! One migration at a time on a database, whatever host runs it. Best effort: what cannot be locked is
//! migrated all the same, with a note.

use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::super::plan::Desired;
use super::super::run_context::RunContext;
use crate::config::DatabaseUrl;
use crate::postgres::{Error, Lock, Session};
use crate::probe::{Login, database};
use crate::retry;
use crate::status::{Code, Fault, Topic};

/// Part of the time left that a wait for the lock may take: what comes after it needs the rest.
const SHARE: f32 = 0.9;

/// How long a server that answers nobody is asked for the lock.
const PATIENCE: Duration = Duration::from_secs(30);

/// How the lock of a database stands.
#[derive(Debug)]
pub(super) enum Locked {
    /// This session holds it.
    By(Session),
    /// Nobody of ours does.
    Not,
}

impl Locked {
    /// Waits until this host holds the lock of the database that is to be migrated, and tells whether
    /// somebody else held it before.
    ///
    /// # Errors
    /// Somebody else holds it for longer than the run has time.
    pub(super) async fn wait(run: &RunContext, desired: &Desired) -> Result<(Self, bool), Fault> {
        let Some(url) = locked_by_configuration(desired) else { return Ok((Self::Not, false)) };
        let (begun, limit) = (Instant::now(), run.left().mul_f32(SHARE));
        let (mut waited, mut answered) = (false, Instant::now());
        loop {
            match take(run, desired, url).await {
                Ok(Lock::Held(session)) => {
                    run.reporter.update(|report| report.forget(Topic::Waiting));
                    return Ok((Self::leaving_room(session, run, url).await, waited));
                }
                Ok(Lock::Taken(holder)) => {
                    (waited, answered) = (true, Instant::now());
                    let message = format!("the migration of {holder} is under way on this database");
                    if begun.elapsed() >= limit {
                        run.reporter.update(|report| report.forget(Topic::Waiting));
                        return Err(Fault::new(Code::MigrationLocked, message));
                    }
                    run.reporter.update(|report| report.note_on(Topic::Waiting, message.clone()));
                }
                // Somebody else may hold it while the server answers nobody.
                Err(Untaken { may_pass: true, .. }) if answered.elapsed() < PATIENCE => {}
                Err(Untaken { why, .. }) => return Ok((Self::without(run, &why), waited)),
            }
            sleep(retry::interval(begun.elapsed(), run.timings.lock_wait)).await;
        }
    }

    /// Takes the lock where nobody else holds it, for a migration that runs already.
    pub(super) async fn retake(run: &RunContext, desired: &Desired) -> Self {
        let Some(url) = locked_by_configuration(desired) else { return Self::Not };
        match take(run, desired, url).await {
            Ok(Lock::Held(session)) => Self::By(session),
            Ok(Lock::Taken(_)) | Err(_) => Self::Not,
        }
    }

    /// Shows that the lock is in use, for ever. Losing it cuts nothing.
    pub(super) async fn keep(&self, run: &RunContext) -> std::convert::Infallible {
        if let Self::By(session) = self {
            loop {
                sleep(run.timings.lock_kept).await;
                match session.keep().await {
                    // It may be slow, and holds the lock as long as it lives.
                    Ok(()) | Err(Error::Silent(_)) => {}
                    Err(error) => {
                        note(run, &format!("the migration's lock was lost while it ran: {error}"));
                        break;
                    }
                }
            }
        }
        std::future::pending().await
    }

    /// The database has no connection left, which the migration may need.
    pub(super) fn yielded(self, run: &RunContext) -> Self {
        match self {
            Self::By(_) => Self::without(run, "the database has no connection left"),
            Self::Not => Self::Not,
        }
    }

    /// A pool, or a role, of one connection leaves none for the migration.
    async fn leaving_room(session: Session, run: &RunContext, url: &DatabaseUrl) -> Self {
        match database::ask(url, run.timings.connect).await {
            Ok(Login::In(..)) => Self::By(session),
            Ok(_) => Self::without(run, "a second connection is refused"),
            Err(fault) => Self::without(run, &format!("it takes the only connection: {}", fault.message)),
        }
    }

    fn without(run: &RunContext, why: &str) -> Self {
        run.reporter.update(|report| report.forget(Topic::Waiting));
        note(run, &format!("migrated without a lock: {why}"));
        Self::Not
    }
}

/// The database whose migrations take turns.
fn locked_by_configuration(desired: &Desired) -> Option<&DatabaseUrl> {
    desired.database.as_ref().filter(|url| desired.config.migration_rules.lock && url.is_postgres())
}

/// Why the lock could not be asked for.
struct Untaken {
    why: String,
    may_pass: bool,
}

async fn take(run: &RunContext, desired: &Desired, url: &DatabaseUrl) -> Result<Lock, Untaken> {
    let never = |why: String| Untaken { why, may_pass: false };
    let application = format!("preview-agent:{}", desired.deployment);
    match database::ask_as(url, run.timings.connect, &application).await {
        Ok(Login::In(session, _)) => session.lock().await.map_err(|error| never(error.to_string())),
        Ok(Login::NotAsked(why)) => Err(never(why)),
        Ok(Login::HostRefused(fault)) => Err(never(fault.message)),
        Ok(Login::Foreign) => Err(never("the database is not PostgreSQL".to_owned())),
        Err(fault) => Err(Untaken { may_pass: fault.code.retryable(), why: fault.message }),
    }
}

fn note(run: &RunContext, text: &str) {
    let text = run.redactor.apply(text).into_owned();
    tracing::warn!("{text}");
    run.reporter.update(|report| report.note(text));
}
