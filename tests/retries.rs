//! What may pass by itself is tried again by itself, and what serves is not taken down for it.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use std::net::TcpListener;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use preview_agent::cli::Run;
use preview_agent::deploy::Timings;
use serde_json::{Value, json};
use support::agent::Running;
use support::configs::SERVER;
use support::engine::{inspect, let_go};
use support::peers::peers;
use support::postgres::Postgres;
use support::proxy::Proxy;
use support::registry::FakeRegistry;
use support::ssm::FakeSsm;
use support::trouble::Trouble;
use support::wait::{eventually, seconds};
use support::world::World;

/// Says to this binary that it is an agent, and what its longest waits between runs are, in milliseconds.
const BETWEEN_RUNS: &str = "TEST_BETWEEN_RUNS";

const SOON: [u64; 5] = [200; 5];
const DAY: u64 = 86_400_000;

/// No test: the agent of those below, which is the real one by other times.
#[test]
fn agent() {
    let Ok(waits) = std::env::var(BETWEEN_RUNS) else { return };
    let waits: Vec<Duration> =
        waits.split(',').map(|wait| Duration::from_millis(wait.parse().unwrap())).collect();
    let timings = Timings {
        between_runs: waits.try_into().unwrap(),
        parameters: Duration::from_secs(2),
        liveness: Duration::from_millis(500),
        heartbeat: Duration::from_millis(500),
        ..Timings::default()
    };
    let config = PathBuf::from(std::env::args().next_back().unwrap());
    assert_eq!(Run { once: false, config, migrate: false }.run_by(timings), 0);
}

/// A world in which another run follows after these many milliseconds at most.
fn world(waits: [u64; 5]) -> World {
    let mut world = World::new();
    let own = std::env::current_exe().unwrap();
    // What follows names no test.
    world.run_by(&[own.to_str().unwrap(), "--exact", "--nocapture", "agent", "--"]);
    world.set_env(BETWEEN_RUNS, &waits.map(|wait| wait.to_string()).join(","));
    world
}

/// A small server in the sample's image without a database, with more keys of `app` and of the file.
fn app(world: &World, app: &str, more: &str) -> String {
    world.light("good", app, &format!("database: off\nmigrate: off\n{more}"))
}

/// The key `database` for this port on the address that containers reach.
fn database(port: u16, user: &str) -> String {
    let host = &peers().postgres_host;
    format!(
        "database:\n  host: {host}\n  port: {port}\n  name: postgres\n  user: {user}\n  password: unused\n"
    )
}

#[track_caller]
fn wait_for_failure(agent: &mut Running<'_>, code: &str) {
    let status = agent.wait_for("a failed run", |status| status["run"]["outcome"] == "failed");
    assert_eq!((&status["fault"]["code"], &status["fault"]["retryable"]), (&code.into(), &true.into()));
}

/// Waits until a run is ready that nobody has asked for.
#[track_caller]
fn heals(world: &World, agent: &mut Running<'_>) {
    let status = agent.wait_for("a ready run", |status| status["run"]["outcome"] == "ready");
    assert!(status["run"]["sequence"].as_u64() > Some(1), "{status}");
    assert!(status.get("next_try_at").is_none(), "{status}");
    assert_eq!((&status["service"]["state"], world.get("/").0), (&"up".into(), 200), "{status}");
    assert!(!agent.stderr().contains("the configuration was read again"), "{}", agent.stderr());
}

/// The status after so many heartbeats that a run would have followed.
#[track_caller]
fn later(agent: &mut Running<'_>) -> Value {
    let begun = agent.wait_for("a status", |_| true);
    let then = seconds(&begun["heartbeat_at"]) + 4;
    agent.wait_for("heartbeats", |status| seconds(&status["heartbeat_at"]) >= then)
}

#[test]
fn a_registry_that_is_away_at_the_first_boot_heals_without_anybodys_hand() {
    let (mut world, mut registry) = (world(SOON), FakeRegistry::before_the_real_one());
    let config = app(&world, "", "tries: { pull: 1 }\n").replace(&peers().registry, &registry.host());
    world.image(&format!("{}/acme/tasks-api:good", registry.host()));
    registry.stop();
    let mut agent = world.start(&config);
    wait_for_failure(&mut agent, "registry_unreachable");
    registry.restart();
    heals(&world, &mut agent);
}

#[test]
fn a_database_that_is_away_at_the_first_boot_heals_without_anybodys_hand() {
    let (world, postgres) = (world(SOON), Postgres::start());
    postgres.stop();
    let more = database(postgres.port, "postgres") + "deadlines: { database: 1s }\n";
    let mut agent = world.start(&world.light("good", "", &more));
    wait_for_failure(&mut agent, "database_refused");
    postgres.resume();
    heals(&world, &mut agent);
}

#[test]
fn parameters_that_are_away_at_the_first_boot_heal_without_anybodys_hand() {
    let (mut world, mut ssm) = (world(SOON), FakeSsm::start());
    ssm.set("/test/registry-password", &peers().registry_password);
    world.set_env("AWS_ENDPOINT_URL_SSM", &ssm.endpoint());
    ssm.stop();
    let mut agent = world.start(&app(&world, "", ""));
    wait_for_failure(&mut agent, "parameters_unreachable");
    ssm.restart();
    heals(&world, &mut agent);
}

#[test]
fn a_run_that_failed_for_good_is_followed_by_none() {
    let world = world([0; 5]);
    let mut agent = world.start(&app(&world, "  command: [sh, -c, \"exit 3\"]\n", ""));
    assert_eq!(agent.wait_for_end_of_run(1)["fault"]["code"], "app_exited");
    let status = later(&mut agent);
    assert_eq!(status["run"]["sequence"], 1, "{status}");
    assert!(status.get("next_try_at").is_none(), "{status}");
}

#[test]
fn the_next_try_is_told_until_it_begins_and_a_reload_does_not_wait_for_it() {
    // Only the first wait is long.
    let world = world([DAY, 0, 0, 0, 0]);
    // It takes connections, and nobody answers them.
    let silent = TcpListener::bind((peers().postgres_host.as_str(), 0)).unwrap();
    let more = database(silent.local_addr().unwrap().port(), "postgres") + "deadlines: { database: 1s }\n";
    let mut agent = world.start(&world.light("good", "", &more));
    for run in [1, 2] {
        let waiting = agent.wait_for("the next try", |status| {
            assert!(status["run"]["outcome"] != "in_progress" || status.get("next_try_at").is_none());
            status["run"]["sequence"] == run && status.get("next_try_at").is_some()
        });
        assert_eq!(
            (&waiting["run"]["outcome"], &waiting["fault"]["class"]),
            (&"failed".into(), &"database".into())
        );
        let next = seconds(&waiting["next_try_at"]);
        let wait = next - seconds(&waiting["heartbeat_at"]);
        // The second would be nothing, had the reload not begun the count anew.
        assert!(wait > 60 && wait <= 86_401, "{wait} s: {waiting}");
        let mut asked = Command::new(env!("CARGO_BIN_EXE_agent"));
        let shown = asked.arg("status").env("RUNTIME_DIRECTORY", world.path("run")).output().unwrap();
        let line = format!("\nnext try   at {}, by itself\n", waiting["next_try_at"].as_str().unwrap());
        let page = String::from_utf8(shown.stdout).unwrap();
        assert!(page.contains(&line), "{page}");
        assert_eq!(shown.status.code(), Some(1));
        agent.signal("HUP");
    }
    let begun = agent.wait_for("the third run", |status| status["run"]["sequence"] == 3);
    assert!(begun.get("next_try_at").is_none(), "{begun}");
    assert_eq!(agent.stop(), Some(0));
}

#[test]
fn an_agent_that_was_told_to_stop_between_two_runs_says_nothing_of_the_next() {
    let world = world([DAY; 5]);
    let mut agent = world.start(&world.bare("127.0.0.1:9/acme/api:1", "tries: { pull: 1 }\n"));
    agent.wait_for("the next try", |status| status.get("next_try_at").is_some());
    assert_eq!(agent.stop(), Some(0));
    let status = world.status().unwrap();
    assert_eq!(status["service"]["state"], "unwatched");
    assert!(status.get("next_try_at").is_none(), "{status}");
}

#[test]
fn what_serves_is_not_taken_down_again_for_what_may_pass() {
    let (mut world, proxy) = (world([0; 5]), Proxy::start());
    world.set_env("DOCKER_HOST", &proxy.docker());
    let mut agent = world.serve(&app(&world, "", ""));
    let serving = world.app_container();
    proxy.plan("docker.start.app", 1, Trouble::Refused(500));
    agent.reload(&app(&world, "    VERSION: \"2\"\n", ""));
    let status = agent.wait_for_end_of_run(2);
    assert_eq!(
        (&status["fault"]["code"], &status["fault"]["retryable"]),
        (&"docker_failed".into(), &true.into())
    );
    let started = inspect(&serving, "{{.State.StartedAt}} {{.State.Running}}");
    let status = later(&mut agent);
    assert_eq!(
        (&status["run"]["sequence"], &status["service"]["state"]),
        (&2.into(), &"up".into()),
        "{status}"
    );
    assert!(status.get("next_try_at").is_none(), "{status}");
    assert_eq!(inspect(&serving, "{{.State.StartedAt}} {{.State.Running}}"), started);
}

/// Waits for the application that was started in the place of these.
fn successor(world: &World, before: &[&String]) -> String {
    let mut running = Vec::new();
    eventually("a successor", || {
        running = world.running("app");
        running.retain(|id| !before.contains(&id));
        !running.is_empty()
    });
    running.remove(0)
}

#[test]
fn a_successor_that_wants_its_database_gets_one_more_try_when_it_answers_again() {
    let (world, postgres) = (world([0; 5]), Postgres::start());
    let database = database(postgres.port, "app");
    let ask = |query| assert!(postgres.psql(&[query]).status().unwrap().success());
    ask("CREATE ROLE app LOGIN");
    let mut agent = world.serve(&world.light("good", "", &database));
    let serving = world.app_container();
    let connects = format!(
        "import os, time, psycopg\nwhile not os.path.exists('/tmp/go'): time.sleep(0.1)\n\
         psycopg.connect(os.environ['DATABASE_URL']).close()\n{SERVER}"
    );
    let command = json!(["python", "-c", connects]);
    agent.reload(&world.light("good", &format!("  command: {command}\n"), &database));
    let first = successor(&world, &[&serving]);
    ask("ALTER ROLE app CONNECTION LIMIT 0");
    postgres.stop();
    let_go(&first);
    let status = agent.wait_for_end_of_run(2);
    assert_eq!(
        (&status["fault"]["code"], &status["fault"]["phase"]),
        (&"database_refused".into(), &"health".into()),
        "{status}"
    );
    let status = later(&mut agent);
    assert_eq!((&status["run"]["sequence"], world.get("/").0), (&2.into(), 200), "{status}");
    let notes = status["notes"].to_string();
    assert!(notes.contains("tried once more when the database answers again"), "{status}");
    // A server that takes connections is not one that lets the application in.
    postgres.resume();
    let status = later(&mut agent);
    assert_eq!((&status["run"]["sequence"], world.get("/").0), (&2.into(), 200), "{status}");
    ask("ALTER ROLE app CONNECTION LIMIT -1");
    let second = successor(&world, &[&serving, &first]);
    postgres.stop();
    let_go(&second);
    assert_eq!(agent.wait_for_end_of_run(3)["fault"]["code"], "database_refused");
    postgres.resume();
    let status = later(&mut agent);
    assert_eq!((&status["run"]["sequence"], world.running("app")), (&3.into(), vec![serving]), "{status}");
}
