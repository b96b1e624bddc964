//! What is asked over a login. Simple queries only: a pooler in transaction mode keeps no prepared
//! statement (PgBouncer's documentation, "Features").

use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::oneshot;
use tokio::time::timeout;
use tokio_postgres::{Client, Connection, SimpleQueryMessage, SimpleQueryRow};

use super::error::Error;

/// Limit of one question, all of them about catalogs or a table of a few rows.
const ANSWER: Duration = Duration::from_secs(10);

/// What a server gets to take leave of a session.
const LEAVE: Duration = Duration::from_secs(1);

/// A connection that is logged in; it ends with the value.
#[derive(Debug)]
pub struct Session {
    client: Client,
    _alive: oneshot::Sender<()>,
}

/// Which database this is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// Its name.
    pub name: String,
    /// Its number in the server: one made anew under the same name has another.
    pub oid: u32,
    /// It is a standby, or read-only by its settings.
    pub takes_no_writes: bool,
}

impl Session {
    pub(super) fn new<S, T>(client: Client, connection: Connection<S, T>) -> Self
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
        T: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let (alive, ended) = oneshot::channel();
        tokio::spawn(async move {
            let mut connection = std::pin::pin!(connection);
            let result = tokio::select! {
                result = &mut connection => Some(result),
                // It says goodbye by itself once nobody asks any more.
                _ = ended => timeout(LEAVE, connection).await.ok(),
            };
            if let Some(Err(error)) = result {
                // Whoever asks next gets it as well.
                tracing::debug!(%error, "a connection to the database ended");
            }
        });
        Self { client, _alive: alive }
    }

    /// Which database this is.
    ///
    /// # Errors
    /// The server does not answer.
    pub async fn identity(&self) -> Result<Identity, Error> {
        const ASK: &str = "SELECT datname, oid, pg_is_in_recovery() OR current_setting('transaction_read_only') = 'on' \
                           FROM pg_database WHERE datname = current_database()";
        let rows = self.ask(ASK).await?;
        let row = rows.first().ok_or_else(|| unexpected("no database is current"))?;
        let oid = text(row, 1)?.parse().map_err(|_| unexpected("an oid that is no number"))?;
        Ok(Identity { name: text(row, 0)?, oid, takes_no_writes: text(row, 2)? == "t" })
    }

    /// The rows of one statement, or of the last of several.
    ///
    /// # Errors
    /// The server refuses, or does not answer in time.
    pub(super) async fn ask(&self, sql: &str) -> Result<Vec<SimpleQueryRow>, Error> {
        let answer = timeout(ANSWER, self.client.simple_query(sql)).await;
        let messages = answer.map_err(|_| Error::Silent(ANSWER))??;
        let mut rows = Vec::new();
        for message in messages {
            match message {
                SimpleQueryMessage::Row(row) => rows.push(row),
                // The next statement's begin here.
                SimpleQueryMessage::RowDescription(_) => rows.clear(),
                _ => {}
            }
        }
        Ok(rows)
    }
}

/// A column that is never NULL.
pub(super) fn text(row: &SimpleQueryRow, column: usize) -> Result<String, Error> {
    let value = row.try_get(column)?;
    value.map(str::to_owned).ok_or_else(|| unexpected("a column that is NULL"))
}

fn unexpected(what: &str) -> Error {
    Error::NotAsked(format!("the server answers with {what}"))
}
