//! PostgreSQL: a cluster of a test's own, to be stopped and started at will, and
//! a database of its own in the server of the peers.

use std::fmt;
use std::io::{BufRead as _, BufReader};
use std::net::TcpListener;
use std::path::Path;
use std::process::{Command, Stdio};

use super::peers::{Peers, peers};
use super::process::Own;
use super::wait::eventually;
use super::world::World;

/// The cluster; stopped and removed on drop.
pub struct Postgres {
    folder: tempfile::TempDir,
    pub port: u16,
    options: &'static str,
}

impl Postgres {
    /// A running server on the address that containers reach, which trusts everybody.
    pub fn start() -> Self {
        Self::with_options("")
    }

    /// A server with these lines in its pg_hba.conf.
    pub fn with_rules(rules: &str) -> Self {
        Self::made("", rules)
    }

    /// The same with TLS, by a certificate of its own making.
    pub fn with_tls(rules: &str) -> Self {
        Self::made("-c ssl=on", rules)
    }

    /// The same with more of the server's options, as in `-c max_connections=1`.
    pub fn with_options(options: &'static str) -> Self {
        Self::made(options, "host all all all trust\n")
    }

    fn made(options: &'static str, rules: &str) -> Self {
        let folder =
            tempfile::Builder::new().prefix("preview-agent-postgres-").tempdir_in("/var/tmp").unwrap();
        run(Command::new("chown").arg("postgres:").arg(folder.path()));
        let port =
            TcpListener::bind((peers().postgres_host.as_str(), 0)).unwrap().local_addr().unwrap().port();
        let cluster = Self { folder, port, options };
        let data = cluster.data();
        cluster.as_postgres("initdb", &["-D", &data, "-U", "postgres", "--no-sync", "--auth=trust"]);
        std::fs::write(Path::new(&data).join("pg_hba.conf"), rules).unwrap();
        if options.contains("ssl=on") {
            let request =
                "req -x509 -nodes -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -days 2 -subj /CN=db";
            let (key, certificate) = (format!("{data}/server.key"), format!("{data}/server.crt"));
            let files = ["-keyout", &key, "-out", &certificate];
            run(Command::new("openssl").args(request.split(' ')).args(files));
            run(Command::new("chown").args(["postgres:", &key, &certificate]));
        }
        cluster.resume();
        cluster
    }

    /// Stops the server and ends its connections.
    pub fn stop(&self) {
        self.as_postgres("pg_ctl", &["-D", &self.data(), "-w", "-m", "fast", "stop"]);
    }

    /// Starts the server again.
    pub fn resume(&self) {
        let Peers { postgres_host, .. } = peers();
        let options = format!(
            "-c listen_addresses={postgres_host} -c port={} -c unix_socket_directories='' -c fsync=off {}",
            self.port, self.options
        );
        let log = self.folder.path().join("log").display().to_string();
        self.as_postgres("pg_ctl", &["-D", &self.data(), "-w", "-l", &log, "-o", &options, "start"]);
    }

    /// A client that is in the midst of this query when this returns; ended on drop.
    pub fn session(&self, query: &str) -> Own {
        let mut held = self.psql(&["SELECT 'held'", query]);
        let mut session = Own(held.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap());
        let mut said = String::new();
        BufReader::new(session.stdout.as_mut().unwrap()).read_line(&mut said).unwrap();
        assert_eq!(said, "held\n");
        session
    }

    /// A client that asks this, one after the other.
    pub fn psql(&self, queries: &[&str]) -> Command {
        let mut psql = client(self.port, "postgres", &[]);
        psql.args(queries.iter().flat_map(|query| ["-c", query]));
        psql
    }

    fn data(&self) -> String {
        self.folder.path().join("data").display().to_string()
    }

    fn as_postgres(&self, program: &str, args: &[&str]) {
        let program = Path::new(&peers().postgres_bin).join(program);
        run(Command::new("setpriv")
            .args(["--reuid=postgres", "--regid=postgres", "--init-groups"])
            .arg(program)
            .args(args)
            .current_dir("/"));
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        let pid = Path::new(&self.data()).join("postmaster.pid");
        if pid.exists() {
            self.as_postgres("pg_ctl", &["-D", &self.data(), "-w", "-m", "immediate", "stop"]);
        }
    }
}

/// A database of a test's own in the peers' server, empty at first and dropped with this; shown as its name.
pub struct Database {
    pub name: String,
}

impl Database {
    pub fn new() -> Self {
        let name = format!("test_{:08x}", fastrand::u32(..));
        asked("postgres", &format!("CREATE DATABASE {name}")).unwrap();
        Self { name }
    }

    /// Drops it and makes another of the same name.
    pub fn anew(&self) {
        asked("postgres", &format!("DROP DATABASE {} WITH (FORCE)", self.name)).unwrap();
        asked("postgres", &format!("CREATE DATABASE {}", self.name)).unwrap();
    }

    /// Its URL with user and password, as containers and instances reach it.
    pub fn url(&self) -> String {
        let Peers { postgres_host, postgres_port, postgres_user, postgres_password, .. } = peers();
        let encode = |text| percent_encoding::utf8_percent_encode(text, percent_encoding::NON_ALPHANUMERIC);
        let (user, password) = (encode(postgres_user), encode(postgres_password));
        format!("postgresql://{user}:{password}@{postgres_host}:{postgres_port}/{}", self.name)
    }

    /// A query's rows as psql prints them, unaligned.
    #[track_caller]
    pub fn sql(&self, query: &str) -> String {
        asked(&self.name, query).unwrap()
    }
}

impl World {
    /// A query on the world's database.
    #[track_caller]
    pub fn sql(&self, query: &str) -> String {
        self.database.sql(query)
    }

    /// A session that holds this table of the world's database until it is dropped.
    pub fn locks(&self, table: &str) -> Own {
        let query = format!("BEGIN; LOCK TABLE {table}; SELECT pg_sleep(600)");
        let mut held = in_peers(&self.database.name, &query);
        let session = Own(held.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap());
        let locked = format!(
            "SELECT count(*) FROM pg_locks WHERE relation = '{table}'::regclass AND granted \
             AND mode = 'AccessExclusiveLock'"
        );
        eventually("a locked table", || self.sql(&locked) == "1");
        session
    }
}

impl World {
    /// A session of the application's role that waits to read this table, until it is dropped.
    pub fn queues(&self, table: &str) -> Own {
        let mut read = in_peers(&self.database.name, &format!("SELECT count(*) FROM {table}"));
        let session = Own(read.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap());
        let waits =
            format!("SELECT count(*) FROM pg_locks WHERE relation = '{table}'::regclass AND NOT granted");
        eventually("a reader in the queue", || self.sql(&waits) == "1");
        session
    }
}

impl fmt::Display for Database {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        let dropped = asked("postgres", &format!("DROP DATABASE {} WITH (FORCE)", self.name));
        // A second panic would end the whole test binary and hide the first.
        if !std::thread::panicking() {
            dropped.unwrap();
        }
    }
}

/// What psql says to a query, or with which words it fails.
fn asked(database: &str, query: &str) -> Result<String, String> {
    let output = in_peers(database, query).output().unwrap();
    let said = |bytes| String::from_utf8_lossy(bytes).trim().to_owned();
    if output.status.success() { Ok(said(&output.stdout)) } else { Err(said(&output.stderr)) }
}

fn in_peers(database: &str, query: &str) -> Command {
    let Peers { postgres_port, postgres_user, postgres_password, .. } = peers();
    let mut psql = client(*postgres_port, postgres_user, &["-v", "ON_ERROR_STOP=1", "-qd", database]);
    psql.args(["-c", query]).env("PGPASSWORD", postgres_password);
    psql
}

/// psql on the address that containers reach; rows come unaligned.
fn client(port: u16, user: &str, options: &[&str]) -> Command {
    let mut psql = Command::new(Path::new(&peers().postgres_bin).join("psql"));
    psql.args(["-At", "-h", &peers().postgres_host, "-p", &port.to_string(), "-U", user]).args(options);
    psql.stdin(Stdio::null());
    psql
}

/// Output goes nowhere: a server that pg_ctl starts would hold a pipe open for ever.
fn run(command: &mut Command) {
    let status = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).status().unwrap();
    assert!(status.success(), "{command:?}: {status}");
}
