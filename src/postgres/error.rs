//! What a server says instead of an answer, by its SQLSTATE (PostgreSQL documentation, "PostgreSQL
//! Error Codes"): its words are in the server's language and change with its version.

use std::error::Error as _;
use std::time::Duration;

use tokio_postgres::error::{DbError, SqlState};

use crate::cause::innermost;

/// Why a login or a question got no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// It starts, recovers, stops or lacks something for the moment.
    #[error("{0}")]
    NotReady(String),
    /// It has no connection left, for anybody or for this role.
    #[error("{0}")]
    TooManyConnections(String),
    /// No such role, a wrong password, or a role that may not do this.
    #[error("{0}")]
    Denied(String),
    /// No such database.
    #[error("{0}")]
    NoDatabase(String),
    /// Its rules for hosts (pg_hba.conf) do not let this host in.
    #[error("{0}")]
    HostRefused(String),
    /// It wants TLS, which `sslmode` switches off.
    #[error("the server wants TLS, and `sslmode` switches it off")]
    TlsRequired,
    /// `sslmode` wants TLS, which it does not have.
    #[error("the server has no TLS, and `sslmode={0}` wants it")]
    TlsNotOffered(String),
    /// It takes no writes, and the URL asks for a server that does.
    #[error("the server takes no writes")]
    ReadOnly,
    /// The connection ended in the midst of it.
    #[error("{0}")]
    Dropped(String),
    /// Nothing came within this time.
    #[error("takes connections, and a login or question got no answer within {} s", .0.as_secs_f32())]
    Silent(Duration),
    /// What the agent cannot do as the application may: nothing is known of the database.
    #[error("{0}")]
    NotAsked(String),
}

/// Function of the server that a refusal by pg_hba.conf comes from; other refusals with the same
/// SQLSTATE come from others (src/backend/libpq/auth.c).
const HOST_RULES: &str = "ClientAuthentication";

impl From<tokio_postgres::Error> for Error {
    fn from(error: tokio_postgres::Error) -> Self {
        if let Some(refusal) = error.as_db_error() {
            return refused(refusal);
        }
        // The application's own TLS may take what this one does not: old versions, old certificates.
        if error.to_string().starts_with("error performing TLS handshake") {
            return Self::NotAsked(format!("TLS: {}", innermost(&error)));
        }
        let io = error.source().and_then(|source| source.downcast_ref::<std::io::Error>());
        if error.is_closed() || io.is_some() {
            return Self::Dropped(format!("the connection broke off: {}", innermost(&error)));
        }
        Self::NotAsked(innermost(&error).to_string())
    }
}

fn refused(refusal: &DbError) -> Error {
    let (code, message) = (refusal.code(), refusal.message().to_owned());
    if let Some(error) = pgbouncer(refusal) {
        return error;
    }
    match code {
        &SqlState::TOO_MANY_CONNECTIONS => Error::TooManyConnections(message),
        &SqlState::INVALID_PASSWORD | &SqlState::INSUFFICIENT_PRIVILEGE => Error::Denied(message),
        &SqlState::INVALID_AUTHORIZATION_SPECIFICATION if refusal.routine() == Some(HOST_RULES) => {
            Error::HostRefused(message)
        }
        &SqlState::INVALID_AUTHORIZATION_SPECIFICATION => Error::Denied(message),
        &SqlState::INVALID_CATALOG_NAME => Error::NoDatabase(message),
        &SqlState::READ_ONLY_SQL_TRANSACTION => Error::ReadOnly,
        // Insufficient resources, operator intervention, a database that takes no connections just now.
        code if ["53", "57"].contains(&&code.code()[..2]) => Error::NotReady(message),
        &SqlState::OBJECT_NOT_IN_PREREQUISITE_STATE => Error::NotReady(message),
        _ => Error::NotAsked(message),
    }
}

/// PgBouncer's own refusals: versions before 1.21 give all of them the SQLSTATE of a broken protocol.
fn pgbouncer(refusal: &DbError) -> Option<Error> {
    if refusal.code() != &SqlState::PROTOCOL_VIOLATION {
        return None;
    }
    let message = refusal.message();
    let has = |words: &str| message.contains(words);
    let error = match () {
        () if has("role \"") && has("does not exist") => Error::Denied,
        () if has("no such database") || has("does not exist") => Error::NoDatabase,
        () if has("no such user") || has("authentication failed") || has("SASL") => Error::Denied,
        () if has("no more connections") || has("max_client_conn") => Error::TooManyConnections,
        () if has("server") || has("timeout") || has("shutting down") || has("disabled") => Error::NotReady,
        () => return None,
    };
    Some(error(message.to_owned()))
}
