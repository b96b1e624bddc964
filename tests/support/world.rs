//! One agent in a world of its own: folders, parameter store, metadata
//! service, database and port. The engine, the registry and PostgreSQL are
//! real; whatever the agent made there is gone when the world is dropped.
//!
//! Every document the agent shows is held against the schema, and every place
//! it writes to is searched for the canaries: in every test, without asking.
//!
//! What else a world can do stands with its subject: `agent`, `canary`,
//! `configs`, `documents`, `engine` and `events`.

use std::collections::HashMap;
use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;

use super::canary::Canaries;
use super::imds::FakeImds;
use super::peers::peers;
use super::postgres::Database;
use super::ssm::FakeSsm;

pub struct World {
    folder: tempfile::TempDir,
    pub ssm: FakeSsm,
    pub imds: FakeImds,
    pub port: u16,
    pub database: Database,
    pub(super) env: HashMap<String, String>,
    pub(super) canaries: Canaries,
    /// Images that the test made or made the agent pull.
    pub(super) images: Vec<String>,
    /// Another engine than this machine's own, where the test has one: its `DOCKER_HOST`.
    pub(super) engine: Option<String>,
    /// What the agent is run by.
    pub(super) runner: Vec<String>,
}

impl World {
    /// A world with an empty database of its own.
    pub fn new() -> Self {
        let folder = tempfile::Builder::new().prefix("preview-agent-test-").tempdir().unwrap();
        let (ssm, imds) = (FakeSsm::start(), FakeImds::start());
        let env = HashMap::from([
            ("RUNTIME_DIRECTORY".to_owned(), folder.path().join("run").display().to_string()),
            ("STATE_DIRECTORY".to_owned(), folder.path().join("state").display().to_string()),
            ("AWS_ENDPOINT_URL_SSM".to_owned(), ssm.endpoint()),
            ("AWS_ENDPOINT_URL_ECR".to_owned(), ssm.endpoint()),
            ("AWS_EC2_METADATA_SERVICE_ENDPOINT".to_owned(), imds.endpoint()),
            ("PATH".to_owned(), std::env::var("PATH").unwrap()),
        ]);
        let mut world = Self {
            folder,
            ssm,
            imds,
            port: free_port(),
            database: Database::new(),
            env,
            canaries: Canaries::default(),
            images: Vec::new(),
            engine: None,
            runner: Vec::new(),
        };
        world.secret("/test/registry-password", &peers().registry_password);
        world.secret("/test/database-password", &peers().postgres_password);
        world.secret("/test/dsn", "https://canary-of-the-dsn@sentry.invalid/42");
        world
    }

    /// A parameter whose value must never show anywhere.
    pub fn secret(&mut self, name: &str, value: &str) {
        self.ssm.set(name, value);
        self.canary(value);
    }

    /// From now on the agent uses this engine, and is run by this command.
    pub fn beside(&mut self, engine: &str, runner: &[&str]) {
        self.set_env("DOCKER_HOST", engine);
        self.engine = Some(engine.to_owned());
        self.run_by(runner);
    }

    /// From now on the agent is run by this command.
    pub fn run_by(&mut self, runner: &[&str]) {
        self.runner = runner.iter().map(|word| (*word).to_owned()).collect();
    }

    pub fn set_env(&mut self, name: &str, value: &str) {
        self.env.insert(name.to_owned(), value.to_owned());
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// A file that the test gives to the agent, not searched for canaries; its path.
    pub fn given(&self, name: &str, content: &str) -> PathBuf {
        let folder = self.path("given");
        fs::create_dir_all(&folder).unwrap();
        let path = folder.join(name);
        fs::write(&path, content).unwrap();
        path
    }

    /// Status and body of a GET request to the application.
    pub fn get(&self, path: &str) -> (u16, String) {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).unwrap();
        write!(stream, "GET {path} HTTP/1.0\r\nHost: localhost\r\n\r\n").unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        (head.split(' ').nth(1).unwrap().parse().unwrap(), body.to_owned())
    }
}

impl Drop for World {
    fn drop(&mut self) {
        // A leak fails the test after the cleaning, not instead of it; after another failure it says nothing.
        let clean_of_secrets =
            std::thread::panicking() || catch_unwind(AssertUnwindSafe(|| self.scan_everything())).is_ok();
        self.clear_engine();
        // A second panic would end the whole test binary and hide the first.
        if !std::thread::panicking() {
            assert!(clean_of_secrets, "a secret was left somewhere: see above");
        }
    }
}

/// A free port below those that connections take for themselves (from 32768): Docker takes it
/// only seconds later.
fn free_port() -> u16 {
    std::iter::repeat_with(|| fastrand::u16(20_000..32_000))
        .find(|port| TcpListener::bind(("127.0.0.1", *port)).is_ok())
        .unwrap()
}
