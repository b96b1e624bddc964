//! Other sessions of the server: who holds up whom, and how one is ended.

use std::time::Duration;

use tokio_postgres::SimpleQueryRow;

use super::error::Error;
use super::session::{Session, text};

/// A session of the server as `pg_stat_activity` shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Backend {
    /// The server's process.
    pub pid: i32,
    /// The name that its client gave; empty without one.
    pub application: String,
    /// Its role.
    pub role: String,
    /// How long its transaction is under way, or else its session.
    pub age: Duration,
    /// Its last statement; empty where our role may not see it.
    pub query: String,
}

/// The name of a session as the server keeps it: it cuts longer ones (NAMEDATALEN).
pub const APPLICATION_MAX: usize = 63;

const COLUMNS: &str = "b.pid, coalesce(b.application_name, ''), coalesce(b.usename, ''), \
     greatest(0, extract(epoch FROM now() - coalesce(b.xact_start, b.backend_start)))::bigint, \
     CASE b.query WHEN '<insufficient privilege>' THEN '' ELSE coalesce(b.query, '') END";

impl Session {
    /// Sessions that this one's database keeps others of `application` waiting for.
    ///
    /// # Errors
    /// The server does not answer.
    pub async fn blockers(&self, application: &str) -> Result<Vec<Backend>, Error> {
        self.backends(&format!(
            "SELECT DISTINCT {COLUMNS} FROM pg_stat_activity w, unnest(pg_blocking_pids(w.pid)) AS blocking(pid) \
             JOIN pg_stat_activity b ON b.pid = blocking.pid \
             WHERE w.application_name = {} AND w.datname = current_database()",
            literal(application)
        ))
        .await
    }

    /// Sessions of this role and database that wait for a lock and began within the last `age`.
    ///
    /// # Errors
    /// The server does not answer.
    pub async fn waiting(&self, age: Duration) -> Result<Vec<Backend>, Error> {
        self.backends(&format!(
            "SELECT {COLUMNS} FROM pg_stat_activity b WHERE b.usename = current_user \
             AND b.datname = current_database() AND b.wait_event_type = 'Lock' AND {}",
            younger(age)
        ))
        .await
    }

    /// Ends every session of `application` that began within the last `age`, and tells how many.
    ///
    /// # Errors
    /// The server does not answer.
    pub async fn end(&self, application: &str, age: Duration) -> Result<usize, Error> {
        let sql = format!(
            "SELECT pg_terminate_backend(b.pid) FROM pg_stat_activity b WHERE b.application_name = {} \
             AND b.usename = current_user AND b.datname = current_database() \
             AND b.pid <> pg_backend_pid() AND {}",
            literal(application),
            younger(age)
        );
        Ok(self.ask(&sql).await?.len())
    }

    async fn backends(&self, sql: &str) -> Result<Vec<Backend>, Error> {
        self.ask(sql).await?.iter().map(backend).collect()
    }
}

/// By the server's clock alone.
fn younger(age: Duration) -> String {
    format!("b.backend_start > now() - interval '{} seconds'", age.as_secs())
}

fn backend(row: &SimpleQueryRow) -> Result<Backend, Error> {
    Ok(Backend {
        pid: text(row, 0)?.parse().unwrap_or_default(),
        application: text(row, 1)?,
        role: text(row, 2)?,
        age: Duration::from_secs(text(row, 3)?.parse().unwrap_or_default()),
        query: text(row, 4)?,
    })
}

/// A text as SQL has it (`standard_conforming_strings` is on since PostgreSQL 9.1).
pub(super) fn literal(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}
