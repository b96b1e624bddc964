//! What happens to the application after the run is seen at once, with whose fault it is.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::Value;
use support::engine::{docker, inspect, let_go, runs};
use support::ledger::{Halt, Point};
use support::postgres::Postgres;
use support::proxy::Proxy;
use support::trouble::Moment;
use support::world::World;

/// Far less than the 30 s in which three probes would miss it.
const AT_ONCE: Duration = Duration::from_secs(10);

fn down(status: &Value) -> bool {
    status["service"]["state"] == "down"
}

fn up(status: &Value) -> bool {
    status["service"]["state"] == "up"
}

fn cause(status: &Value) -> &str {
    status["service"]["cause"]["message"].as_str().unwrap()
}

#[test]
fn an_app_killed_between_the_run_and_the_watch_is_down_for_the_same_reason() {
    let (mut world, proxy) = (World::new(), Proxy::start());
    world.set_env("DOCKER_HOST", &proxy.docker());
    // Its container is told to restart from now on: the last step of the run.
    let last = Point { kind: "docker.update.app.1".to_owned(), nth: 1 };
    proxy.count(Some(Halt { point: last, moment: Moment::After, cut: false }));
    let mut agent = world.start(&world.config("good", ""));
    agent.wait_for("the run's last step", |_| proxy.halted(Duration::from_millis(20)));
    docker(&["kill", &world.app_container()]);
    proxy.go_on();
    let status = agent.wait_for("service down", down);
    assert_eq!(status["run"]["outcome"], "ready", "{status}");
    assert!(
        cause(&status).contains("exit code 137; signal 9 was sent through Docker, which leaves it stopped"),
        "{status}"
    );
}

#[test]
fn an_app_killed_through_docker_is_down_at_once_and_docker_leaves_it_so() {
    let world = World::new();
    let mut agent = world.serve(&world.config("good", ""));
    let app = world.app_container();
    let killed = Instant::now();
    docker(&["kill", &app]);
    let status = agent.wait_for("service down", down);
    assert!(killed.elapsed() < AT_ONCE, "{:?}", killed.elapsed());
    assert_eq!(status["service"]["cause"]["class"], "app");
    assert_eq!(status["service"]["cause"]["code"], "app_exited");
    assert!(cause(&status).contains("exit code 137"), "{status}");
    assert!(
        cause(&status).contains("; signal 9 was sent through Docker, which leaves it stopped"),
        "{status}"
    );
    assert!(status["service"]["cause"]["tail"].as_str().unwrap().contains("GET /health/db"), "{status}");
    assert_eq!(status["run"]["outcome"], "ready", "what the run did stays true");
    assert!(status["verdict"].as_str().unwrap().starts_with("down: app: app_exited"), "{status}");
    assert_eq!(inspect(&app, "{{.State.Running}} {{.RestartCount}}"), "false 0");
    docker(&["start", &app]);
    let status = agent.wait_for("service up again", up);
    assert!(status["notes"][0].as_str().unwrap().contains("it was started again by hand"), "{status}");
}

#[test]
fn an_app_whose_container_is_removed_is_told_so_and_a_reload_brings_it_back() {
    let world = World::new();
    let config = world.config("good", "");
    let mut agent = world.serve(&config);
    docker(&["rm", "-f", &world.app_container()]);
    agent.wait_for("removal told", |status| status["service"]["cause"]["code"] == "app_removed");
    agent.reload(&config);
    let status = agent.wait_for_end_of_run(2);
    assert_eq!((&status["run"]["outcome"], up(&status)), (&"ready".into(), true), "{status}");
}

#[test]
fn an_app_whose_process_is_killed_is_restarted_by_docker_and_that_is_told() {
    let world = World::new();
    let mut agent = world.serve(&world.config("good", ""));
    let app = world.app_container();
    let killed = Instant::now();
    let pid = inspect(&app, "{{.State.Pid}}");
    assert!(Command::new("kill").args(["-9", &pid]).status().unwrap().success());
    let status = agent.wait_for("service down", down);
    assert!(killed.elapsed() < AT_ONCE, "{:?}", killed.elapsed());
    assert!(cause(&status).contains("exit code 137"), "{status}");
    assert!(cause(&status).contains("; Docker restart"), "{status}");
    assert!(status["service"]["cause"]["tail"].as_str().unwrap().contains("GET /health/db"), "{status}");
    let status = agent.wait_for("service up again", up);
    assert_eq!(status["app"]["restarts"], 1);
    let note = status["notes"][0].as_str().unwrap();
    assert!(note.contains("exit code 137") && note.contains("Docker restarted it"), "{status}");
    assert_eq!(world.app_container(), app);
}

#[test]
fn an_app_that_ends_again_and_again_is_a_crash_loop() {
    let world = World::new();
    // Healthy until told otherwise; the file outlives a restart.
    let serve = "uvicorn app.main:app --host 0.0.0.0 --port 8000 & \
                 while [ ! -e /tmp/end ]; do sleep 0.1; done; echo the end is near; exit 7";
    let app = world.app(&format!("  command: [sh, -c, {serve:?}]\n"));
    let mut agent = world.serve(&world.config("good", &app));
    docker(&["exec", &world.app_container(), "touch", "/tmp/end"]);
    let status = agent.wait_for("crash loop", |status| {
        status["service"]["cause"]["code"] == "app_crash_loop"
            && status["app"]["restarts"].as_u64() >= Some(3)
    });
    assert!(down(&status));
    assert!(cause(&status).contains("times within minutes"), "{status}");
    assert!(cause(&status).contains("exit code 7; Docker restart"), "{status}");
    assert!(status["service"]["cause"]["tail"].as_str().unwrap().contains("the end is near"), "{status}");
}

#[test]
fn an_app_that_died_while_nobody_looked_is_found_down_and_a_run_deploys_it_again() {
    let world = World::new();
    let config = world.config("good", "");
    let agent = world.serve(&config);
    agent.stop();
    docker(&["kill", &world.app_container()]);
    let mut agent = world.start(&config);
    let status = agent.wait_for_end_of_run(2);
    assert_eq!((&status["run"]["outcome"], up(&status)), (&"ready".into(), true), "{status}");
    assert!(runs(&world.app_container()));
}

#[test]
fn a_dead_database_degrades_the_service_and_the_app_is_left_alone() {
    let world = World::new();
    let database = Postgres::start();
    let block = format!(
        "database:\n  host: {}\n  port: {}\n  name: postgres\n  user: postgres\n  password: unused\n",
        support::peers::peers().postgres_host,
        database.port
    );
    let mut agent = world.serve(&world.config("good", &block));
    let app = world.app_container();
    let life = || inspect(&app, "{{.State.StartedAt}} {{.RestartCount}}");
    let before = life();
    database.stop();
    let status = agent.wait_for("degraded service", |status| status["service"]["state"] == "degraded");
    assert_eq!(status["service"]["cause"]["class"], "database", "{status}");
    assert_eq!(status["service"]["cause"]["code"], "database_refused", "{status}");
    assert!(cause(&status).contains(&database.port.to_string()), "{status}");
    assert_eq!(life(), before);
    database.resume();
    let status = agent.wait_for("service up again", up);
    assert!(status["service"]["cause"].is_null(), "{status}");
    assert_eq!(life(), before);
}

#[test]
fn what_still_serves_is_watched_during_a_run_as_well() {
    let world = World::new();
    let mut agent = world.serve(&world.config("good", ""));
    let app = world.app_container();
    // A migration of another kind holds the second run up for as long as the test needs.
    let migrate = "migrate:\n  command: [sh, -c, 'until [ -e /tmp/go ]; do sleep 0.1; done']\n";
    agent.reload(&world.config("v2", migrate));
    let migration = world.running_migration();
    docker(&["kill", &app]);
    let status = agent.wait_for("service down", down);
    assert_eq!(status["run"]["outcome"], "in_progress");
    assert!(cause(&status).contains("exit code 137"), "{status}");
    let_go(&migration);
    let status = agent.wait_for_end_of_run(2);
    assert_eq!((&status["run"]["outcome"], up(&status)), (&"ready".into(), true), "{status}");
}

#[test]
fn secrets_that_this_process_never_read_are_masked_in_the_tail_as_well() {
    let world = World::new();
    let serve = "echo the dsn is $SENTRY_DSN; exec uvicorn app.main:app --host 0.0.0.0 --port 8000";
    let config = world.config("good", &world.app(&format!("  command: [sh, -c, {serve:?}]\n")));
    let agent = world.serve(&config);
    agent.stop();
    world.ssm.deny("/test/dsn");
    let mut agent = world.start(&config);
    let status = agent.wait_for_end_of_run(2);
    assert!(status["notes"][0].as_str().unwrap().contains("parameter_denied"), "{status}");
    docker(&["kill", &world.app_container()]);
    // Every status that is read is searched for the canaries.
    let status = agent.wait_for("service down", down);
    assert!(status["service"]["cause"]["tail"].as_str().unwrap().contains("the dsn is "), "{status}");
}
