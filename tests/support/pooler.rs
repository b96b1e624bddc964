//! PgBouncer in front of the peers' PostgreSQL.

use std::net::{TcpListener, TcpStream};
use std::process::{Command, Stdio};

use super::peers::{Peers, peers};
use super::process::Own;
use super::wait::eventually;

/// A pooler in transaction mode; ended on drop.
pub struct Pooler {
    _folder: tempfile::TempDir,
    _process: Own,
    pub port: u16,
}

impl Pooler {
    /// One that has so many connections to the server for each database and role.
    pub fn of(connections: usize) -> Self {
        let Peers { postgres_host, postgres_port, postgres_user, postgres_password, .. } = peers();
        let folder = tempfile::Builder::new().prefix("preview-agent-pooler-").tempdir_in("/var/tmp").unwrap();
        let port = TcpListener::bind((postgres_host.as_str(), 0)).unwrap().local_addr().unwrap().port();
        let users = folder.path().join("users.txt");
        std::fs::write(&users, format!("\"{postgres_user}\" \"{postgres_password}\"\n")).unwrap();
        let config = folder.path().join("pgbouncer.ini");
        let text = format!(
            "[databases]\n* = host={postgres_host} port={postgres_port}\n[pgbouncer]\n\
             listen_addr={postgres_host}\nlisten_port={port}\nunix_socket_dir=\nauth_type=scram-sha-256\n\
             auth_file={}\npool_mode=transaction\ndefault_pool_size={connections}\n",
            users.display()
        );
        std::fs::write(&config, text).unwrap();
        let owned = Command::new("chown").args(["-R", "postgres:"]).arg(folder.path()).status().unwrap();
        assert!(owned.success());
        let process = Command::new("setpriv")
            .args(["--reuid=postgres", "--regid=postgres", "--init-groups", "pgbouncer"])
            .arg(&config)
            .current_dir("/")
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let pooler = Self { _folder: folder, _process: Own(process), port };
        eventually("a pooler", || TcpStream::connect((postgres_host.as_str(), port)).is_ok());
        pooler
    }
}
