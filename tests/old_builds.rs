//! Images that the agent built do not pile up: what serves and what served
//! before it stay, older builds go, and what is not ours is not touched.

// The lints' exemption for tests covers test functions only, not their helpers.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use std::io::Write as _;
use std::process::{Command, Stdio};

use support::github::{GitHub, Tarball};
use support::peers::peers;
use support::world::{World, docker};

/// Deploys a commit by building it, and returns the image that serves.
fn build(world: &World, commit: char) -> String {
    let commit = commit.to_string().repeat(40);
    let base = format!("{}/acme/tasks-api:good", peers().registry);
    let dockerfile = format!("FROM {base}\nENV COMMIT={commit} WORLD={}\n", world.database);
    let github = GitHub::serving(Tarball::of_commit(&commit).file("Dockerfile", dockerfile).gz());
    let more =
        format!("source: {{ repository: acme/api, ref: {commit}, api_url: \"{}\" }}\n", github.api.url());
    let ran = world.run_once(&world.config("never-pushed", &more));
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    assert_eq!(ran.status["image"]["source"], "built");
    docker(&["inspect", "--format", "{{.Image}}", &world.containers("app")[0]])
}

/// An image with these labels, as an agent with this state folder makes it.
fn stale(state: &str) -> String {
    let mut importing = Command::new("docker")
        .args(["import", "--change", "LABEL preview-agent.role=build"])
        .args(["--change", &format!("LABEL preview-agent.scope={state}"), "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut tar = tar::Builder::new(Vec::new());
    let mut header = tar::Header::new_gnu();
    let nonce = fastrand::u128(..).to_string();
    header.set_size(nonce.len() as u64);
    tar.append_data(&mut header, "nonce", nonce.as_bytes()).unwrap();
    importing.stdin.take().unwrap().write_all(&tar.into_inner().unwrap()).unwrap();
    let output = importing.wait_with_output().unwrap();
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

fn exists(image: &str) -> bool {
    !docker(&["image", "inspect", "--format", "{{.Id}}", image]).is_empty()
}

#[test]
fn builds_older_than_the_one_before_go() {
    let mut world = World::new();
    let other_agents = stale("/nowhere/of-another-agent");
    world.image(&other_agents);
    let ours = stale(&world.path("state").display().to_string());
    let first = build(&world, '1');
    assert!(!exists(&ours), "an old build of ours stays");
    let second = build(&world, '2');
    assert!(first != second && exists(&first) && exists(&second));
    let third = build(&world, '3');
    assert!(!exists(&first), "the build before the last stays");
    assert!(exists(&second) && exists(&third));
    assert!(exists(&other_agents), "another agent's image was removed");
}
