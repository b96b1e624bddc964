//! One repository with an account, a GitHub, and `preview` as a process: the program as it is, but for its
//! patience.

use std::process::{Child, Command, Stdio};
use std::time::Duration;

use preview::pace::Pace;
use serde_json::{Value, json};

use super::account::{Account, GROUP, SUBNET};
use super::github::{GitHub, HEAD};

/// Says to a test's own executable that it is `preview`.
const SELF: &str = "TEST_PREVIEW";
/// Says that it is to wait for nothing long.
const IMPATIENT: &str = "TEST_IMPATIENT";

/// The settings of most tests.
pub const SETTINGS: &str = "\
viewers: [203.0.113.0/24]
secrets: { database-url: STG_DATABASE_URL }
agent:
  image: ghcr.io/acme/api:${sha}
  database: { url: { ssm: \"${secret.database-url}\" } }
";

pub struct World {
    pub account: Account,
    pub github: GitHub,
    folder: tempfile::TempDir,
    env: Vec<(String, String)>,
}

/// How it ended.
#[derive(Debug)]
pub struct Ran {
    pub code: Option<i32>,
    pub out: String,
    pub err: String,
    /// Outputs for later steps of the workflow.
    pub values: Vec<(String, String)>,
    pub summary: String,
}

impl Ran {
    #[track_caller]
    pub fn ended(&self, code: i32) -> &Self {
        assert_eq!(self.code, Some(code), "{self:#?}");
        self
    }

    #[track_caller]
    pub fn says(&self, words: &str) -> &Self {
        assert!(self.out.contains(words) || self.err.contains(words), "no {words}: {self:#?}");
        self
    }

    #[track_caller]
    pub fn says_not(&self, words: &str) -> &Self {
        assert!(!self.out.contains(words) && !self.err.contains(words), "{words}: {self:#?}");
        self
    }

    pub fn value(&self, name: &str) -> Option<&str> {
        self.values.iter().rfind(|(of, _)| of == name).map(|(_, value)| value.as_str())
    }
}

/// To be called from a test of the name `preview`, which each test file has.
pub fn act_as_preview() {
    if std::env::var_os(SELF).is_none() {
        return;
    }
    let milliseconds = Duration::from_millis;
    // Where a limit is not what is tested, none is reached on a busy machine.
    let limit = if std::env::var_os(IMPATIENT).is_some() { milliseconds(1500) } else { milliseconds(30_000) };
    let pace = Pace {
        parameter: milliseconds(50),
        instance: milliseconds(100),
        pull: milliseconds(150),
        silence: limit,
        pause: milliseconds(50),
        unknown: limit,
        address: limit,
        ending: limit,
        command: limit,
        reach: limit,
        stack: (milliseconds(20), milliseconds(100)),
        made: limit,
    };
    let arguments = std::env::args().skip_while(|argument| argument != "--").skip(1);
    let arguments = std::iter::once("preview".to_owned()).chain(arguments);
    let code = match <preview::cli::Cli as clap::Parser>::try_parse_from(arguments) {
        Ok(cli) => i32::from(cli.run_at(pace)),
        Err(error) => {
            error.print().unwrap();
            error.exit_code()
        }
    };
    std::process::exit(code);
}

impl World {
    /// An open pull request, 7, of a repository whose base branch has the usual settings.
    pub fn new() -> Self {
        let world = Self::without_file();
        world.github.file(super::github::BASE, SETTINGS);
        world.github.file(HEAD, SETTINGS);
        world
    }

    /// One whose `preview` reaches its limits soon.
    pub fn impatient() -> Self {
        let mut world = Self::new();
        world.set(IMPATIENT, "1");
        world
    }

    /// The same of a repository without settings.
    pub fn without_file() -> Self {
        let (account, github) = (Account::start(), GitHub::start());
        github.open(7);
        let folder = tempfile::tempdir().unwrap();
        let sums = folder.path().join("SHA256SUMS");
        std::fs::write(
            &sums,
            format!("{}  agent-x86_64\n{}  agent-aarch64\n", "a".repeat(64), "b".repeat(64)),
        )
        .unwrap();
        let mut world = Self { account, github, folder, env: Vec::new() };
        let url = world.account.url();
        for (name, value) in [
            ("PATH", std::env::var("PATH").unwrap()),
            ("AWS_ENDPOINT_URL", url.clone()),
            ("AWS_REGION", "eu-central-1".to_owned()),
            ("AWS_ACCESS_KEY_ID", "AKIAEXAMPLE".to_owned()),
            ("AWS_SECRET_ACCESS_KEY", "secret".to_owned()),
            ("AWS_EC2_METADATA_DISABLED", "true".to_owned()),
            ("AWS_CONFIG_FILE", "/dev/null".to_owned()),
            ("AWS_SHARED_CREDENTIALS_FILE", "/dev/null".to_owned()),
            ("GITHUB_API_URL", world.github.url()),
            ("GITHUB_TOKEN", "the-jobs-token".to_owned()),
            ("GITHUB_REPOSITORY", "acme/api".to_owned()),
            ("GITHUB_SERVER_URL", "https://github.com".to_owned()),
            ("GITHUB_RUN_ID", "42".to_owned()),
            ("GITHUB_OUTPUT", world.path("output")),
            ("GITHUB_STEP_SUMMARY", world.path("summary")),
            ("PREVIEW_AGENT_RELEASE", "https://example.org/v1".to_owned()),
            ("PREVIEW_AGENT_SUMS", sums.display().to_string()),
            // Nobody but this machine is asked.
            ("PREVIEW_CHECKIP_URL", "http://127.0.0.1:9/".to_owned()),
            ("SUBNET_ID", SUBNET.to_owned()),
            ("SG_ID", GROUP.to_owned()),
            ("INSTANCE_PROFILE", "preview".to_owned()),
            ("STG_DATABASE_URL", "postgresql://app:canary-of-the-url@db/app".to_owned()),
        ] {
            world.set(name, &value);
        }
        world
    }

    pub fn path(&self, name: &str) -> String {
        self.folder.path().join(name).display().to_string()
    }

    /// What a variable of the next runs has.
    pub fn get(&self, name: &str) -> &str {
        self.env.iter().find(|(of, _)| of == name).map_or("", |(_, value)| value)
    }

    pub fn set(&mut self, name: &str, value: &str) {
        self.env.retain(|(of, _)| of != name);
        self.env.push((name.to_owned(), value.to_owned()));
    }

    /// The event that the next runs are for.
    pub fn event(&mut self, name: &str, event: &Value) {
        let path = self.path("event.json");
        std::fs::write(&path, event.to_string()).unwrap();
        self.set("GITHUB_EVENT_NAME", name);
        self.set("GITHUB_EVENT_PATH", &path);
        self.set("GITHUB_ACTIONS", "true");
    }

    /// Something was done to the pull request of this number.
    pub fn pull_request(&mut self, action: &str, number: u64) {
        let state = if action == "closed" { "closed" } else { "open" };
        let head = json!({ "sha": HEAD, "repo": { "full_name": "acme/api" } });
        let pull = json!({ "number": number, "state": state, "head": head, "labels": [], "user": { "login": "octocat" } });
        self.event("pull_request", &json!({ "action": action, "pull_request": pull }));
    }

    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.args(["--exact", "--nocapture", "preview", "--"]).args(arguments);
        command.env_clear().envs(self.env.iter().map(|(name, value)| (name, value))).env(SELF, "1");
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    /// Runs at a terminal, where somebody types this.
    pub fn run_and_type(&self, arguments: &[&str], typed: &str) -> Ran {
        use std::io::Write as _;
        let own = self.command(arguments);
        let spawn = "import os, pty, sys; sys.exit(os.waitstatus_to_exitcode(pty.spawn(sys.argv[1:])))";
        let mut command = Command::new(super::peers::get("PEERS_PYTHON"));
        command.args(["-c", spawn]).arg(own.get_program()).args(own.get_args()).env_clear();
        command.envs(own.get_envs().filter_map(|(name, value)| Some((name, value?))));
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        child.stdin.as_mut().unwrap().write_all(format!("{typed}\n").as_bytes()).unwrap();
        let mut ran = self.ran(child);
        ran.out = ran.out.replace('\r', "");
        ran
    }

    /// The program as it is released, with its own patience.
    pub fn program(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_preview"));
        command.args(arguments).env_clear().envs(self.env.iter().map(|(name, value)| (name, value)));
        command.stdin(Stdio::null()).stderr(Stdio::piped());
        command
    }

    pub fn run(&self, arguments: &[&str]) -> Ran {
        self.ran(self.command(arguments).spawn().unwrap())
    }

    pub fn ran(&self, child: Child) -> Ran {
        let output = child.wait_with_output().unwrap();
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
        let taken = |name: &str| {
            let text = std::fs::read_to_string(self.path(name)).unwrap_or_default();
            std::fs::remove_file(self.path(name)).ok();
            text
        };
        let out = text(&output.stdout);
        let out = out.strip_prefix("\nrunning 1 test\n").unwrap_or(&out).to_owned();
        let ran = Ran {
            code: output.status.code(),
            out,
            err: text(&output.stderr),
            values: values(&taken("output")),
            summary: taken("summary"),
        };
        // Masks are how a runner learns a secret.
        let unmasked: String = ran.out.lines().filter(|line| !line.starts_with("::add-mask::")).collect();
        for place in [&unmasked, &ran.err, &ran.summary] {
            assert!(!place.contains("canary"), "a secret was shown: {ran:#?}");
        }
        ran
    }
}

/// `NAME<<END`, the value, `END`.
fn values(text: &str) -> Vec<(String, String)> {
    let mut lines = text.lines();
    let mut values = Vec::new();
    while let Some((name, end)) = lines.next().and_then(|line| line.split_once("<<")) {
        let value: Vec<&str> = lines.by_ref().take_while(|line| *line != end).collect();
        values.push((name.to_owned(), value.join("\n")));
    }
    values
}
