//! The database server and the way to it.

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::thread;

use crate::case::{Case, fails, ready, within};
use crate::scene::{Scene, end_of_run, ended};
use crate::support::agent::Ran;
use crate::support::engine::docker;
use crate::support::peers::peers;
use crate::support::postgres::Postgres;
use crate::support::wait::eventually;

const SEAM: &str = "database";
const REFUSED: (&str, &str) = ("database", "database_refused");
const TIMEOUT: (&str, &str) = ("database", "database_timeout");
const AUTH: (&str, &str) = ("database", "database_auth");
const MISSING: (&str, &str) = ("database", "database_missing");
const FULL: (&str, &str) = ("database", "database_too_many_connections");

/// Patience with a server that may be there soon.
const SHORT: &str = "deadlines: { database: 2s }\n";

pub fn rows() -> Vec<Case> {
    let ways = within("database", [ways()]).into_iter().map(Case::until_late);
    ways.chain(within("database", [logins()])).chain(within("migrate", [refusals(), in_time()])).collect()
}

/// Nothing is reached that speaks PostgreSQL.
fn ways() -> Vec<Case> {
    vec![
        fails(SEAM, "refuses", REFUSED, |scene| {
            let port = TcpListener::bind((host(), 0)).unwrap().local_addr().unwrap().port();
            waits(scene, host(), port)
        })
        .says("Connection refused"),
        fails(SEAM, "a name that nobody knows", ("database", "database_dns"), |scene| {
            waits(scene, "db.invalid", 5432)
        })
        .says("db.invalid"),
        // The last address of the engine's own bridge, which nobody has.
        fails(SEAM, "nobody at its address", TIMEOUT, |scene| waits(scene, "172.17.255.254", 5432))
            .says("2 s"),
        fails(SEAM, "accepts and says nothing", TIMEOUT, |scene| {
            let silent = TcpListener::bind((host(), 0)).unwrap();
            waits(scene, host(), silent.local_addr().unwrap().port())
        })
        .says("2 s"),
        fails(SEAM, "closes at once", REFUSED, |scene| waits(scene, host(), answers(drop))).says("drops"),
        fails(SEAM, "something else than PostgreSQL", REFUSED, |scene| {
            let ssh = answers(|mut client| client.write_all(b"SSH-2.0-OpenSSH_9.2p1\r\n").unwrap());
            waits(scene, host(), ssh)
        })
        .says("does not speak PostgreSQL"),
        fails(SEAM, "an error before anybody said who he is", FULL, |scene| {
            let full = answers(|mut client| says(&mut client, "53300", "sorry, too many clients already"));
            waits(scene, host(), full)
        })
        .says("before authentication"),
    ]
}

/// It answers, and does not let the application's role in.
fn logins() -> Vec<Case> {
    vec![
        fails(SEAM, "a wrong password", AUTH, |scene| {
            let right = "password: { ssm: /test/database-password }";
            let database = scene.database_block().replace(right, "password: not-the-password");
            migrates(scene, &database)
        })
        .prose(),
        fails(SEAM, "no such database", MISSING, |scene| {
            let database = scene.database_block().replace(&scene.database.name, "no_such_database");
            migrates(scene, &database)
        })
        .says("no_such_database"),
        fails(SEAM, "no such role", AUTH, |scene| on(scene, &Postgres::start(), "nobody_here", ""))
            .says("nobody_here"),
        fails(SEAM, "out of connections", FULL, |scene| {
            let postgres = Postgres::with_options(
                "-c max_connections=1 -c superuser_reserved_connections=0 -c max_wal_senders=0",
            );
            let _holder = postgres.session("SELECT pg_sleep(600)");
            on(scene, &postgres, "postgres", SHORT)
        })
        .says("too many clients")
        .until_late(),
        fails(SEAM, "starting up for ever", ("database", "database_not_ready"), |scene| {
            let port = answers(|mut client| says(&mut client, "57P03", "the database system is starting up"));
            let block = block(port, "postgres");
            migrates(scene, &format!("{block}{SHORT}"))
        })
        .says("starting up")
        .until_late(),
    ]
}

/// It does not let the migration do its work.
fn refusals() -> Vec<Case> {
    vec![
        fails(SEAM, "its rules reject this instance", AUTH, |scene| {
            on(scene, &Postgres::with_rules("host all all all reject\n"), "postgres", "")
        })
        .says("pg_hba.conf rejects"),
        fails(SEAM, "it wants TLS and has none", AUTH, |scene| {
            on(scene, &Postgres::with_rules("hostssl all all all trust\n"), "postgres", "")
        })
        .says("no pg_hba.conf entry"),
        fails(SEAM, "takes reads only", ("database", "database_read_only"), |scene| {
            let postgres = Postgres::with_options("-c default_transaction_read_only=on");
            on(scene, &postgres, "postgres", "")
        })
        .says("read-only"),
    ]
}

/// It goes, or comes.
fn in_time() -> Vec<Case> {
    vec![
        ready(SEAM, "comes up late", |scene| {
            let postgres = Postgres::start();
            postgres.stop();
            let config = light(scene, &postgres);
            let mut agent = scene.start(&config);
            agent.wait_for("a third try", |status| {
                let mut phases = status["phases"].as_array().into_iter().flatten();
                phases.any(|phase| phase["name"] == "database" && phase["attempts"].as_u64() >= Some(3))
            });
            postgres.resume();
            end_of_run(agent, 1)
        }),
        fails(SEAM, "stopped while the migration runs", REFUSED, |scene| {
            let postgres = Postgres::start();
            let sleeps = "import os, psycopg; c = psycopg.connect(os.environ['DATABASE_URL']); \
                          print('works', flush=True); c.execute('SELECT pg_sleep(600)')";
            let more = format!(
                "{}migrate: {{ command: [python3, -c, {sleeps:?}] }}\ntries: {{ migrate: 1 }}\n{SHORT}",
                block(postgres.port, "postgres")
            );
            let config = scene.config("good", &more);
            let agent = scene.start(&config);
            let migration = scene.running_migration();
            eventually("a migration at work", || docker(&["logs", &migration]).contains("works"));
            postgres.stop();
            end_of_run(agent, 1)
        })
        .says("Connection refused")
        .exit(0),
        ready(SEAM, "stopped while the application serves", |scene| {
            let postgres = Postgres::start();
            let config = light(scene, &postgres);
            let mut agent = scene.start(&config);
            agent.wait_for_end_of_run(1);
            scene.keep(&scene.app_container());
            postgres.stop();
            let status =
                agent.wait_for("a degraded service", |status| status["service"]["state"] == "degraded");
            postgres.resume();
            agent.wait_for("service up again", |status| status["service"]["state"] == "up");
            ended(agent, status)
        })
        .prose()
        .because("degraded", REFUSED),
    ]
}

fn host() -> &'static str {
    &peers().postgres_host
}

/// A database at this port of the address that containers reach.
fn block(port: u16, user: &str) -> String {
    format!(
        "database:\n  host: {}\n  port: {port}\n  name: postgres\n  user: {user}\n  password: unused\n",
        host()
    )
}

/// An application that starts in no time, and this database beside it.
fn light(scene: &Scene, postgres: &Postgres) -> String {
    let block = block(postgres.port, "postgres");
    scene.config("good", &format!("{block}migrate: off\n{}", scene.answering("200 OK|fine")))
}

/// A run that waits a second for a database there.
fn waits(scene: &mut Scene, host: &str, port: u16) -> Ran {
    let database =
        block(port, "postgres").replace(&format!("host: {}", self::host()), &format!("host: {host}"));
    scene.run_once(&scene.config("good", &format!("{database}deadlines: {{ database: 1s }}\n")))
}

/// A run with a cluster of the row's own.
fn on(scene: &mut Scene, postgres: &Postgres, user: &str, more: &str) -> Ran {
    migrates(scene, &format!("{}{more}", block(postgres.port, user)))
}

/// A run that comes to its migration, which is of one line: the driver alone, since what is on
/// top of it takes its time and says the same.
fn migrates(scene: &mut Scene, more: &str) -> Ran {
    let script =
        "import os, psycopg; psycopg.connect(os.environ['DATABASE_URL']).execute('CREATE TABLE t (i int)')";
    let migrate = format!("migrate: {{ command: [python3, -c, {script:?}] }}\n");
    scene.run_once(&scene.config("good", &format!("{migrate}{more}")))
}

/// A server that does this with each connection; its port. It lives as long as the test.
fn answers(to: fn(TcpStream)) -> u16 {
    let listener = TcpListener::bind((host(), 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    thread::spawn(move || listener.incoming().flatten().for_each(to));
    port
}

/// Refuses TLS, then whoever asks, as PostgreSQL 15 does (its manual, "Message Formats").
fn says(client: &mut TcpStream, state: &str, message: &str) {
    let mut request = [0; 8];
    if client.read_exact(&mut request).is_err() {
        return;
    }
    if request[4..] == [0x04, 0xd2, 0x16, 0x2f] && state != "53300" {
        client.write_all(b"N").unwrap();
        let mut startup = [0; 4096];
        if client.read(&mut startup).unwrap_or(0) == 0 {
            return;
        }
    }
    let body = format!("SFATAL\0VFATAL\0C{state}\0M{message}\0\0");
    let length = u32::try_from(body.len() + 4).unwrap().to_be_bytes();
    client.write_all(&[b"E", length.as_slice(), body.as_bytes()].concat()).ok();
}
