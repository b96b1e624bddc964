//! The database, waited for: DNS, TCP, and for PostgreSQL its first handshake.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::Context;
use super::phase::Stop;
use crate::config::{Config, DatabaseUrl, Endpoint};
use crate::retry::{self, Verdict};
use crate::status::{self, Code, DatabaseState, Fault, PhaseName, PhaseState};

/// SSLRequest: length 8 and the code 80877103 (PostgreSQL protocol, section
/// "Message Formats"). Every server answers it with one byte, before any authentication.
const SSL_REQUEST: [u8; 8] = [0, 0, 0, 8, 0x04, 0xd2, 0x16, 0x2f];

/// A database that answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DatabaseReachable {
    /// The endpoint that did.
    pub endpoint: Endpoint,
}

impl Context<'_> {
    /// Waits for the database, if there is one.
    ///
    /// # Errors
    /// See [`wait`].
    pub(super) async fn database(&self, config: &Config) -> Result<Option<DatabaseReachable>, Stop> {
        let Some(url) = &self.desired.database else {
            self.progress.skip(PhaseName::Database, PhaseState::Skipped);
            return Ok(None);
        };
        let told = |state| {
            let database = status::Database { endpoint: url.endpoints_text(), state };
            self.agent.reporter.update(|document| document.database = Some(database));
        };
        told(DatabaseState::Waiting);
        let policy = &self.agent.policy;
        let wait = wait(url, policy.database(config), policy.connect, |attempt| {
            self.progress.attempt(PhaseName::Database, attempt, u32::MAX);
        });
        let reached = self.progress.phase(PhaseName::Database, wait).await;
        told(if reached.is_ok() { DatabaseState::Reachable } else { DatabaseState::Unreachable });
        reached.map(Some)
    }
}

/// Waits until one endpoint of the database answers.
///
/// # Errors
/// The last try's fault: unknown name, refused or timed out.
pub async fn wait(
    url: &DatabaseUrl,
    policy: retry::Policy,
    connect: Duration,
    mut on_try: impl FnMut(u32),
) -> Result<DatabaseReachable, Fault> {
    let tried = retry::run(policy, async |attempt| {
        on_try(attempt);
        reach(url.endpoints(), url.is_postgres(), connect).await.map_err(Verdict::Again)
    });
    match tried.await {
        Ok((reachable, _)) => Ok(reachable),
        Err(gave_up) => Err(gave_up.error.after(gave_up.attempts)),
    }
}

/// Tries every endpoint once, in order, as libpq does.
///
/// # Errors
/// The last endpoint's fault.
pub async fn reach(
    endpoints: &[Endpoint],
    postgres: bool,
    connect: Duration,
) -> Result<DatabaseReachable, Fault> {
    let mut last = Fault::new(Code::DatabaseUrlInvalid, "the database URL names no host");
    for endpoint in endpoints {
        match timeout(connect, probe(endpoint, postgres)).await {
            Ok(Ok(())) => return Ok(DatabaseReachable { endpoint: endpoint.clone() }),
            Ok(Err(fault)) => last = fault,
            Err(_) => {
                let seconds = connect.as_secs_f32();
                last = Fault::new(
                    Code::DatabaseTimeout,
                    format!("{endpoint} did not answer within {seconds} s"),
                );
            }
        }
    }
    Err(last)
}

async fn probe(endpoint: &Endpoint, postgres: bool) -> Result<(), Fault> {
    let name = (endpoint.host.as_str(), endpoint.port);
    // Asked anew at each try: an address changes when a database fails over.
    let addresses: Vec<SocketAddr> = tokio::net::lookup_host(name)
        .await
        .map_err(|error| {
            Fault::new(Code::DatabaseDns, format!("the name {} is not known: {error}", endpoint.host))
        })?
        .collect();
    let mut stream = TcpStream::connect(addresses.as_slice()).await.map_err(|error| {
        let code = match error.kind() {
            io::ErrorKind::ConnectionRefused => Code::DatabaseRefused,
            _ => Code::DatabaseTimeout,
        };
        Fault::new(code, format!("{endpoint}: {error}"))
    })?;
    if postgres {
        let answer = async {
            stream.write_all(&SSL_REQUEST).await?;
            stream.read_u8().await
        };
        match answer.await {
            Ok(b'S' | b'N') => {}
            // 'E': the server is there and cannot take the connection.
            Ok(b'E') => {
                let message = format!("{endpoint} answers with an error before authentication");
                return Err(Fault::new(Code::DatabaseTooManyConnections, message));
            }
            Ok(_) => {
                let message = format!("{endpoint} accepts connections but does not speak PostgreSQL");
                return Err(Fault::new(Code::DatabaseRefused, message));
            }
            Err(error) => {
                let message = format!("{endpoint} accepts connections and drops them: {error}");
                return Err(Fault::new(Code::DatabaseRefused, message));
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::net::TcpListener;

    const CONNECT: Duration = Duration::from_secs(2);

    fn block_on<F: Future>(future: F) -> F::Output {
        tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(future)
    }

    async fn reach(url: &DatabaseUrl, connect: Duration) -> Result<DatabaseReachable, Fault> {
        super::reach(url.endpoints(), url.is_postgres(), connect).await
    }

    async fn listener() -> (TcpListener, DatabaseUrl) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let url = DatabaseUrl::parse(&format!("postgresql://app@127.0.0.1:{port}/app")).unwrap();
        (listener, url)
    }

    #[test]
    fn a_server_that_answers_the_ssl_request_is_reachable() {
        block_on(async {
            let (listener, url) = listener().await;
            let server = async {
                let (mut stream, _) = listener.accept().await.unwrap();
                let mut request = [0; 8];
                stream.read_exact(&mut request).await.unwrap();
                assert_eq!(request, SSL_REQUEST);
                stream.write_all(b"N").await.unwrap();
            };
            let (reached, ()) = tokio::join!(reach(&url, CONNECT), server);
            assert!(reached.is_ok());
        });
    }

    #[test]
    fn refused_silent_foreign_and_unknown_are_told_apart() {
        block_on(async {
            let (silent, url) = listener().await;
            let short = Duration::from_millis(50);
            assert_eq!(reach(&url, short).await.unwrap_err().code, Code::DatabaseTimeout);
            let foreign = async {
                // The silent probe's connection came first.
                drop(silent.accept().await.unwrap());
                let (mut stream, _) = silent.accept().await.unwrap();
                stream.write_all(b"HTTP/1.1 400\r\n").await.unwrap();
            };
            let (reached, ()) = tokio::join!(reach(&url, CONNECT), foreign);
            assert!(reached.unwrap_err().message.contains("does not speak PostgreSQL"));
            drop(silent);
            assert_eq!(reach(&url, CONNECT).await.unwrap_err().code, Code::DatabaseRefused);
            let unknown = DatabaseUrl::parse("postgresql://app@no-such-host.invalid/app").unwrap();
            let patient = Duration::from_secs(30);
            assert_eq!(reach(&unknown, patient).await.unwrap_err().code, Code::DatabaseDns);
        });
    }
}
