//! `database`: how the application reaches it.

use super::value::ValueRef;

/// The application's database.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Database {
    /// Its URL, or the parts of one.
    pub connection: Connection,
    /// The variable the application reads the URL from.
    pub env: String,
}

/// How the database URL is given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Connection {
    /// One SQLAlchemy URL.
    Url(ValueRef),
    /// Parts; user, password and name are percent-encoded by the agent.
    Parts {
        /// URL scheme, `postgresql` by default.
        scheme: String,
        /// Host name or address.
        host: ValueRef,
        /// Port; 5432 by default.
        port: u16,
        /// Database name.
        name: ValueRef,
        /// Role.
        user: ValueRef,
        /// Password, not yet encoded.
        password: ValueRef,
    },
}
