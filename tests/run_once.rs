//! `agent run --once` on real parts: engine, registry, PostgreSQL, the sample application.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use support::engine::inspect;
use support::world::World;

#[test]
fn a_first_boot_ends_with_a_healthy_migrated_application() {
    let world = World::new();
    let ran = world.run_once(&world.config("good", "")).ready();
    assert_eq!(ran.status["service"]["state"], "up");
    assert_eq!(ran.status["image"]["source"], "pulled");
    assert_eq!(ran.status["migration"]["to"], "0002");
    assert_eq!(world.sql("SELECT count(*) FROM tasks"), "4");
    assert_eq!(world.containers("app").len(), 1);
    assert_eq!(world.containers("migrate").len(), 0);
}

#[test]
fn the_parameter_is_byte_for_byte_the_file_and_written_seldom() {
    let world = World::new();
    world.run_once(&world.config("good", ""));
    let writes = world.ssm.writes().len();
    assert!((1..=8).contains(&writes), "{writes} writes for a clean deployment");
    assert_eq!(world.ssm.value("/test/status").unwrap().into_bytes(), world.status_bytes());
}

#[test]
fn a_second_run_on_a_converged_machine_touches_no_container() {
    let world = World::new();
    world.run_once(&world.config("good", ""));
    let before = inspect(&world.containers("app")[0], "{{.Id}} {{.State.StartedAt}}");
    let ran = world.run_once(&world.config("good", "")).ready();
    let after = inspect(&world.containers("app")[0], "{{.Id}} {{.State.StartedAt}}");
    assert_eq!(before, after);
    let kept: Vec<&str> =
        ran.status["phases"].as_array().unwrap().iter().map(|p| p["state"].as_str().unwrap()).collect();
    assert_eq!(kept, ["done", "done", "done", "skipped", "kept", "kept", "done"]);
}
