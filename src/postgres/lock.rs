//! An advisory lock that one migration holds against those of other hosts. It is a transaction's, so
//! that it also holds behind a pooler in transaction mode, and never outlives its connection.

use tokio_postgres::SimpleQueryRow;

use super::error::Error;
use super::session::{Session, text};

/// What an advisory lock is numbered by: the first 8 bytes of the SHA-256 of `preview-agent/migration`.
/// The server keeps the numbers of each database apart.
const NUMBER: i64 = 0x2875_eb27_3fee_5fc1;

/// Time limits that would end a transaction that is idle or waits, of which a newer server has more, are
/// off; and the server notices within a minute that a host is gone which held the lock.
const NO_LIMITS: &str = "SELECT set_config(name, CASE name WHEN 'tcp_keepalives_idle' THEN '20' \
     WHEN 'tcp_keepalives_interval' THEN '10' WHEN 'tcp_keepalives_count' THEN '3' ELSE '0' END, true) \
     FROM pg_settings WHERE name IN ('statement_timeout', 'lock_timeout', 'transaction_timeout', \
     'idle_in_transaction_session_timeout', 'tcp_keepalives_idle', 'tcp_keepalives_interval', \
     'tcp_keepalives_count')";

/// Who takes part in the lock.
#[derive(Debug)]
pub enum Lock {
    /// This session holds it until it ends.
    Held(Session),
    /// Somebody else holds it, by the name of its session where that can be seen.
    Taken(String),
}

impl Session {
    /// Takes the lock unless somebody else holds it.
    ///
    /// # Errors
    /// The server does not answer.
    pub async fn lock(self) -> Result<Lock, Error> {
        let (high, low) = (NUMBER >> 32, NUMBER & 0xffff_ffff);
        // At a higher level it would keep its snapshot, which an index that is built concurrently waits for.
        let take = format!(
            "BEGIN ISOLATION LEVEL READ COMMITTED; {NO_LIMITS}; SELECT pg_try_advisory_xact_lock({NUMBER})"
        );
        let rows = self.ask(&take).await?;
        if text_of(&rows)? == "t" {
            return Ok(Lock::Held(self));
        }
        let holder = format!(
            "ROLLBACK; SELECT coalesce(min(a.application_name || ' (pid ' || a.pid || ')'), 'somebody') \
             FROM pg_locks l JOIN pg_stat_activity a USING (pid) WHERE l.locktype = 'advisory' AND l.granted \
             AND l.classid = {high} AND l.objid = {low} AND a.datname = current_database()"
        );
        Ok(Lock::Taken(text_of(&self.ask(&holder).await?)?))
    }

    /// Shows the server, and whatever is in between, that the session is in use.
    ///
    /// # Errors
    /// The session is gone, and what it held with it.
    pub async fn keep(&self) -> Result<(), Error> {
        self.ask("SELECT 1").await.map(drop)
    }
}

fn text_of(rows: &[SimpleQueryRow]) -> Result<String, Error> {
    rows.first().map_or_else(|| Err(Error::NotAsked("no row".to_owned())), |row| text(row, 0))
}
