//! The workflow as a caller meets it, run by act: which jobs an event starts, and what `preview` then makes
//! of an account and a pull request. Actions of others are stubs; what differs from GitHub's own runners are
//! variables alone.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::exit)]

mod support;

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};
use support::account::{GROUP, SUBNET};
use support::github::HEAD;
use support::status::{document, failed, says};
use support::world::{World, act_as_preview};

#[test]
fn preview() {
    act_as_preview();
}

/// How a run of the workflow ended.
struct Run {
    ok: bool,
    log: String,
}

impl Run {
    /// The jobs that were started.
    fn jobs(&self) -> Vec<&str> {
        let known = ["skipped", "build", "up", "down", "sweep"];
        let began = |job: &&str| {
            self.log
                .lines()
                .any(|line| line.contains(&format!("/{job}]")) || line.contains(&format!("/{job} ")))
        };
        known.into_iter().filter(began).collect()
    }

    #[track_caller]
    fn went(&self, ok: bool) -> &Self {
        assert_eq!(self.ok, ok, "{}", self.log);
        self
    }
}

/// Lets an event happen in the caller's repository.
fn happens(world: &World, event: &Value, with: &str) -> Run {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let program = world.path("preview");
    // The tool of this very build, as the release would be fetched.
    let own = std::env::current_exe().unwrap();
    let script =
        format!("#!/bin/sh\nTEST_PREVIEW=1 exec {} --exact --nocapture preview -- \"$@\"\n", own.display());
    std::fs::write(&program, script).unwrap();
    std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).unwrap();
    std::fs::write(world.path("event.json"), event.to_string()).unwrap();
    let variables = [
        ("AWS_REGION", "eu-central-1"),
        ("AWS_ROLE", "arn:aws:iam::123456789012:role/previews"),
        ("SUBNET_ID", SUBNET),
        ("SG_ID", GROUP),
        ("INSTANCE_PROFILE", "preview"),
    ];
    let mut act = Command::new("bash");
    let given = if with.is_empty() { String::new() } else { format!(", {with}") };
    act.arg("-c").arg(format!(
        "set -euo pipefail; for part in common python act; do . '{}/scripts/lib/'$part.sh; done\n\
         act_prepare '{}' '{{ preview-path: {program}{given} }}'\n\
         act_run '{}' '{}' \"$@\"",
        root.display(),
        world.path("act"),
        world.path("act"),
        world.path("event.json"),
    ));
    act.arg("act");
    for (name, value) in variables {
        act.args(["--var", &format!("{name}={value}")]);
    }
    act.args(["--secret", "GITHUB_TOKEN=the-jobs-token"]);
    act.args(["--secret", "STG_DATABASE_URL=postgresql://app:canary-of-the-url@db/app"]);
    for name in [
        "AWS_ENDPOINT_URL",
        "AWS_ACCESS_KEY_ID",
        "AWS_SECRET_ACCESS_KEY",
        "AWS_CONFIG_FILE",
        "AWS_SHARED_CREDENTIALS_FILE",
        "GITHUB_API_URL",
        "PREVIEW_AGENT_RELEASE",
        "PREVIEW_AGENT_SUMS",
        "PREVIEW_CHECKIP_URL",
    ] {
        act.args(["--env", &format!("{name}={}", world.get(name))]);
    }
    let output = act.output().unwrap();
    let log = [output.stdout, output.stderr].concat();
    Run { ok: output.status.success(), log: String::from_utf8_lossy(&log).into_owned() }
}

fn pull_request(action: &str) -> Value {
    let state = if action == "closed" { "closed" } else { "open" };
    json!({
        "action": action,
        "repository": { "full_name": "acme/api", "default_branch": "main" },
        "pull_request": {
            "number": 7, "state": state, "labels": [{ "name": "preview" }], "user": { "login": "octocat" },
            "title": "a `whoami` $(id) \"quoted\" title",
            "head": { "sha": HEAD, "ref": "change", "repo": { "full_name": "acme/api" } },
            "base": { "sha": HEAD, "ref": "main" },
        },
    })
}

#[test]
fn a_pull_request_gets_its_url_in_a_comment_and_leaves_nothing_when_it_closes() {
    let world = World::new();
    world.account.on_launch(|id, inner| says(inner, 7, &document(id, 7, "ready")));
    let run = happens(&world, &pull_request("opened"), "");
    assert_eq!(run.went(true).jobs(), ["build", "up"], "{}", run.log);
    assert!(run.log.contains("Preview URL: http://127.0.0.1:8000"), "{}", run.log);
    assert!(!run.log.contains("canary-of"), "{}", run.log);
    let [comment] = world.github.comments(7).try_into().unwrap();
    assert!(comment.contains("http://127.0.0.1:8000"), "{comment}");
    assert_eq!((world.account.alive().len(), world.github.deployed(7)), (1, vec!["success".to_owned()]));

    let run = happens(&world, &pull_request("synchronize"), "");
    assert_eq!(run.went(true).jobs(), ["build", "up"]);
    assert_eq!((world.account.alive().len(), world.github.comments(7).len()), (1, 1));

    world.github.close(7);
    let run = happens(&world, &pull_request("closed"), "");
    assert_eq!(run.went(true).jobs(), ["down"]);
    assert_eq!((world.account.alive().len(), world.account.rules(GROUP)), (0, vec![]));
    assert_eq!(world.account.parameters(), Vec::<String>::new());
    assert!(world.github.deployed(7).iter().all(|state| state == "inactive"));
}

#[test]
fn a_failing_migration_is_a_red_check_with_its_log() {
    let world = World::new();
    world.account.on_launch(|id, inner| says(inner, 7, &failed(id, 7)));
    world.account.lock().log = "alembic: Can't locate revision identified by '0009'".to_owned();
    let run = happens(&world, &pull_request("opened"), "");
    assert_eq!(run.went(false).jobs(), ["build", "up"]);
    let [comment] = world.github.comments(7).try_into().unwrap();
    for words in ["migration_failed", "Correct the migration.", "Can't locate revision"] {
        assert!(comment.contains(words), "{words}: {comment}");
    }
}

#[test]
fn forks_dependabot_and_other_labels_start_nothing_that_has_rights() {
    let world = World::new();
    let mut fork = pull_request("opened");
    fork["pull_request"]["head"]["repo"]["full_name"] = "eve/api".into();
    assert_eq!(happens(&world, &fork, "").went(true).jobs(), ["skipped"]);
    let mut dependabot = pull_request("opened");
    dependabot["pull_request"]["user"]["login"] = "dependabot[bot]".into();
    assert_eq!(happens(&world, &dependabot, "").went(true).jobs(), ["skipped"]);
    let mut labeled = pull_request("labeled");
    labeled["label"] = json!({ "name": "size/S" });
    assert_eq!(happens(&world, &labeled, "label: preview").went(true).jobs(), Vec::<&str>::new());
    assert_eq!(world.account.lock().seen.len(), 0);
}

#[test]
fn the_schedule_takes_away_what_no_run_has_taken_down() {
    let world = World::new();
    world.account.on_launch(|id, inner| says(inner, 7, &document(id, 7, "ready")));
    world.run(&["up", "7"]).ended(0);
    world.github.close(7);
    let run = happens(&world, &json!({ "schedule": "17 * * * *" }), "");
    assert_eq!(run.went(true).jobs(), ["sweep"], "{}", run.log);
    assert_eq!((world.account.alive().len(), world.account.rules(GROUP)), (0, vec![]));
}
