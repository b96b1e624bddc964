//! The real parts that `scripts/peers up` has started.

use std::collections::HashMap;
use std::path::Path;
use std::process::Command;
use std::sync::LazyLock;

/// Where the real parts are, as `.cache/peers/env` lists them.
#[derive(Debug)]
pub struct Peers {
    /// A private registry, `host:port`.
    pub registry: String,
    pub registry_user: String,
    pub registry_password: String,
    pub postgres_host: String,
    pub postgres_port: u16,
    pub postgres_user: String,
    pub postgres_password: String,
    /// Folder of psql and its kin.
    pub postgres_bin: String,
    /// moto.
    pub ssm_endpoint: String,
    /// The `aws` client.
    pub aws: String,
    pub python: String,
    /// Image reference of the base that sample images are built on.
    pub platform_base: String,
}

/// The real parts; panics with what to do where they are not up.
pub fn peers() -> &'static Peers {
    static PEERS: LazyLock<Peers> = LazyLock::new(load);
    &PEERS
}

/// The `aws` client as nobody has configured it, asking the peer.
pub fn aws(args: &[&str]) -> Command {
    let mut command = Command::new(&peers().aws);
    command.args(args).args([
        "--endpoint-url",
        &peers().ssm_endpoint,
        "--region",
        "us-east-1",
        "--output",
        "json",
    ]);
    command.env_clear().envs(["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"].map(|name| (name, "test")));
    command.envs(["AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"].map(|name| (name, "/dev/null")));
    command
}

fn load() -> Peers {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(".cache/peers/env");
    let text = std::fs::read_to_string(&path)
        .unwrap_or_else(|e| panic!("{}: {e}; run scripts/peers up", path.display()));
    let all: HashMap<&str, &str> = text.lines().filter_map(|line| line.split_once('=')).collect();
    let get = |key: &str| match all.get(key) {
        Some(value) => (*value).to_owned(),
        None => panic!("{} has no {key}; run scripts/peers up", path.display()),
    };
    Peers {
        registry: get("PEERS_REGISTRY"),
        registry_user: get("PEERS_REGISTRY_USER"),
        registry_password: get("PEERS_REGISTRY_PASSWORD"),
        postgres_host: get("PEERS_POSTGRES_HOST"),
        postgres_port: get("PEERS_POSTGRES_PORT").parse().unwrap(),
        postgres_user: get("PEERS_POSTGRES_USER"),
        postgres_password: get("PEERS_POSTGRES_PASSWORD"),
        postgres_bin: get("PEERS_POSTGRES_BIN"),
        ssm_endpoint: get("PEERS_SSM_ENDPOINT"),
        aws: get("PEERS_AWS"),
        python: get("PEERS_PYTHON"),
        platform_base: get("PEERS_PLATFORM_BASE"),
    }
}
