//! One repository, one region, one GitHub.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::process::Command;
use std::time::Instant;

use axum::Router;
use serde_json::json;

use crate::actions::{Actions, Pair, Run};

use crate::github::{BASE, GitHub};
use crate::region::Region;
use crate::repository::Repository;
use crate::support::forwarder::{Forwarder, reachable};
use crate::support::imds::REGION;
use crate::support::peers::peers;
use crate::support::postgres::Database;
use crate::support::process::preview;
use crate::support::releases::{Releases, static_agent};
use crate::support::server::Server;

const PROFILE: &str = "ec2-pr-preview-ssm";

pub struct Scene {
    pub region: Region,
    pub github: GitHub,
    pub repository: Repository,
    pub database: Database,
    pub group: String,
    pub database_group: String,
    subnet: String,
    releases: Forwarder,
    _releases: Releases,
    sums: tempfile::NamedTempFile,
    /// Tells this machine its address as instances see it.
    checkip: Server,
    actions: Actions,
}

impl Scene {
    pub fn new() -> Self {
        let (repository, releases, region) = (Repository::new(), Releases::start(), Region::new());
        let sum = releases.publish(&static_agent());
        let mut sums = tempfile::NamedTempFile::new().unwrap();
        writeln!(sums, "{sum}  agent-x86_64\n{sum}  agent-aarch64").unwrap();
        let (subnet, [group, database_group]) = region.network(["api-sg", "db-sg"]);
        region.profile(PROFILE);
        let own = peers().postgres_host.clone();
        let checkip = Server::start(Router::new().fallback(move || async move { own }));
        let github = GitHub::start();
        // The file that docs/previews.md has.
        let page = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/previews.md")).unwrap();
        let (_, from) = page.split_once("```yaml\nviewers:").expect("the page has a preview.yaml");
        let (file, _) = from.split_once("```").unwrap();
        github.file(BASE, &format!("viewers:{file}"));
        let releases_front = reachable(&releases.url());
        Self {
            actions: Actions::new(&repository),
            database: Database::new(),
            region,
            github,
            repository,
            group,
            database_group,
            subnet,
            releases: releases_front,
            _releases: releases,
            sums,
            checkip,
        }
    }

    /// What differs against AWS and GitHub.
    fn environment(&self) -> Vec<Pair<'static>> {
        vec![
            ("AWS_ENDPOINT_URL", self.region.url()),
            ("AWS_ACCESS_KEY_ID", "AKIAEXAMPLE".to_owned()),
            ("AWS_SECRET_ACCESS_KEY", "secret".to_owned()),
            ("AWS_CONFIG_FILE", "/dev/null".to_owned()),
            ("AWS_SHARED_CREDENTIALS_FILE", "/dev/null".to_owned()),
            ("GITHUB_API_URL", self.github.url()),
            ("PREVIEW_AGENT_RELEASE", format!("http://{}", self.releases.address())),
            ("PREVIEW_AGENT_SUMS", self.sums.path().display().to_string()),
            ("PREVIEW_CHECKIP_URL", self.checkip.url()),
        ]
    }

    /// The repository's variables.
    fn variables(&self) -> Vec<Pair<'static>> {
        vec![
            ("AWS_REGION", REGION.to_owned()),
            ("AWS_ROLE", "arn:aws:iam::123456789012:role/previews".to_owned()),
            ("SUBNET_ID", self.subnet.clone()),
            ("SG_ID", self.group.clone()),
            ("INSTANCE_PROFILE", PROFILE.to_owned()),
        ]
    }

    /// The repository's secrets.
    fn secrets(&self) -> Vec<Pair<'static>> {
        vec![
            ("GITHUB_TOKEN", "the-jobs-token".to_owned()),
            ("STG_DATABASE_URL", self.database.url()),
            ("GHCR_USERNAME", peers().registry_user.clone()),
            ("GHCR_TOKEN", peers().registry_password.clone()),
            ("DB_SG_ID", self.database_group.clone()),
        ]
    }

    /// The newest commit of an open pull request.
    pub fn push(&self, number: u64, sha: &str) {
        self.github.push(number, sha);
    }

    /// Something happens to a pull request, and its workflow runs to its end.
    pub fn happens(&self, action: &str, number: u64) -> Run {
        let state = if action == "closed" { "closed" } else { "open" };
        let event = json!({
            "action": action,
            "repository": { "full_name": "acme/api", "default_branch": "main" },
            "pull_request": {
                "number": number, "state": state, "labels": [], "user": { "login": "octocat" },
                "head": { "sha": self.repository.head(), "ref": "change", "repo": { "full_name": "acme/api" } },
                "base": { "sha": BASE, "ref": "main" },
            },
        });
        let begun = Instant::now();
        let run =
            self.actions.run(&event.to_string(), &self.environment(), &self.variables(), &self.secrets());
        eprintln!("{}", run.log);
        println!("{action}: the workflow ended after {:.0} s", begun.elapsed().as_secs_f32());
        assert!(!run.log.contains(&peers().postgres_password), "a secret: {}", run.log);
        run
    }

    /// What `preview` says on a laptop, or with which code it ends.
    pub fn preview(&self, arguments: &[&str]) -> Result<String, i32> {
        let mut command = Command::new(preview());
        command.args(arguments).env_clear();
        command.envs(self.environment().into_iter().chain(self.variables()).chain(self.secrets()));
        command.env("GITHUB_REPOSITORY", "acme/api").env("AWS_EC2_METADATA_DISABLED", "true");
        let output = command.output().unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        match output.status.code() {
            Some(0) => Ok(text),
            code => Err(code.unwrap_or(-1)),
        }
    }

    /// The status of a GET, from outside the instance.
    pub fn get(&self, address: &str, path: &str) -> u16 {
        let mut stream = TcpStream::connect((address, 8000)).unwrap();
        write!(stream, "GET {path} HTTP/1.0\r\nHost: preview\r\n\r\n").unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer.split(' ').nth(1).unwrap().parse().unwrap()
    }
}
