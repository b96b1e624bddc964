//! A PostgreSQL cluster of a test's own, to be stopped and started at will.

use std::net::TcpListener;
use std::path::Path;
use std::process::Command;

use super::peers::{Peers, peers};

/// The cluster; stopped and removed on drop.
pub struct Postgres {
    folder: tempfile::TempDir,
    pub port: u16,
}

impl Postgres {
    /// A running server on the address that containers reach, which trusts everybody.
    pub fn start() -> Self {
        let folder =
            tempfile::Builder::new().prefix("preview-agent-postgres-").tempdir_in("/var/tmp").unwrap();
        run(Command::new("chown").arg("postgres:").arg(folder.path()));
        let port =
            TcpListener::bind((peers().postgres_host.as_str(), 0)).unwrap().local_addr().unwrap().port();
        let cluster = Self { folder, port };
        let data = cluster.data();
        cluster.as_postgres("initdb", &["-D", &data, "-U", "postgres", "--no-sync", "--auth=trust"]);
        let rules = Path::new(&data).join("pg_hba.conf");
        std::fs::write(rules, "host all all all trust\n").unwrap();
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
            "-c listen_addresses={postgres_host} -c port={} -c unix_socket_directories='' -c fsync=off",
            self.port
        );
        let log = self.folder.path().join("log").display().to_string();
        self.as_postgres("pg_ctl", &["-D", &self.data(), "-w", "-l", &log, "-o", &options, "start"]);
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

/// Output goes nowhere: a server that pg_ctl starts would hold a pipe open for ever.
fn run(command: &mut Command) {
    use std::process::Stdio;
    let status = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).status().unwrap();
    assert!(status.success(), "{command:?}: {status}");
}
