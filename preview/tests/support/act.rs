//! The workflow as a caller meets it, run by act. Actions of others are stubs; what differs from GitHub's own
//! runners are variables alone.

use std::fs::File;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use serde_json::{Value, json};

use super::account::{GROUP, SUBNET};
use super::github::HEAD;
use super::wait::{signal, until};
use super::world::World;

/// Variables of the repository that calls.
const VARIABLES: [(&str, &str); 5] = [
    ("AWS_REGION", "eu-central-1"),
    ("AWS_ROLE", "arn:aws:iam::123456789012:role/previews"),
    ("SUBNET_ID", SUBNET),
    ("SG_ID", GROUP),
    ("INSTANCE_PROFILE", "preview"),
];

/// Variables of the runner itself.
const OF_THE_RUNNER: [&str; 9] = [
    "AWS_ENDPOINT_URL",
    "AWS_ACCESS_KEY_ID",
    "AWS_SECRET_ACCESS_KEY",
    "AWS_CONFIG_FILE",
    "AWS_SHARED_CREDENTIALS_FILE",
    "GITHUB_API_URL",
    "PREVIEW_AGENT_RELEASE",
    "PREVIEW_AGENT_SUMS",
    "PREVIEW_CHECKIP_URL",
];

/// How a run of the workflow ended.
pub struct Run {
    ok: bool,
    pub log: String,
}

impl Run {
    /// The jobs that were started.
    pub fn jobs(&self) -> Vec<&str> {
        let known = ["skipped", "build", "up", "down", "sweep"];
        let began = |job: &&str| {
            self.log
                .lines()
                .any(|line| line.contains(&format!("/{job}]")) || line.contains(&format!("/{job} ")))
        };
        known.into_iter().filter(began).collect()
    }

    #[track_caller]
    pub fn went(&self, ok: bool) -> &Self {
        assert_eq!(self.ok, ok, "{}", self.log);
        self
    }
}

/// A run that is under way.
pub struct Going<'a> {
    act: Child,
    world: &'a World,
    is_over: bool,
}

impl Going<'_> {
    /// The process of the step that runs `preview`: the one that GitHub signals when a job is cancelled, and
    /// no child of it.
    pub fn step(&self) -> u32 {
        until("a step that runs preview", || self.preview().is_some());
        let preview = self.preview().unwrap();
        let of_parent = |file: &str| std::fs::read_to_string(format!("/proc/{}/{file}", parent(preview)));
        assert_eq!(of_parent("comm").unwrap().trim(), "act", "preview is a child of the step's process");
        preview
    }

    /// The process of `preview`, once it has begun.
    fn preview(&self) -> Option<u32> {
        std::fs::read_to_string(self.world.path("pid")).ok()?.trim().parse().ok()
    }

    /// Waits for the end.
    pub fn ended(mut self) -> Run {
        let ok = self.act.wait().unwrap().success();
        self.is_over = true;
        let log = std::fs::read(self.world.path("act.log")).unwrap();
        Run { ok, log: String::from_utf8_lossy(&log).into_owned() }
    }
}

impl Drop for Going<'_> {
    /// Of a test that failed nothing goes on.
    fn drop(&mut self) {
        let is_ours =
            |pid: &u32| std::fs::read_link(format!("/proc/{pid}/exe")).ok() == std::env::current_exe().ok();
        if !self.is_over {
            if let Some(pid) = self.preview().filter(is_ours) {
                signal(pid, "KILL");
            }
            self.act.wait().ok();
        }
    }
}

/// The parent of a process.
fn parent(pid: u32) -> u32 {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    let after_its_name = stat.rsplit_once(')').unwrap().1;
    after_its_name.split_whitespace().nth(1).unwrap().parse().unwrap()
}

/// Lets an event happen in the caller's repository, whose `with` has this, too.
pub fn happens(world: &World, event: &Value, with: &str) -> Run {
    begins(world, event, with).ended()
}

/// The same, and does not wait for the end. One at a time in a world, as GitHub's groups see to.
pub fn begins<'a>(world: &'a World, event: &Value, with: &str) -> Going<'a> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let (program, folder, event_file) = (world.path("preview"), world.path("act"), world.path("event.json"));
    std::fs::remove_file(world.path("pid")).ok();
    // The tool of this very build, as the release would be fetched.
    let script = format!(
        "#!/bin/sh\necho $$ >'{}'\nTEST_PREVIEW=1 exec '{}' --exact --nocapture preview -- \"$@\"\n",
        world.path("pid"),
        std::env::current_exe().unwrap().display()
    );
    std::fs::write(&program, script).unwrap();
    std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).unwrap();
    std::fs::write(&event_file, event.to_string()).unwrap();
    let given = if with.is_empty() { String::new() } else { format!(", {with}") };
    let mut act = Command::new("bash");
    act.arg("-c").arg(format!(
        "set -euo pipefail; for part in common python act; do . '{}/scripts/lib/'$part.sh; done\n\
         act_prepare '{folder}' '{{ preview-path: {program}{given} }}'\n\
         act_run '{folder}' '{event_file}' \"$@\"",
        root.display(),
    ));
    act.arg("act");
    for (name, value) in VARIABLES {
        act.args(["--var", &format!("{name}={value}")]);
    }
    act.args(["--secret", "GITHUB_TOKEN=the-jobs-token"]);
    act.args(["--secret", "STG_DATABASE_URL=postgresql://app:canary-of-the-url@db/app"]);
    for name in OF_THE_RUNNER {
        act.args(["--env", &format!("{name}={}", world.get(name))]);
    }
    // A pipe that nobody reads would hold it up.
    let log = File::create(world.path("act.log")).unwrap();
    act.stdin(Stdio::null()).stdout(log.try_clone().unwrap()).stderr(log);
    Going { act: act.spawn().unwrap(), world, is_over: false }
}

/// Something was done to a pull request with the label `preview`.
pub fn pull_request(action: &str, number: u64) -> Value {
    let state = if action == "closed" { "closed" } else { "open" };
    json!({
        "action": action,
        "repository": { "full_name": "acme/api", "default_branch": "main" },
        "pull_request": {
            "number": number, "state": state, "labels": [{ "name": "preview" }], "user": { "login": "octocat" },
            "title": "a `whoami` $(id) \"quoted\" title",
            "head": { "sha": HEAD, "ref": "change", "repo": { "full_name": "acme/api" } },
            "base": { "sha": HEAD, "ref": "main" },
        },
    })
}

/// The clock of the sweep has struck.
pub fn schedule() -> Value {
    json!({ "schedule": "17 * * * *" })
}
