//! Waiting for the database: every way in which it is not there is told apart.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use std::time::{Duration, Instant};

use preview_agent::config::{DatabaseUrl, Endpoint};
use preview_agent::probe::database::{reach, wait};
use preview_agent::retry::Policy;
use preview_agent::status::{Code, Fault};
use support::peers::peers;
use support::postgres::Postgres;
use support::wait::block_on;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

/// Far above what an answer from this machine takes.
const CONNECT: Duration = Duration::from_secs(20);
/// For servers that never answer.
const SHORT: Duration = Duration::from_millis(100);

async fn try_once(url: &str, connect: Duration) -> Result<Endpoint, Fault> {
    let url = DatabaseUrl::parse(url).unwrap();
    reach(url.endpoints(), url.is_postgres(), connect).await
}

fn code(url: &str, connect: Duration) -> Code {
    block_on(try_once(url, connect)).unwrap_err().code
}

/// A port on which nobody listens.
fn closed_port() -> u16 {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// A listener whose backlog takes connections that nobody serves.
fn silent() -> (std::net::TcpListener, u16) {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    (listener, port)
}

/// Answers every SSLRequest with these bytes.
async fn serve(listener: TcpListener, answer: &'static [u8]) {
    loop {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut request = [0; 8];
        stream.read_exact(&mut request).await.unwrap();
        // Length 8, code 80877103.
        assert_eq!(request, [0, 0, 0, 8, 4, 210, 22, 47]);
        stream.write_all(answer).await.unwrap();
    }
}

/// One try against a server that answers so.
fn answered(answer: &'static [u8]) -> Result<Endpoint, Fault> {
    block_on(async {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("postgresql://app@{}/app", listener.local_addr().unwrap());
        tokio::select! {
            tried = try_once(&url, CONNECT) => tried,
            () = serve(listener, answer) => unreachable!(),
        }
    })
}

#[test]
fn refused_is_told_at_once() {
    let begun = Instant::now();
    let url = format!("postgresql://app@127.0.0.1:{}/app", closed_port());
    assert_eq!(code(&url, CONNECT), Code::DatabaseRefused);
    assert!(begun.elapsed() < Duration::from_secs(5));
}

#[test]
fn a_server_that_accepts_and_says_nothing_times_out() {
    let (_listener, port) = silent();
    assert_eq!(code(&format!("postgresql://app@127.0.0.1:{port}/app"), SHORT), Code::DatabaseTimeout);
}

#[test]
fn a_name_that_nobody_knows_is_told_with_the_name() {
    let fault = block_on(try_once("postgresql://app@no-such-host.invalid/app", SHORT)).unwrap_err();
    assert_eq!(fault.code, Code::DatabaseDns);
    assert!(fault.message.contains("no-such-host.invalid"), "{}", fault.message);
}

#[test]
fn only_a_postgresql_server_will_do_for_a_postgresql_url() {
    for answer in [&b"N"[..], b"S"] {
        assert!(answered(answer).is_ok());
    }
    let foreign = answered(b"HTTP/1.1 400 Bad Request\r\n\r\n").unwrap_err();
    assert!(foreign.message.contains("does not speak PostgreSQL"), "{}", foreign.message);
    let dropped = answered(b"").unwrap_err();
    assert_eq!(dropped.code, Code::DatabaseRefused);
    assert!(dropped.message.contains("drops them"), "{}", dropped.message);
    assert_eq!(answered(b"E").unwrap_err().code, Code::DatabaseTooManyConnections);
}

#[test]
fn of_another_database_only_the_port_is_asked() {
    let (_listener, port) = silent();
    for scheme in ["mysql+pymysql", "mariadb"] {
        let reached = block_on(try_once(&format!("{scheme}://app:secret@127.0.0.1:{port}/app"), CONNECT));
        assert_eq!(reached.unwrap().port, port);
    }
}

#[test]
fn of_several_hosts_one_that_answers_is_enough() {
    let (_listener, quiet) = silent();
    let refusing = closed_port();
    let good = format!("{}:{}", peers().postgres_host, peers().postgres_port);
    for bad in
        [format!("127.0.0.1:{refusing}"), format!("127.0.0.1:{quiet}"), "no-such-host.invalid:5432".into()]
    {
        let url = format!("postgresql://app@{bad},{good}/app");
        let reached = block_on(try_once(&url, Duration::from_secs(1))).unwrap();
        assert_eq!(reached.port, peers().postgres_port, "{bad}");
    }
}

#[test]
fn an_ipv6_address_is_reached() {
    block_on(async {
        let listener = TcpListener::bind("[::1]:0").await.unwrap();
        let url = format!("postgresql://app@{}/app", listener.local_addr().unwrap());
        assert!(url.contains("[::1]"));
        tokio::select! {
            tried = try_once(&url, CONNECT) => assert_eq!(tried.unwrap().host, "::1"),
            () = serve(listener, b"N") => unreachable!(),
        }
    });
}

#[test]
fn every_address_of_a_name_is_tried() {
    // `localhost` is both; only one of them is served.
    block_on(async {
        for bind in ["127.0.0.1:0", "[::1]:0"] {
            let listener = TcpListener::bind(bind).await.unwrap();
            let url = format!("postgresql://app@localhost:{}/app", listener.local_addr().unwrap().port());
            let names: Vec<_> = tokio::net::lookup_host(("localhost", 1)).await.unwrap().collect();
            if !names.iter().any(|name| name.ip() == listener.local_addr().unwrap().ip()) {
                continue;
            }
            tokio::select! {
                tried = try_once(&url, CONNECT) => assert!(tried.is_ok(), "{bind}"),
                () = serve(listener, b"N") => unreachable!(),
            }
        }
    });
}

fn patient(tries: u32) -> Policy {
    Policy {
        tries,
        first: Duration::from_millis(1),
        max: Duration::from_millis(20),
        total: Duration::from_secs(60),
    }
}

#[test]
fn a_database_that_comes_up_late_is_waited_for() {
    let port = closed_port();
    let url = DatabaseUrl::parse(&format!("postgresql://app@127.0.0.1:{port}/app")).unwrap();
    let mut tries = 0;
    block_on(async {
        let (up, mut is_up) = tokio::sync::mpsc::unbounded_channel();
        let server = async {
            is_up.recv().await.unwrap();
            serve(TcpListener::bind(("127.0.0.1", port)).await.unwrap(), b"N").await;
        };
        tokio::select! {
            reached = wait(&url, patient(u32::MAX), CONNECT, |attempt| {
                tries = attempt;
                if attempt == 3 {
                    up.send(()).unwrap();
                }
            }) => assert!(reached.is_ok()),
            () = server => unreachable!(),
        }
    });
    assert!(tries >= 3, "{tries}");
}

#[test]
fn patience_ends_with_the_last_fault_and_its_count() {
    let url = format!("postgresql://app@127.0.0.1:{}/app", closed_port());
    let url = DatabaseUrl::parse(&url).unwrap();
    let fault = block_on(wait(&url, patient(4), CONNECT, |_| {})).unwrap_err();
    assert_eq!((fault.code, fault.attempts), (Code::DatabaseRefused, 4));
}

#[test]
fn the_real_server_is_reached_without_logging_in() {
    let url =
        format!("postgresql+psycopg://nobody:wrong@{}:{}/none", peers().postgres_host, peers().postgres_port);
    assert!(block_on(try_once(&url, CONNECT)).is_ok());
}

#[test]
fn a_server_without_a_free_connection_is_there_all_the_same() {
    let postgres = Postgres::with_options(
        "-c max_connections=1 -c superuser_reserved_connections=0 -c max_wal_senders=0",
    );
    let _holder = postgres.session("SELECT pg_sleep(600)");
    let refused = postgres.psql(&["SELECT 1"]).output().unwrap();
    let url = format!("postgresql://app@{}:{}/app", peers().postgres_host, postgres.port);
    let reached = block_on(try_once(&url, CONNECT));
    assert!(String::from_utf8_lossy(&refused.stderr).contains("too many clients"));
    assert!(reached.is_ok(), "{reached:?}");
}
