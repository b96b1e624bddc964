//! The revisions that alembic has written down in a database.

use super::backends::literal;
use super::error::Error;
use super::session::{Session, text};
use crate::config::VersionTable;

/// What a database's version table says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Revisions {
    /// Nobody may say: the role does not read it, or it is another program's table.
    Unknown(String),
    /// There is no such table, or nothing in it.
    None,
    /// Every head, sorted.
    At(Vec<String>),
}

/// A session that waits for a lock outlives its client, and others queue behind it.
const PATIENCE: &str = "BEGIN; SET LOCAL lock_timeout = '2s'; SET LOCAL statement_timeout = '5s'";

impl Session {
    /// What the version table says.
    ///
    /// # Errors
    /// The server does not answer.
    pub async fn revisions(&self, table: &VersionTable) -> Result<Revisions, Error> {
        match self.read(table).await {
            Ok(revisions) if revisions.is_empty() => Ok(Revisions::None),
            Ok(revisions) => Ok(Revisions::At(revisions)),
            Err(Error::Denied(why) | Error::NotAsked(why)) => Ok(Revisions::Unknown(why)),
            Err(error) => Err(error),
        }
    }

    async fn read(&self, table: &VersionTable) -> Result<Vec<String>, Error> {
        let quoted = quoted(table);
        let exists = format!("SELECT 1 WHERE to_regclass({}) IS NOT NULL", literal(&quoted));
        if self.ask(&exists).await?.is_empty() {
            return Ok(Vec::new());
        }
        let read = format!("{PATIENCE}; SELECT version_num FROM {quoted} ORDER BY version_num; COMMIT");
        let rows = self.ask(&read).await?;
        rows.iter().map(|row| text(row, 0)).collect()
    }
}

fn quoted(table: &VersionTable) -> String {
    let parts = table.schema.iter().chain([&table.name]);
    let quoted: Vec<String> = parts.map(|part| format!("\"{}\"", part.replace('"', "\"\""))).collect();
    quoted.join(".")
}
