//! Images that the agent built do not pile up: what serves and what served
//! before it stay, older builds go, and what is not ours is not touched.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use support::engine::{docker_try, inspect};
use support::github::{GitHub, Tarball};
use support::peers::peers;
use support::variant::stale_build;
use support::world::World;

/// Deploys a commit by building it, and returns the image that serves.
fn build(world: &World, commit: char) -> String {
    let commit = commit.to_string().repeat(40);
    let base = format!("{}/acme/tasks-api:good", peers().registry);
    let dockerfile = format!("FROM {base}\nENV COMMIT={commit} WORLD={}\n", world.database);
    let github = GitHub::serving(Tarball::of_commit(&commit).file("Dockerfile", dockerfile).gz());
    let ran = world.run_once(&world.config("never-pushed", &github.api.source(&commit))).ready();
    assert_eq!(ran.status["image"]["source"], "built");
    inspect(&world.containers("app")[0], "{{.Image}}")
}

fn exists(image: &str) -> bool {
    docker_try(&["image", "inspect", image]).is_ok()
}

#[test]
fn builds_older_than_the_one_before_go() {
    let mut world = World::new();
    let other_agents = stale_build("/nowhere/of-another-agent");
    world.image(&other_agents);
    let ours = stale_build(&world.path("state").display().to_string());
    let first = build(&world, '1');
    assert!(!exists(&ours), "an old build of ours stays");
    let second = build(&world, '2');
    assert!(first != second && exists(&first) && exists(&second));
    assert_eq!(build(&world, '2'), second);
    assert!(exists(&first), "another run of the same takes the way back");
    let third = build(&world, '3');
    assert!(!exists(&first), "the build before the last stays");
    assert!(exists(&second) && exists(&third));
    assert!(exists(&other_agents), "another agent's image was removed");
}
