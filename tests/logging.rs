//! The agent's own log: structured, quiet about libraries, without secrets.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use support::registry::{Access, FakeRegistry};
use support::ssm::Failure;
use support::world::World;

/// A run that the registry denies, with a token and without: two lines of log at least.
fn denied(world: &mut World, registry: &FakeRegistry) -> String {
    world.secret("/test/token", "canary/token+of~the?log");
    registry.allow(Access::Bearer { user: "octocat".into(), password: "other".into(), anonymous: false });
    let login = format!(
        "registries:\n  {}: {{ username: octocat, password: {{ ssm: /test/token }} }}\n",
        registry.host()
    );
    world.bare(&registry.image("1"), &login)
}

/// Lines of the agent's log, each with its time.
fn log(stderr: &str) -> Vec<&str> {
    stderr.lines().filter(|line| line.starts_with("20") && line.contains('T')).collect()
}

#[test]
fn a_line_has_its_level_its_words_and_fields_by_name() {
    let registry = FakeRegistry::start();
    let mut world = World::new();
    let config = denied(&mut world, &registry);
    // The world searches stderr for every canary by itself.
    let ran = world.run_once(&config);
    let log = log(&ran.stderr);
    let end = log.iter().find(|line| line.contains("outcome=")).expect(&ran.stderr);
    let run = ran.status["run"]["id"].as_str().unwrap();
    assert!(end.contains(" INFO ") && end.contains(&format!("run={run}")), "{end}");
    assert!(end.contains("outcome=failed"), "{end}");
    assert!(end.contains(ran.status["verdict"].as_str().unwrap()), "{end}");
    assert!(log.iter().any(|line| line.contains("asking once anonymously")), "{log:?}");
    assert!(!ran.stderr.contains('\u{1b}'), "colours without a terminal");
}

#[test]
fn libraries_are_heard_from_warnings_on_whatever_the_environment_says() {
    let registry = FakeRegistry::start();
    let mut world = World::new();
    let config = denied(&mut world, &registry);
    world.set_env("RUST_LOG", "trace");
    // Retries of the SDK are what it would speak of.
    world.ssm.fail(2, Failure::Throttled);
    let ran = world.run_once(&config);
    assert!(!log(&ran.stderr).is_empty(), "{}", ran.stderr);
    for line in log(&ran.stderr) {
        assert!([" INFO ", " WARN ", "ERROR "].iter().any(|level| line.contains(level)), "{line}");
        assert!(!line.contains("aws_smithy") && !line.contains("hyper"), "{line}");
    }
    assert!(log(&ran.stderr).len() < 20, "{}", ran.stderr);
}

#[test]
fn a_journal_that_stderr_is_not_connected_to_is_left_alone() {
    let registry = FakeRegistry::start();
    let mut world = World::new();
    let config = denied(&mut world, &registry);
    for stream in ["1:2", "", "garbage"] {
        world.set_env("JOURNAL_STREAM", stream);
        let ran = world.run_once(&config);
        assert!(log(&ran.stderr).iter().any(|line| line.contains("outcome=")), "{}", ran.stderr);
    }
}
