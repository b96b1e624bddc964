//! A login with the application's own URL.

use std::net::SocketAddr;
use std::time::Duration;

use secrecy::ExposeSecret as _;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_postgres::config::SslMode;
use tokio_postgres::{Config, tls::MakeTlsConnect};

use super::error::Error;
use super::session::Session;
use super::tls;
use crate::config::{DatabaseUrl, TlsMode};

/// A server that speaks PostgreSQL.
#[derive(Debug, Clone)]
pub struct Server<'a> {
    /// Its host, as the URL has it.
    pub host: &'a str,
    /// Where that was found.
    pub address: SocketAddr,
    /// Whether it takes TLS.
    pub has_tls: bool,
}

/// Logs in as the application would, under this name, with `limit` for each attempt.
///
/// # Errors
/// What the server refuses, or why the agent cannot ask as the application may.
pub async fn log_in(
    url: &DatabaseUrl,
    server: &Server<'_>,
    application: &str,
    limit: Duration,
) -> Result<Session, Error> {
    let config = config(url, application)?;
    let attempt = async |mode| {
        let attempt = attempt(config.clone(), mode, server);
        timeout(limit, attempt).await.unwrap_or(Err(Error::Silent(limit)))
    };
    let session = match (url.tls_mode(), server.has_tls) {
        (TlsMode::Other(name), _) => {
            let why = format!("its TLS mode {name} needs certificates, which are the application's");
            return Err(Error::NotAsked(why));
        }
        (TlsMode::Required(name), false) => return Err(Error::TlsNotOffered(name.to_owned())),
        (TlsMode::Required(_), true) => attempt(SslMode::Require).await?,
        (TlsMode::Off | TlsMode::Preferred, false) => attempt(SslMode::Disable).await?,
        // As libpq does: what refuses one way may take the other.
        (TlsMode::Preferred, true) => match attempt(SslMode::Require).await {
            Err(Error::HostRefused(_) | Error::NotAsked(_)) => attempt(SslMode::Disable).await?,
            session => session?,
        },
        (TlsMode::Off, true) => match attempt(SslMode::Disable).await {
            Err(refused @ Error::HostRefused(_)) => match attempt(SslMode::Require).await {
                Err(Error::HostRefused(_) | Error::NotAsked(_) | Error::Dropped(_) | Error::Silent(_)) => {
                    return Err(refused);
                }
                Ok(_) | Err(_) => return Err(Error::TlsRequired),
            },
            session => session?,
        },
    };
    if url.wants_writes() && session.identity().await?.takes_no_writes {
        return Err(Error::ReadOnly);
    }
    Ok(session)
}

fn config(url: &DatabaseUrl, application: &str) -> Result<Config, Error> {
    let (Some(user), Some(password)) = (url.user(), url.password()) else {
        return Err(Error::NotAsked("the database URL has no user and password".to_owned()));
    };
    let mut config = Config::new();
    config.user(user).password(password.expose_secret()).application_name(application);
    if let Some(name) = url.name() {
        config.dbname(name);
    }
    if let Some(options) = url.options() {
        config.options(options);
    }
    Ok(config)
}

async fn attempt(mut config: Config, mode: SslMode, server: &Server<'_>) -> Result<Session, Error> {
    config.ssl_mode(mode);
    let stream = TcpStream::connect(server.address).await;
    let stream = stream.map_err(|error| Error::Dropped(error.to_string()))?;
    let unusable = |error: &dyn std::error::Error| Error::NotAsked(format!("TLS: {error}"));
    let mut tls = tls::connector().map_err(|error| unusable(&error))?;
    let tls = MakeTlsConnect::<TcpStream>::make_tls_connect(&mut tls, server.host)
        .map_err(|error| unusable(&error))?;
    let (client, connection) = config.connect_raw(stream, tls).await?;
    Ok(Session::new(client, connection))
}
