//! What an earlier agent has deployed and written down is taken over by this one.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use std::process::{Command, Stdio};

use serde_json::Value;
use support::agent::Ran;
use support::engine::inspect;
use support::peers::peers;
use support::world::World;

/// The same command for the executable of the earlier agent, run to its end.
fn before(world: &World, config: &str) -> Ran {
    world.write_config(config);
    let now = world.run(&["--once"]);
    let mut before = Command::new(std::env::var("AGENT_BEFORE").expect("AGENT_BEFORE: its executable"));
    before.env_clear().stdin(Stdio::null()).args(now.get_args());
    before.envs(now.get_envs().filter_map(|(name, value)| value.map(|value| (name, value))));
    world.ran(before)
}

#[test]
#[ignore = "run by scripts/soak upgrade"]
fn what_the_agent_before_has_deployed_goes_on_and_nothing_runs_again() {
    let world = World::new();
    let own = format!("{}/tools/psql:15", peers().registry);
    let once = "psql, -v, ON_ERROR_STOP=1, -c, CREATE TABLE once (id int)";
    let config = world.config(
        "good",
        &format!(
            "jobs:\n- {{ name: own, image: \"{own}\", command: [{once}] }}\n\
             - {{ name: with-the-app, command: [\"true\"] }}\n"
        ),
    );
    before(&world, &config).is_ready();
    let serving = world.app_container();
    let started = inspect(&serving, "{{.State.StartedAt}}");

    let ran = world.run_once(&config).ready();
    assert_eq!((ran.phase("jobs"), ran.phase("migrate")), ("kept", "kept"), "{}", ran.status);
    assert_eq!((world.app_container(), inspect(&serving, "{{.State.StartedAt}}")), (serving, started));
    for job in ["own", "with-the-app", "migrate"] {
        assert_eq!(world.times_run(job), 1, "{job}");
    }
    // And so it stays.
    let ran = world.run_once(&config).ready();
    assert_eq!((ran.phase("jobs"), ran.phase("migrate")), ("kept", "kept"), "{}", ran.status);
    let state: Value =
        serde_json::from_slice(&std::fs::read(world.path("state").join("state.json")).unwrap()).unwrap();
    assert_eq!((state["databases"].as_array().map(Vec::len), state.get("done")), (Some(1), None));
}

#[test]
#[ignore = "run by scripts/soak upgrade"]
fn a_new_image_after_the_upgrade_is_deployed_as_ever() {
    let world = World::new();
    before(&world, &world.config("good", "")).is_ready();
    let serving = world.app_container();
    let ran = world.run_once(&world.config("v2", "")).ready();
    assert_eq!((ran.phase("migrate"), world.app_container() == serving), ("done", false));
    assert_eq!(world.times_run("migrate"), 2);
    // And the way back: the schema is where the record says, or ahead of the image.
    let ran = world.run_once(&world.config("good", "")).ready();
    assert_eq!(ran.phase("migrate"), "kept", "{}", ran.status);
    assert_eq!(world.times_run("migrate"), 2);
}
