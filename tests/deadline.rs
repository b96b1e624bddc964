//! A run ends by its deadline, whatever an application takes to start.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use std::time::Duration;

use preview_agent::deploy::Timings;
use serde_json::Value;
use support::agent::{Running, has};
use support::configs::SERVER;
use support::wait::seconds;
use support::world::World;

const DEADLINE: Duration = Duration::from_secs(10);

/// A server that starts at once, and when it is started again only after this.
fn slow_again(world: &World, slow: &str) -> String {
    let script = format!("[ -e /tmp/begun ] && {slow}; touch /tmp/begun; exec python -c \"$0\"");
    let command = serde_json::json!(["sh", "-c", script, SERVER]);
    world.light("good", &format!("  command: {command}\n"), "database: off\nmigrate: off\n")
}

/// Deploys one that never answers, with little time for it all.
fn fails_by_its_deadline(world: &World, agent: &mut Running<'_>) -> Value {
    let more = format!("database: off\nmigrate: off\ndeadline: {}s\n", DEADLINE.as_secs());
    agent.reload(&world.light("good", "  command: [sleep, \"600\"]\n", &more));
    let status = agent.wait_for_end_of_run(2);
    let run = &status["run"];
    assert_eq!(run["outcome"], "failed", "{status}");
    assert_eq!(status["fault"]["code"], "health_timeout", "{status}");
    // Beyond it the successor is stopped, and a probe that has begun is let end.
    let Timings { unproven_grace, probe, .. } = Timings::default();
    let most = (DEADLINE + unproven_grace + probe).as_secs();
    let took = seconds(&run["finished"]) - seconds(&run["started"]);
    assert!(took <= i64::try_from(most).unwrap(), "{took} s: {status}");
    let health = status["phases"].as_array().unwrap().iter().find(|phase| phase["name"] == "health").unwrap();
    let end = health["start_ms"].as_u64().unwrap() + health["ms"].as_u64().unwrap();
    assert!(end < 9500, "a tenth is the way back's: {status}");
    assert_eq!(status["service"]["state"], "degraded", "{status}");
    assert_eq!(status["service"]["cause"]["class"], "app", "{status}");
    has(&status["service"]["cause"]["message"], "not healthy");
    status
}

#[test]
fn an_old_application_that_is_slow_to_start_again_is_up_later_and_the_run_ends_in_time() {
    let world = World::new();
    let mut agent = world.serve(&slow_again(&world, "sleep 25"));
    let failed = fails_by_its_deadline(&world, &mut agent);
    let status = agent.wait_for("the old application", |status| status["service"]["state"] == "up");
    assert_eq!((&status["run"], world.get("/").0), (&failed["run"], 200), "the run stays as it ended");
    assert!(status["service"].get("cause").is_none(), "{status}");
}

#[test]
fn an_old_application_that_is_never_healthy_again_does_not_keep_its_run_from_ending() {
    let world = World::new();
    let mut agent = world.serve(&slow_again(&world, "exec sleep 600"));
    fails_by_its_deadline(&world, &mut agent);
}

#[test]
fn an_application_that_was_left_no_time_is_not_known_to_be_bad() {
    let world = World::new();
    let (never, off) = ("  command: [sleep, \"600\"]\n", "database: off\nmigrate: off\ndeadline: 12s\n");
    let mut agent = world.serve(&world.light("good", "", off));
    let slow = "jobs: [{ name: slow, command: [sleep, \"9\"], timeout: 12s }]\n";
    agent.reload(&world.light("good", never, &format!("{off}{slow}")));
    assert_eq!(agent.wait_for_end_of_run(2)["fault"]["code"], "deadline_exceeded");
    agent.stop();
    let mut agent = world.start(&world.light("good", never, &format!("{off}{slow}")));
    let status = agent.wait_for_end_of_run(3);
    assert!(!status["fault"]["message"].as_str().unwrap().contains("not tried again unasked"), "{status}");
}
