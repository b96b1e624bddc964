//! Reloads, stops and crashes in the midst of a run: a migration is never cut
//! or doubled, and what is left behind converges.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use serde_json::Value;
use support::engine::{inspect, let_go, runs};
use support::wait::eventually;
use support::world::World;

/// A migration that runs until the test lets it go on, and leaves a mark each time it does.
const HELD: &str = "until [ -e /tmp/go ]; do sleep 0.1; done; alembic upgrade head; \
                    python -c 'import sqlalchemy as s, app.database as d\nwith d.engine.begin() as c: \
                    c.execute(s.text(\"INSERT INTO marks VALUES (1)\"))'";

fn held(world: &World) -> String {
    world.sql("CREATE TABLE IF NOT EXISTS marks (mark int)");
    format!("migrate:\n  command: [sh, -c, {HELD:?}]\n")
}

fn outcome(status: &Value) -> &str {
    status["run"]["outcome"].as_str().unwrap()
}

#[test]
fn reloads_during_a_migration_wait_for_it_and_the_newest_wins() {
    let world = World::new();
    let recording = world.record();
    let mut agent = world.start(&world.config("good", &held(&world)));
    let migration = world.running_migration();
    let reread = |times: usize| {
        eventually("the reload is taken", || {
            agent.stderr().matches("the configuration was read again").count() == times
        });
    };
    let app = |value: &str| world.app(&format!("    RELOADED: {value}\n"));
    // The first reload asks for the same migration, the second for another one.
    agent.reload(&world.config("good", &(held(&world) + &app("once"))));
    reread(1);
    let again = "migrate:\n  command: [sh, -c, 'sleep 1; alembic upgrade head']\n".to_owned();
    agent.reload(&world.config("good", &(again + &app("twice"))));
    reread(2);
    assert!(runs(&migration));
    assert_eq!(world.status().unwrap()["run"]["sequence"], 1);
    let_go(&migration);
    let status = agent.is_ready(2);
    let id = status["run"]["id"].as_str().unwrap();
    assert!(agent.stderr().contains(&format!("superseded by run {id}")), "{}", agent.stderr());
    assert_eq!(recording.most_at_once("migrate"), 1);
    assert_eq!(recording.count("migrate", "create"), 2);
    assert_eq!(recording.count("app", "create"), 1, "the superseded run did not get that far");
    assert_eq!(world.sql("SELECT count(*) FROM marks"), "1");
    let env = inspect(&world.app_container(), "{{json .Config.Env}}");
    assert!(env.contains("RELOADED=twice"), "{env}");
}

#[test]
fn a_reload_between_two_tries_of_a_failing_migration_does_not_wait_for_the_others() {
    let world = World::new();
    let mut agent = world.start(&world.config("good", "migrate:\n  command: [sh, -c, 'echo no; exit 5']\n"));
    agent.wait_for("a second try", |status| {
        status["phases"].as_array().into_iter().flatten().any(|phase| phase["attempts"].as_u64() >= Some(2))
    });
    agent.reload(&world.config("good", ""));
    agent.is_ready(2);
    assert!(agent.stderr().contains("superseded by run"), "{}", agent.stderr());
}

#[test]
fn a_migration_outlives_the_agents_crash_and_is_adopted() {
    let world = World::new();
    let recording = world.record();
    let config = world.config("good", &held(&world));
    let agent = world.start(&config);
    let migration = world.running_migration();
    agent.crash();
    assert!(runs(&migration));
    let mut agent = world.start(&config);
    agent.wait_for("migration of the second run", |status| {
        status["run"]["sequence"] == 2 && status["run"]["phase"] == "migrate"
    });
    let_go(&migration);
    let status = agent.is_ready(2);
    assert_eq!(status["migration"]["to"], "0002");
    assert_eq!(recording.count("migrate", "create"), 1);
    assert_eq!(world.sql("SELECT count(*) FROM marks"), "1");
    assert_eq!(world.containers("migrate").len(), 0);
}

#[test]
fn a_job_before_it_does_not_take_the_evidence_of_a_migration_that_a_crash_left() {
    let world = World::new();
    let recording = world.record();
    let job = "jobs: [{ name: first, command: [\"true\"] }]\n".to_owned();
    let config = world.config("good", &(job + &held(&world)));
    let agent = world.start(&config);
    eventually("the migration after the job", || recording.count("migrate", "start") == 2);
    let migration = world.running_migration();
    agent.crash();
    let_go(&migration);
    let mut agent = world.start(&config);
    agent.is_ready(2);
    assert_eq!(recording.count("migrate", "create"), 2);
    assert_eq!(world.sql("SELECT count(*) FROM marks"), "1");
}

#[test]
fn sigterm_in_a_migration_leaves_it_running_and_the_next_start_adopts_it() {
    let world = World::new();
    let recording = world.record();
    let config = world.config("good", &held(&world));
    let agent = world.start(&config);
    let migration = world.running_migration();
    assert_eq!(agent.stop(), Some(0));
    let status = world.status().unwrap();
    assert_eq!(outcome(&status), "failed", "{status}");
    assert_eq!(status["fault"]["code"], "interrupted");
    assert!(runs(&migration));
    let_go(&migration);
    // It may have ended by the time it is adopted, or not: its result counts either way.
    let mut agent = world.start(&config);
    agent.is_ready(2);
    assert_eq!(recording.count("migrate", "create"), 1);
    assert_eq!(world.sql("SELECT count(*) FROM marks"), "1");
}

#[test]
fn an_agent_that_is_stopped_after_a_failure_says_so() {
    let world = World::new();
    let mut agent = world.start(&world.config("no-such-tag", ""));
    agent.wait_for_end_of_run(1);
    assert_eq!(agent.stop(), Some(0));
    let status = world.status().unwrap();
    assert_eq!((outcome(&status), &status["service"]["state"]), ("failed", &"unwatched".into()), "{status}");
    assert!(status["verdict"].as_str().unwrap().contains("; the agent was stopped"), "{status}");
    assert_eq!(status["fault"]["code"], "image_not_found");
}

#[test]
fn sigterm_leaves_the_app_up_and_unwatched() {
    let world = World::new();
    let agent = world.serve(&world.config("good", ""));
    assert_eq!(agent.stop(), Some(0));
    let status = world.status().unwrap();
    assert_eq!((outcome(&status), &status["service"]["state"]), ("ready", &"unwatched".into()), "{status}");
    assert!(status["verdict"].as_str().unwrap().starts_with("unwatched: "), "{status}");
    assert_eq!(world.ssm.value("/test/status").unwrap().into_bytes(), world.status_bytes());
    assert!(runs(&world.app_container()));
    assert_eq!(world.get("/health").0, 200);
}

/// An application that takes three seconds to stop.
fn slow_to_stop(world: &World, more: &str) -> String {
    let serve = "trap 'sleep 3; exit 0' TERM; uvicorn app.main:app --host 0.0.0.0 --port 8000 & wait";
    world.app(&format!("{more}  command: [sh, -c, {serve:?}]\n"))
}

#[test]
fn sigterm_in_the_swap_leaves_the_old_app_serving() {
    let world = World::new();
    let agent = world.serve(&world.config("good", &slow_to_stop(&world, "")));
    let old = world.app_container();
    let recording = world.record();
    agent.reload(&world.config("v2", &slow_to_stop(&world, "")));
    recording.wait_for("app", "kill");
    assert_eq!(agent.stop(), Some(0));
    let status = world.status().unwrap();
    assert_eq!((outcome(&status), &status["fault"]["code"]), ("failed", &"interrupted".into()), "{status}");
    assert_eq!(status["service"]["state"], "unwatched", "{status}");
    assert_eq!(world.app_container(), old, "the successor is gone");
    // Docker goes on stopping what it was asked to stop: only a start after that proves anything.
    let after_its_end = || {
        let events = recording.of("app");
        let died = events.iter().position(|event| *event == ("die".to_owned(), old.clone()));
        died.is_some_and(|died| events[died..].contains(&("start".to_owned(), old.clone())))
    };
    eventually("the old app is started again", after_its_end);
    assert!(runs(&old));
}

#[test]
fn a_crash_while_the_old_app_is_being_stopped_converges_to_one_container() {
    let world = World::new();
    let agent = world.serve(&world.config("good", &slow_to_stop(&world, "")));
    let old = world.app_container();
    let recording = world.record();
    let config = world.config("v2", &slow_to_stop(&world, ""));
    agent.reload(&config);
    recording.wait_for("app", "kill");
    agent.crash();
    let mut agent = world.start(&config);
    let status = agent.is_ready(3);
    let new = world.app_container();
    assert!(runs(&new) && new != old);
    assert!(status["serving"]["image"].as_str().unwrap().ends_with(":v2"), "{status}");
}

/// An application that serves only once the test lets it.
fn held_app(world: &World) -> String {
    let serve = "trap exit TERM; until [ -e /tmp/go ]; do sleep 0.1; done; \
                 exec uvicorn app.main:app --host 0.0.0.0 --port 8000";
    world.app(&format!("  command: [sh, -c, {serve:?}]\n"))
}

#[test]
fn a_crash_before_the_proof_of_the_new_app_converges_to_it() {
    let world = World::new();
    let agent = world.serve(&world.config("good", ""));
    let old = world.app_container();
    let recording = world.record();
    let config = world.config("v2", &held_app(&world));
    agent.reload(&config);
    recording.wait_for("app", "start");
    agent.crash();
    let new: Vec<String> = world.containers("app").into_iter().filter(|id| *id != old).collect();
    let mut agent = world.start(&config);
    agent.wait_for("health of the third run", |status| {
        status["run"]["sequence"] == 3 && status["run"]["phase"] == "health"
    });
    let_go(&new[0]);
    agent.is_ready(3);
    assert_eq!(world.app_container(), new[0], "what the crash left running is gone on with");
    assert_eq!(recording.count("app", "create"), 1);
}

#[test]
fn a_crash_before_the_proof_and_the_old_configuration_bring_the_old_app_back() {
    let world = World::new();
    let good = world.config("good", "");
    let agent = world.serve(&good);
    let old = world.app_container();
    let recording = world.record();
    agent.reload(&world.config("v2", &held_app(&world)));
    recording.wait_for("app", "start");
    agent.crash();
    let mut agent = world.start(&good);
    agent.is_ready(3);
    assert_eq!(world.app_container(), old);
    assert!(runs(&old));
}

#[test]
fn a_second_agent_is_refused_and_the_firsts_status_stays() {
    let world = World::new();
    let config = world.config("good", "");
    let agent = world.serve(&config);
    let before = world.status_bytes();
    let second = world.run_args(&["run", "--config", world.config_path().to_str().unwrap()]);
    assert_eq!(second.code, Some(75), "{}", second.stderr);
    assert!(second.stderr.contains("another agent already runs"), "{}", second.stderr);
    assert_eq!(world.status_bytes(), before);
    assert_eq!(agent.stop(), Some(0));
}
