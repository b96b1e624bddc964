//! SIGHUP: what the configuration says now is deployed in place, and what
//! serves goes on serving where that fails.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use serde_json::Value;
use support::agent::Running;
use support::engine::{inspect, runs};
use support::forwarder::Forwarder;
use support::peers::peers;
use support::world::World;

fn version(world: &World) -> String {
    let (_, body) = world.get("/health");
    serde_json::from_str::<Value>(&body).unwrap()["version"].as_str().unwrap().to_owned()
}

fn life(container: &str) -> String {
    inspect(container, "{{.Id}} {{.State.StartedAt}}")
}

/// The run with this sequence failed with this code, and the image `good` serves as before it; its status.
fn failed_and_serving(world: &World, agent: &mut Running<'_>, sequence: u64, code: &str) -> Value {
    let status = agent.wait_for_end_of_run(sequence);
    assert_eq!(status["run"]["outcome"], "failed", "{status}");
    assert_eq!(status["fault"]["code"], code, "{status}");
    assert_eq!(status["service"]["state"], "up", "{status}");
    assert!(status["serving"]["image"].as_str().unwrap().ends_with(":good"), "{status}");
    assert!(status["serving"]["run"].as_str().unwrap().starts_with("1-"), "{status}");
    let verdict = status["verdict"].as_str().unwrap();
    assert!(verdict.starts_with("failed in ") && verdict.contains(code), "{verdict}");
    assert!(verdict.contains("; serving the previous "), "{verdict}");
    assert_eq!(world.get("/health").0, 200);
    status
}

#[test]
fn a_good_image_takes_the_place_of_the_old_one() {
    let world = World::new();
    let mut agent = world.serve(&world.config("good", ""));
    let old = world.app_container();
    let before = version(&world);
    agent.reload(&world.config("v2", ""));
    let status = agent.is_ready(2);
    assert!(status["serving"]["image"].as_str().unwrap().ends_with(":v2"), "{status}");
    assert_ne!(world.app_container(), old);
    assert_eq!((before.as_str(), version(&world).as_str()), ("1.0.0", "2.0.0"));
    assert_eq!(world.containers("migrate").len(), 0);
}

#[test]
fn an_image_that_does_not_exist_leaves_the_old_app_untouched() {
    let world = World::new();
    let mut agent = world.serve(&world.config("good", ""));
    let app = world.app_container();
    let before = life(&app);
    agent.reload(&world.config("no-such-tag", ""));
    let status = failed_and_serving(&world, &mut agent, 2, "image_not_found");
    assert_eq!(status["fault"]["phase"], "image");
    assert_eq!(life(&world.app_container()), before);
    assert!(inspect(&app, "/{{.Name}}").ends_with(status["app"]["container"].as_str().unwrap()));
}

#[test]
fn an_image_that_never_gets_healthy_gives_way_to_the_old_app_and_is_kept_for_its_logs() {
    let world = World::new();
    let mut agent = world.serve(&world.config("good", ""));
    let old = world.app_container();
    agent.reload(&world.config("never-healthy", "deadlines: { health: 15s }\nhealth: [{ http: /health }]"));
    let status = failed_and_serving(&world, &mut agent, 2, "health_status");
    assert_eq!(status["fault"]["phase"], "health");
    let failed: Vec<String> = world.containers("app").into_iter().filter(|id| *id != old).collect();
    assert_eq!(failed.len(), 1, "the failed container is kept");
    assert!(!runs(&failed[0]));
    assert!(runs(&old));
    assert!(inspect(&old, "/{{.Name}}").ends_with(status["app"]["container"].as_str().unwrap()));
    // The next good one clears up.
    agent.reload(&world.config("v2", ""));
    agent.is_ready(3);
    assert!(!world.containers("app").contains(&failed[0]));
    world.app_container();
}

#[test]
fn on_failure_leave_keeps_the_old_app_stopped_and_says_that_it_is_down() {
    let world = World::new();
    let mut agent = world.serve(&world.config("good", ""));
    let old = world.app_container();
    let app = world.app("  on_failure: leave\n");
    agent.reload(&world.config("exits", &app));
    let status = agent.wait_for_end_of_run(2);
    assert_eq!(status["run"]["outcome"], "failed");
    assert_eq!(status["service"]["state"], "down", "{status}");
    assert_eq!(status["service"]["cause"]["code"], "app_exited", "{status}");
    assert!(status["serving"].is_null(), "{status}");
    assert!(!runs(&old));
    // What the failed run says stays; nobody takes the old one's end for news.
    agent.reload(&world.config("good", &app));
    let status = agent.wait_for_end_of_run(3);
    assert_eq!((&status["run"]["outcome"], &status["service"]["state"]), (&"ready".into(), &"up".into()));
    assert_eq!(world.app_container(), old, "the one that was left is what is asked for");
}

#[test]
fn an_app_that_ends_at_its_start_is_caught_at_once_with_exit_code_and_tail() {
    let world = World::new();
    let mut agent = world.serve(&world.config("good", ""));
    // Far longer than a test waits: it is caught by its end, not by the deadline.
    agent.reload(&world.config("exits", "deadlines: { health: 15m }"));
    let status = failed_and_serving(&world, &mut agent, 2, "app_exited");
    assert!(status["fault"]["message"].as_str().unwrap().contains("exit code 3"), "{status}");
    assert!(status["fault"]["tail"].as_str().unwrap().contains("ModuleNotFoundError"), "{status}");
}

#[test]
fn a_reload_with_nothing_changed_touches_no_container() {
    let world = World::new();
    let mut agent = world.serve(&world.config("good", ""));
    let before = life(&world.app_container());
    let recording = world.record();
    agent.reload(&world.config("good", ""));
    let status = agent.is_ready(2);
    assert_eq!(life(&world.app_container()), before);
    assert!(status["serving"]["run"].as_str().unwrap().starts_with("1-"), "{status}");
    assert_eq!((recording.of("app"), recording.of("migrate")), (vec![], vec![]));
}

#[test]
fn a_rotated_secret_is_a_change() {
    let mut world = World::new();
    world.secret("/test/dsn-to-come", "https://canary-of-the-next-dsn@sentry.invalid/43");
    let mut agent = world.serve(&world.config("good", ""));
    let old = world.app_container();
    world.ssm.set("/test/dsn", "https://canary-of-the-next-dsn@sentry.invalid/43");
    agent.reload(&world.config("good", ""));
    let status = agent.is_ready(2);
    let new = world.app_container();
    assert_ne!(new, old);
    assert!(inspect(&new, "{{json .Config.Env}}").contains("canary-of-the-next-dsn"));
    let phases = status["phases"].as_array().unwrap();
    let migrate = phases.iter().find(|phase| phase["name"] == "migrate").unwrap();
    assert_eq!(migrate["state"], "kept", "a new secret is no new migration");
}

#[test]
fn a_bad_configuration_changes_nothing_and_the_status_says_so() {
    let world = World::new();
    let mut agent = world.serve(&world.config("good", ""));
    let before = life(&world.app_container());
    agent.reload("image: [not, an, image]\nbogus: true\n");
    let refused = |status: &Value| {
        status["notes"].as_array().is_some_and(|notes| {
            notes.iter().any(|note| note.as_str().unwrap().starts_with("reload refused: "))
        })
    };
    let status = agent.wait_for("a note of the refused reload", refused);
    assert_eq!(status["run"]["sequence"], 1);
    assert_eq!((&status["run"]["outcome"], &status["service"]["state"]), (&"ready".into(), &"up".into()));
    assert!(status["verdict"].as_str().unwrap().contains("reload refused"), "{status}");
    assert_eq!(life(&world.app_container()), before);
    agent.reload(&world.config("good", ""));
    let status = agent.wait_for_end_of_run(2);
    assert!(!refused(&status), "{status}");
}

/// The configuration with the registry behind a forwarder that can be cut.
fn through(forwarder: &Forwarder, config: &str) -> String {
    config.replace(&peers().registry, forwarder.address()) + "tries: { pull: 1 }\n"
}

#[test]
fn a_registry_that_is_away_fails_only_what_has_changed() {
    let mut world = World::new();
    let registry = Forwarder::to(&peers().registry);
    for tag in ["good", "v2"] {
        world.image(&format!("{}/acme/tasks-api:{tag}", registry.address()));
    }
    let same = through(&registry, &world.config("good", ""));
    let mut agent = world.serve(&same);
    let before = life(&world.app_container());
    registry.cut();
    agent.reload(&same);
    assert_kept(&mut agent, 2, "registry_unreachable");
    agent.reload(&through(&registry, &world.config("v2", "")));
    failed_and_serving(&world, &mut agent, 3, "registry_unreachable");
    // Started anew without the registry: the same.
    agent.stop();
    let mut agent = world.start(&same);
    assert_kept(&mut agent, 4, "registry_unreachable");
    assert_eq!(life(&world.app_container()), before);
}

#[test]
fn a_denied_parameter_fails_only_what_has_changed() {
    let world = World::new();
    let config = world.config("good", "");
    let mut agent = world.serve(&world.config("good", ""));
    let before = life(&world.app_container());
    world.ssm.deny("/test/database-password");
    agent.reload(&config);
    assert_kept(&mut agent, 2, "parameter_denied");
    agent.reload(&world.config("v2", ""));
    failed_and_serving(&world, &mut agent, 3, "parameter_denied");
    agent.stop();
    let mut agent = world.start(&config);
    assert_kept(&mut agent, 4, "parameter_denied");
    assert_eq!(life(&world.app_container()), before);
}

/// The run with this sequence kept what serves, since what it asks for could not be read anew.
fn assert_kept(agent: &mut Running<'_>, sequence: u64, code: &str) {
    let status = agent.wait_for_end_of_run(sequence);
    assert_eq!((&status["run"]["outcome"], &status["service"]["state"]), (&"ready".into(), &"up".into()));
    assert!(status["fault"].is_null(), "{status}");
    assert!(status["notes"][0].as_str().unwrap().contains(code), "{status}");
    assert!(status["verdict"].as_str().unwrap().contains("not refreshed"), "{status}");
    assert!(status["serving"]["run"].as_str().unwrap().starts_with("1-"), "{status}");
}
