//! A PostgreSQL cluster of a test's own, to be stopped and started at will.

use std::io::{BufRead as _, BufReader};
use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use super::peers::{Peers, peers};

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
    pub fn session(&self, query: &str) -> Session {
        let mut psql = Command::new(Path::new(&peers().postgres_bin).join("psql"));
        psql.args(["-h", &peers().postgres_host, "-p", &self.port.to_string(), "-U", "postgres", "-At"]);
        let held =
            psql.args(["-c", "SELECT 'held'", "-c", query]).stdin(Stdio::null()).stdout(Stdio::piped());
        let mut session = Session(held.stderr(Stdio::null()).spawn().unwrap());
        let mut said = String::new();
        BufReader::new(session.0.stdout.as_mut().unwrap()).read_line(&mut said).unwrap();
        assert_eq!(said, "held\n");
        session
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

/// A client's session; ended on drop.
pub struct Session(pub Child);

impl Drop for Session {
    fn drop(&mut self) {
        self.0.kill().ok();
        self.0.wait().ok();
    }
}

/// Output goes nowhere: a server that pg_ctl starts would hold a pipe open for ever.
fn run(command: &mut Command) {
    let status = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).status().unwrap();
    assert!(status.success(), "{command:?}: {status}");
}
