//! The database is asked with the application's own login before anything is spent on it.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use support::agent::{Ran, has};
use support::peers::{Peers, peers};
use support::pooler::Pooler;
use support::postgres::Postgres;
use support::world::World;

/// A deployment on a database at this port, with a URL that ends so.
fn at(world: &World, port: u16, user: &str, query: &str, more: &str) -> String {
    let host = &peers().postgres_host;
    let database = format!(
        "database: {{ url: \"postgresql+psycopg://{user}:a-password-of-some-length@{host}:{port}/postgres{query}\" }}\n"
    );
    world.light("good", "", &format!("{database}{more}"))
}

/// It failed before any container was made, in the first and only look at the database that counts.
#[track_caller]
fn refused(world: &World, ran: &Ran, code: &str, words: &str) {
    let fault = ran.failed_with(code);
    has(&fault["message"], words);
    assert_eq!(fault["phase"], "database", "{fault}");
    assert!(world.containers("migrate").is_empty(), "no try is spent");
}

#[track_caller]
fn notes(ran: &Ran, words: &str) {
    let notes = ran.status["notes"].as_array().cloned().unwrap_or_default();
    assert!(notes.iter().any(|note| note.as_str().unwrap().contains(words)), "no {words}: {}", ran.status);
}

const SOON: &str = "deadlines: { database: 3s }\n";

#[test]
fn what_keeps_the_role_out_for_good_is_named_at_once_and_no_try_is_spent() {
    let Peers { postgres_port, postgres_user, .. } = peers();
    let world = World::new();
    // Driver and version of the client make no difference.
    for driver in ["psycopg", "asyncpg", "psycopg2"] {
        let config =
            at(&world, *postgres_port, postgres_user, "", "").replace("+psycopg:", &format!("+{driver}:"));
        refused(&world, &world.run_once(&config), "database_auth", "password authentication failed");
    }
    let missing =
        world.config("good", &world.database_block().replace(&world.database.name, "no_such_database"));
    refused(&world, &world.run_once(&missing), "database_missing", "no_such_database");
    let trusting = Postgres::start();
    refused(
        &world,
        &world.run_once(&at(&world, trusting.port, "nobody_here", "", "")),
        "database_auth",
        "nobody_here",
    );
    let required = at(&world, trusting.port, "postgres", "?sslmode=require", "");
    refused(&world, &world.run_once(&required), "database_tls", "sslmode=require");
    let no_login = "CREATE ROLE no_login NOLOGIN";
    assert!(trusting.psql(&[no_login]).status().unwrap().success());
    refused(
        &world,
        &world.run_once(&at(&world, trusting.port, "no_login", "", "")),
        "database_auth",
        "no_login",
    );
}

#[test]
fn a_password_that_is_an_ordinary_word_does_not_hide_what_is_wrong() {
    let world = World::new();
    let right = "password: { ssm: /test/database-password }";
    let database = world.database_block().replace(right, "password: password");
    let ran = world.run_once(&world.config("good", &database));
    assert_eq!(ran.failed_with("database_auth")["phase"], "database");
}

#[test]
fn a_server_that_wants_tls_is_told_from_one_that_rejects_this_host() {
    let world = World::new();
    let secure = Postgres::with_tls("hostssl all all all trust\n");
    world.run_once(&at(&world, secure.port, "postgres", "", "")).is_ready();
    world.run_once(&at(&world, secure.port, "postgres", "?sslmode=require", "")).is_ready();
    let off = at(&world, secure.port, "postgres", "?sslmode=disable", "");
    refused(&world, &world.run_once(&off), "database_tls", "wants TLS");
    // Rules for this very host, which its containers do not share, are only noted.
    let picky = Postgres::with_rules("host all all samehost reject\nhost all all all trust\n");
    let ran = world.run_once(&at(&world, picky.port, "postgres", "", "")).ready();
    notes(&ran, "refuses this host, and perhaps not its containers");
}

#[test]
fn what_only_the_agent_cannot_do_blocks_nobody() {
    let world = World::new();
    let trusting = Postgres::start();
    let verified =
        at(&world, trusting.port, "postgres", "?sslmode=verify-full&sslrootcert=/certs/ca.pem", "");
    notes(&world.run_once(&verified).ready(), "the database was not asked");
    for query in ["?connect_timeout=5&channel_binding=prefer", "?ssl=prefer&prepared_statement_cache_size=0"]
    {
        world.run_once(&at(&world, trusting.port, "postgres", query, "")).is_ready();
    }
}

/// Refuses so many logins with this SQLSTATE, then hands everything to the real server.
fn refusing(times: usize, code: &'static str, words: &'static str) -> (u16, Arc<AtomicUsize>) {
    let Peers { postgres_host, postgres_port, .. } = peers();
    let listener = TcpListener::bind((postgres_host.as_str(), 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    let logins = Arc::new(AtomicUsize::new(0));
    let seen = logins.clone();
    std::thread::spawn(move || {
        for client in listener.incoming() {
            let (Ok(client), seen) = (client, seen.clone()) else { return };
            std::thread::spawn(move || {
                serve(client, (times, code, words), &seen, (postgres_host, *postgres_port))
            });
        }
    });
    (port, logins)
}

fn serve(
    mut client: TcpStream,
    (times, code, words): (usize, &str, &str),
    logins: &AtomicUsize,
    real: (&String, u16),
) -> Option<()> {
    let mut first = [0; 8];
    client.read_exact(&mut first).ok()?;
    // SSLRequest: no TLS here; what comes next is the login, or nothing.
    if first[4..] == [4, 210, 22, 47] {
        client.write_all(b"N").ok()?;
        client.read_exact(&mut first).ok()?;
    }
    if logins.fetch_add(1, Ordering::SeqCst) < times {
        let fields = format!("SFATAL\0VFATAL\0C{code}\0M{words}\0\0");
        let length = u32::try_from(fields.len() + 4).unwrap();
        let mut rest =
            vec![0; usize::try_from(u32::from_be_bytes(first[..4].try_into().unwrap())).unwrap() - 8];
        client.read_exact(&mut rest).ok()?;
        client.write_all(&[b"E".as_slice(), &length.to_be_bytes(), fields.as_bytes()].concat()).ok()?;
        return client.shutdown(Shutdown::Write).ok();
    }
    let mut server = TcpStream::connect((real.0.as_str(), real.1)).ok()?;
    server.write_all(&first).ok()?;
    let (mut from, mut to) = (server.try_clone().ok()?, client.try_clone().ok()?);
    let back =
        std::thread::spawn(move || std::io::copy(&mut from, &mut to).map(|_| to.shutdown(Shutdown::Both)));
    std::io::copy(&mut client, &mut server).ok();
    server.shutdown(Shutdown::Both).ok();
    back.join().ok().map(drop)
}

#[test]
fn a_server_that_starts_or_is_full_is_waited_for_and_costs_no_try() {
    for (code, words) in [
        ("57P03", "the database system is starting up"),
        ("57P03", "das Datenbanksystem startet"),
        ("53300", "too many connections for role \"app\""),
        ("53300", "sorry, too many clients already"),
        ("57P01", "terminating connection due to administrator command"),
        ("53200", "out of memory"),
        ("55000", "database \"app\" is not currently accepting connections"),
    ] {
        let world = World::new();
        let (port, logins) = refusing(6, code, words);
        let direct = format!("port: {}", peers().postgres_port);
        let database = world.database_block().replace(&direct, &format!("port: {port}"));
        let ran = world.run_once(&world.light("good", "", &database)).ready();
        assert!(logins.load(Ordering::SeqCst) > 6);
        assert_eq!(
            (ran.status["migration"].get("attempts"), world.times_run("migrate")),
            (None, 1),
            "{words}"
        );
    }
}

#[test]
fn patience_with_a_server_ends_at_the_databases_deadline_with_what_it_says() {
    for (code, words, fault) in [
        ("57P03", "the database system is starting up", "database_not_ready"),
        ("57P03", "the database system is in recovery mode", "database_not_ready"),
        ("53300", "remaining connection slots are reserved", "database_too_many_connections"),
    ] {
        let world = World::new();
        let (port, _) = refusing(usize::MAX, code, words);
        let direct = format!("port: {}", peers().postgres_port);
        let database = world.database_block().replace(&direct, &format!("port: {port}"));
        refused(
            &world,
            &world.run_once(&world.light("good", "", &format!("{database}{SOON}"))),
            fault,
            words,
        );
    }
}

#[test]
fn a_role_without_a_connection_left_is_waited_for() {
    let world = World::new();
    let server = Postgres::start();
    assert!(server.psql(&["CREATE ROLE one LOGIN CONNECTION LIMIT 0"]).status().unwrap().success());
    let ran = world.run_once(&at(&world, server.port, "one", "", SOON));
    refused(&world, &ran, "database_too_many_connections", "too many connections for role");
}

#[test]
fn a_server_that_takes_no_writes_is_named_and_tried_once() {
    let world = World::new();
    let server = Postgres::with_options("-c default_transaction_read_only=on");
    let writes =
        "import os, psycopg; psycopg.connect(os.environ['DATABASE_URL']).execute('CREATE TABLE t (i int)')";
    let migrate = format!("migrate: {{ command: [python, -c, {writes:?}] }}\n");
    let ran = world.run_once(&at(&world, server.port, "postgres", "", &migrate));
    let fault = ran.failed_with("database_read_only");
    assert_eq!((&fault["phase"], world.times_run("migrate")), (&"migrate".into(), 1));
    // Where nothing is to be written, it may serve.
    world.run_once(&at(&world, server.port, "postgres", "", "")).is_ready();
    let primary = at(&world, server.port, "postgres", "?target_session_attrs=read-write", SOON);
    refused(&world, &world.run_once(&primary), "database_read_only", "takes no writes");
}

#[test]
fn what_the_jobs_are_to_make_is_no_fault_before_them() {
    let Peers { postgres_host, postgres_port, postgres_user, .. } = peers();
    let world = World::new();
    let name = format!("made_{:08x}", fastrand::u32(..));
    let database = world.database_block().replace(&world.database.name, &name);
    let create = format!(
        "import os, psycopg; c = psycopg.connect(host='{postgres_host}', port={postgres_port}, \
         user='{postgres_user}', password=os.environ['PGPASSWORD'], dbname='postgres', autocommit=True); \
         c.execute('CREATE DATABASE {name}')"
    );
    let job = |command: &str| format!("jobs: [{{ name: create, command: [python, -c, {command:?}] }}]\n");
    let idle = world.light("good", "", &format!("{database}{}", job("pass")));
    assert_eq!(world.run_once(&idle).failed_with("database_missing")["phase"], "jobs");
    let made = world.light("good", "", &format!("{database}{}", job(&create)));
    let ran = world.run_once(&made).ready();
    assert_eq!(world.times_run("migrate"), 1, "{}", ran.status);
    assert_eq!(world.run_once(&made).ready().phase("jobs"), "kept");
    // Gone, it takes with it what was done there; made anew, it has its records again.
    world.sql(&format!("DROP DATABASE {name} WITH (FORCE)"));
    let ran = world.run_once(&made).ready();
    assert_eq!((ran.phase("jobs"), ran.phase("migrate")), ("done", "done"));
    assert_eq!(world.run_once(&made).ready().phase("jobs"), "kept");
    world.sql(&format!("DROP DATABASE {name} WITH (FORCE)"));
}

#[test]
fn a_finished_job_is_no_excuse_for_a_wrong_password() {
    let world = World::new();
    let jobs = "jobs: [{ name: once, command: [\"true\"] }]\n";
    world.run_once(&world.light("good", "", jobs)).is_ready();
    let serving = world.running("app");
    let right = "password: { ssm: /test/database-password }";
    let wrong = world.database_block().replace(right, "password: not-the-password");
    let ran = world.run_once(&world.light("good", "", &format!("{wrong}{jobs}")));
    assert_eq!(ran.failed_with("database_auth")["phase"], "database");
    assert_eq!(world.running("app"), serving);
}

#[test]
fn what_serves_and_holds_all_connections_of_its_role_is_kept() {
    let world = World::new();
    let server = Postgres::start();
    let sql = |query: &str| assert!(server.psql(&[query]).status().unwrap().success());
    sql("CREATE ROLE app LOGIN");
    let config = at(&world, server.port, "app", "", SOON);
    world.run_once(&config).is_ready();
    let serving = world.running("app");
    sql("ALTER ROLE app CONNECTION LIMIT 0");
    let ran = world.run_once(&config).ready();
    notes(&ran, "database_too_many_connections");
    assert_eq!(world.running("app"), serving);
}

#[test]
fn the_first_of_several_hosts_that_lets_the_role_in_is_taken() {
    let world = World::new();
    let (standby, primary) =
        (Postgres::with_options("-c default_transaction_read_only=on"), Postgres::start());
    let host = &peers().postgres_host;
    let (a, b) = (format!("{host}:{}", standby.port), format!("{host}:{}", primary.port));
    let hosts = format!("postgresql+psycopg://postgres:a-password-of-some-length@{a},{b}/postgres");
    let config = world.light(
        "good",
        "",
        &format!("database: {{ url: \"{hosts}?target_session_attrs=read-write\" }}\n"),
    );
    world.run_once(&config).is_ready();
    primary.stop();
    let ran = world.run_once(&format!("{config}{SOON}"));
    assert_eq!(ran.status["fault"]["class"], "database");
}

#[test]
fn a_pooler_speaks_for_its_server() {
    let (world, pooler) = (World::new(), Pooler::of(3));
    let direct = format!("port: {}", peers().postgres_port);
    let database = world.database_block().replace(&direct, &format!("port: {}", pooler.port));
    world.run_once(&world.light("good", "", &database)).is_ready();
    let right = "password: { ssm: /test/database-password }";
    let wrong = database.replace(right, "password: not-the-password");
    refused(&world, &world.run_once(&world.light("good", "", &wrong)), "database_auth", "");
    let missing = database.replace(&world.database.name, "no_such_database");
    let ran = world.run_once(&world.light("good", "", &format!("{missing}{SOON}")));
    refused(&world, &ran, "database_missing", "no_such_database");
}
