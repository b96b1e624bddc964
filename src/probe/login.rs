//! Whether PostgreSQL lets the application's role in, and what that means for a deployment.

use std::net::SocketAddr;
use std::time::Duration;

use crate::config::{DatabaseUrl, Endpoint};
use crate::postgres::{self, Error, Identity, Session};
use crate::status::{Code, Fault};

/// Limit of one login: above what a server needs that computes a password's hash on a busy processor.
const LOGIN: Duration = Duration::from_secs(10);

/// A server that takes connections.
#[derive(Debug)]
pub(super) struct Server {
    pub(super) endpoint: Endpoint,
    pub(super) address: SocketAddr,
    pub(super) has_tls: bool,
}

/// How a database took the login.
#[derive(Debug)]
pub enum Login {
    /// The role is in.
    In(Session, Identity),
    /// It refuses this host, which may be meant for the host and not for its containers.
    HostRefused(Fault),
    /// The agent could not ask as the application may, for this reason.
    NotAsked(String),
    /// It is not PostgreSQL.
    Foreign,
}

/// Logs in as the application would.
///
/// # Errors
/// The server lets nobody in, or not this role.
pub(super) async fn log_in(url: &DatabaseUrl, server: &Server, application: &str) -> Result<Login, Fault> {
    let endpoint = &server.endpoint;
    let postgres =
        postgres::Server { host: &endpoint.host, address: server.address, has_tls: server.has_tls };
    let answer = async {
        let session = postgres::log_in(url, &postgres, application, LOGIN).await?;
        let identity = session.identity().await?;
        Ok((session, identity))
    };
    let fault = |code, words: String| Fault::new(code, format!("{endpoint}: {words}"));
    let (code, error) = match answer.await {
        Ok((session, identity)) => return Ok(Login::In(session, identity)),
        Err(Error::NotAsked(why)) => return Ok(Login::NotAsked(why)),
        Err(Error::HostRefused(words)) => {
            return Ok(Login::HostRefused(fault(Code::DatabaseAuth, words)));
        }
        Err(error) => (code(&error), error),
    };
    Err(fault(code, error.to_string()))
}

fn code(error: &Error) -> Code {
    match error {
        Error::NotReady(_) => Code::DatabaseNotReady,
        Error::TooManyConnections(_) => Code::DatabaseTooManyConnections,
        Error::NoDatabase(_) => Code::DatabaseMissing,
        Error::TlsRequired | Error::TlsNotOffered(_) => Code::DatabaseTls,
        Error::ReadOnly => Code::DatabaseReadOnly,
        Error::Silent(_) => Code::DatabaseTimeout,
        Error::Dropped(_) => Code::DatabaseRefused,
        Error::Denied(_) | Error::HostRefused(_) | Error::NotAsked(_) => Code::DatabaseAuth,
    }
}
