//! The database, asked whether it is there: DNS, TCP, and for PostgreSQL its first handshake and a
//! login.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout};

use super::login::{Login, Server, log_in};
use crate::config::{DatabaseUrl, Endpoint};
use crate::retry::{self, Verdict};
use crate::status::{Code, Fault};

/// SSLRequest: length 8 and the code 80877103 (PostgreSQL protocol, section
/// "Message Formats"). Every server answers it with one byte, before any authentication.
const SSL_REQUEST: [u8; 8] = [0, 0, 0, 8, 0x04, 0xd2, 0x16, 0x2f];

/// Limit of one name lookup: what the resolver needs for two servers that are
/// silent for 5 s (resolv.conf(5), `timeout`).
const LOOKUP: Duration = Duration::from_secs(10);

/// The name that the server shows for the agent's own sessions.
const APPLICATION: &str = "preview-agent";

/// Waits until one endpoint of the database answers and, where it is PostgreSQL, lets the application's
/// role in: between two tries for up to the policy's first wait, and for longer only once much has been
/// waited, never longer than its last.
///
/// # Errors
/// The last try's fault, at once where waiting does not mend it.
pub async fn wait(
    url: &DatabaseUrl,
    policy: retry::Policy,
    connect: Duration,
    mut on_try: impl FnMut(u32),
) -> Result<Login, Fault> {
    let (begun, bounds) = (Instant::now(), (Duration::ZERO, policy.max));
    let pace = retry::Policy { max: policy.first, ..policy };
    let tried = retry::run(pace, async |attempt| {
        on_try(attempt);
        ask(url, connect).await.map_err(|fault| {
            if fault.code.retryable() {
                Verdict::After(fault, retry::interval(begun.elapsed(), bounds))
            } else {
                Verdict::Final(fault)
            }
        })
    });
    match tried.await {
        Ok((login, _)) => Ok(login),
        Err(gave_up) => Err(gave_up.error.after(gave_up.attempts)),
    }
}

/// Asks every endpoint once, in order, until one lets the application's role in or refuses it for good.
///
/// # Errors
/// The last endpoint's fault.
pub async fn ask(url: &DatabaseUrl, connect: Duration) -> Result<Login, Fault> {
    ask_as(url, connect, APPLICATION).await
}

/// The same, under this name for the server's lists.
///
/// # Errors
/// The last endpoint's fault.
pub async fn ask_as(url: &DatabaseUrl, connect: Duration, application: &str) -> Result<Login, Fault> {
    let postgres = url.is_postgres();
    each(url.endpoints(), postgres, connect, async |server| {
        if postgres { log_in(url, &server, application).await } else { Ok(Login::Foreign) }
    })
    .await
}

/// Tries every endpoint once, in order, as libpq does, with `connect` for each address; the one that answers.
///
/// # Errors
/// The last endpoint's fault.
pub async fn reach(endpoints: &[Endpoint], postgres: bool, connect: Duration) -> Result<Endpoint, Fault> {
    each(endpoints, postgres, connect, async |server| Ok(server.endpoint)).await
}

/// What the first server says that takes connections and does not leave it to the next.
async fn each<T>(
    endpoints: &[Endpoint],
    postgres: bool,
    connect: Duration,
    then: impl AsyncFn(Server) -> Result<T, Fault>,
) -> Result<T, Fault> {
    let mut last = Fault::new(Code::DatabaseUrlInvalid, "the database URL names no host");
    for endpoint in endpoints {
        // Asked anew at each try: an address changes when a database fails over.
        match addresses(endpoint).await {
            Err(fault) => last = fault,
            Ok(addresses) => {
                for address in addresses {
                    match greeted(endpoint, address, postgres, connect).await {
                        Err(fault) => last = fault,
                        Ok(has_tls) => {
                            match then(Server { endpoint: endpoint.clone(), address, has_tls }).await {
                                // What may pass here may be better elsewhere by now.
                                Err(fault) if fault.code.retryable() => last = fault,
                                end => return end,
                            }
                        }
                    }
                }
            }
        }
    }
    Err(last)
}

async fn greeted(
    endpoint: &Endpoint,
    address: SocketAddr,
    postgres: bool,
    connect: Duration,
) -> Result<bool, Fault> {
    timeout(connect, greet(endpoint, address, postgres)).await.unwrap_or_else(|_| {
        let seconds = connect.as_secs_f32();
        let message = format!("{endpoint} did not answer within {seconds} s");
        Err(Fault::new(Code::DatabaseTimeout, message))
    })
}

async fn addresses(endpoint: &Endpoint) -> Result<Vec<SocketAddr>, Fault> {
    let unknown = |words: &str| {
        Fault::new(Code::DatabaseDns, format!("the name {} is not known: {words}", endpoint.host))
    };
    let lookup = tokio::net::lookup_host((endpoint.host.as_str(), endpoint.port));
    match timeout(LOOKUP, lookup).await {
        Ok(Ok(addresses)) => Ok(addresses.collect()),
        Ok(Err(error)) => Err(unknown(&error.to_string())),
        Err(_) => Err(unknown(&format!("no answer within {} s", LOOKUP.as_secs()))),
    }
}

/// Whether the server has TLS.
async fn greet(endpoint: &Endpoint, address: SocketAddr, postgres: bool) -> Result<bool, Fault> {
    let mut stream = TcpStream::connect(address).await.map_err(|error| {
        let code = match error.kind() {
            io::ErrorKind::ConnectionRefused => Code::DatabaseRefused,
            _ => Code::DatabaseTimeout,
        };
        Fault::new(code, format!("{endpoint}: {error}"))
    })?;
    if !postgres {
        return Ok(false);
    }
    let answer = async {
        stream.write_all(&SSL_REQUEST).await?;
        let mut answer = [0; 2];
        Ok((stream.read(&mut answer).await?, answer[0]))
    };
    let refused = |words: &str| Fault::new(Code::DatabaseRefused, format!("{endpoint} {words}"));
    let answer: io::Result<(usize, u8)> = answer.await;
    match answer {
        Ok((0, _)) => Err(refused("accepts connections and drops them")),
        // One byte and no more: a server of another kind may begin its greeting with the same.
        Ok((1, answer @ (b'S' | b'N'))) => Ok(answer == b'S'),
        // 'E': the server is there and cannot take the connection.
        Ok((_, b'E')) => {
            let message = format!("{endpoint} answers with an error before authentication");
            Err(Fault::new(Code::DatabaseTooManyConnections, message))
        }
        Ok(_) => Err(refused("accepts connections but does not speak PostgreSQL")),
        Err(error) => Err(refused(&format!("accepts connections and drops them: {error}"))),
    }
}
