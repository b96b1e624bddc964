//! What serves is never touched for nothing, and what is tidied up afterwards fails no run.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use std::net::TcpListener;

use support::agent::has;
use support::configs::SERVER;
use support::engine::{docker, inspect};
use support::github::{COMMIT, GitHub, Tarball};
use support::peers::peers;
use support::proxy::Proxy;
use support::registry::FakeRegistry;
use support::trouble::{Moment, Trouble};
use support::wait::PATIENCE;
use support::world::World;

/// Since when the container runs.
fn started(container: &str) -> String {
    inspect(container, "{{.State.StartedAt}} {{.State.Running}}")
}

/// A world whose agent reaches the engine through a proxy.
fn behind_a_proxy() -> (World, Proxy) {
    let (mut world, proxy) = (World::new(), Proxy::start());
    world.set_env("DOCKER_HOST", &proxy.docker());
    (world, proxy)
}

/// A small server in the sample's image, told apart by a variable, without a database.
fn app(world: &World, version: &str, more: &str) -> String {
    let env = format!("    VERSION: \"{version}\"\n");
    world.light("good", &env, &format!("database: off\nmigrate: off\n{more}"))
}

/// The same with an application that ends at once.
fn broken(world: &World, more: &str) -> String {
    world.light("good", "  command: [sh, -c, \"exit 3\"]\n", &format!("database: off\nmigrate: off\n{more}"))
}

#[test]
fn an_old_application_that_cannot_be_removed_costs_its_successor_nothing() {
    let (world, proxy) = behind_a_proxy();
    world.run_once(&app(&world, "1", "")).is_ready();
    proxy.plan("docker.delete.app", usize::MAX, Trouble::Refused(500));
    let ran = world.run_once(&app(&world, "2", "")).ready();
    has(&ran.status["notes"][0], "was not removed");
    assert_eq!((world.get("/").0, world.containers("app").len(), world.running("app").len()), (200, 2, 1));
    world.run_once(&app(&world, "3", "")).is_ready();
    proxy.recover();
    world.run_once(&app(&world, "3", "")).is_ready();
    assert_eq!(world.containers("app").len(), 1, "the next run has tidied up");
}

#[test]
fn an_application_that_docker_will_not_restart_serves_all_the_same() {
    let (world, proxy) = behind_a_proxy();
    proxy.plan("docker.update.app", 1, Trouble::Refused(500));
    let ran = world.run_once(&app(&world, "1", "")).ready();
    has(&ran.status["notes"][0], "restart");
    let serving = world.app_container();
    world.run_once(&app(&world, "1", "")).is_ready();
    assert_eq!(world.app_container(), serving);
    assert_eq!(
        inspect(&serving, "{{.HostConfig.RestartPolicy.Name}}"),
        "unless-stopped",
        "the next run mends it"
    );
}

#[test]
fn a_job_whose_container_is_not_removed_has_run_once() {
    let (world, proxy) = behind_a_proxy();
    world.sql("CREATE TABLE marks (mark int)");
    let insert = "import os, psycopg; c = psycopg.connect(os.environ['DATABASE_URL'], autocommit=True); \
                  c.execute('INSERT INTO marks VALUES (1)')";
    let jobs = format!("migrate: off\njobs: [{{ name: mark, command: [python, -c, {insert:?}] }}]\n");
    for (trouble, left) in [(Trouble::Disowned(500), 0), (Trouble::Refused(500), 1)] {
        world.sql("DELETE FROM marks");
        std::fs::remove_dir_all(world.path("state")).ok();
        proxy.plan("docker.delete", 1, trouble);
        world.run_once(&world.light("good", "", &jobs)).is_ready();
        assert_eq!(world.containers("migrate").len(), left);
        assert_eq!(world.run_once(&world.light("good", "", &jobs)).ready().phase("jobs"), "kept");
        assert_eq!(
            (world.sql("SELECT count(*) FROM marks").as_str(), world.containers("migrate").len()),
            ("1", 0)
        );
    }
}

#[test]
fn a_job_whose_container_stays_is_tried_again_under_another_name() {
    let (world, proxy) = behind_a_proxy();
    proxy.plan("docker.delete", 2, Trouble::Refused(500));
    let jobs = "database: off\nmigrate: off\ntries: { migrate: 2 }\njobs: [{ name: fails, command: [sh, -c, \"exit 4\"] }]\n";
    let ran = world.run_once(&world.light("good", "", jobs));
    let fault = ran.failed_with("job_failed");
    assert_eq!(fault["attempts"], 2, "{fault}");
    has(&fault["message"], "exit code 4");
}

#[test]
fn a_restart_policy_that_somebody_changed_takes_nothing_from_what_serves() {
    for policy in ["always", "no"] {
        let world = World::new();
        world.run_once(&app(&world, "1", "")).is_ready();
        let serving = world.app_container();
        docker(&["update", &format!("--restart={policy}"), &serving]);
        world.run_once(&broken(&world, "")).failed_with("app_exited");
        assert_eq!((world.get("/").0, world.running("app")), (200, vec![serving]), "{policy}");
    }
}

#[test]
fn an_application_that_nobody_has_stopped_is_not_started_again() {
    for (signals, leave) in [(["HUP", "TERM"], ""), (["TERM", "TERM"], "  on_failure: leave\n")] {
        let (world, proxy) = behind_a_proxy();
        world.run_once(&app(&world, "1", "")).is_ready();
        let serving = world.app_container();
        let before = started(&serving);
        // The engine makes the successor, and the agent does not hear of it.
        proxy.plan("docker.create.app", 1, Trouble::Held(Moment::After));
        let successor = format!("    VERSION: \"2\"\n{leave}");
        let agent = world.start(&world.light("good", &successor, "database: off\nmigrate: off\n"));
        assert!(proxy.halted(PATIENCE));
        for signal in signals {
            agent.signal(signal);
        }
        assert_eq!(agent.end(), Some(0));
        assert_eq!(started(&serving), before, "{signals:?}");
        proxy.go_on();
    }
}

#[test]
fn what_is_known_to_fail_costs_what_serves_nothing_until_somebody_asks() {
    let world = World::new();
    let mut agent = world.serve(&app(&world, "1", ""));
    let serving = world.app_container();
    agent.reload(&broken(&world, ""));
    assert_eq!(agent.wait_for_end_of_run(2)["fault"]["code"], "app_exited");
    agent.crash();
    let before = started(&serving);
    let mut agent = world.start(&broken(&world, ""));
    let status = agent.wait_for_end_of_run(3);
    assert_eq!((&status["run"]["outcome"], &status["service"]["state"]), (&"failed".into(), &"up".into()));
    assert_eq!(status["fault"]["code"], "app_exited", "{status}");
    assert_eq!((world.get("/").0, started(&serving)), (200, before.clone()));
    agent.signal("HUP");
    assert_eq!(agent.wait_for_end_of_run(4)["fault"]["code"], "app_exited");
    assert_ne!(started(&serving), before, "a reload tries it");
}

#[test]
fn what_serves_is_not_known_to_be_bad() {
    let world = World::new();
    let command = serde_json::json!(["sh", "-c", "cd /tmp; touch healthy; exec python -c \"$0\"", SERVER]);
    let rest = "database: off\nmigrate: off\nhealth: [{ http: /healthy }]\ndeadlines: { health: 10s }\n";
    let config = world.light("good", &format!("  command: {command}\n"), rest);
    let agent = world.serve(&config);
    let serving = world.app_container();
    docker(&["exec", &serving, "rm", "/tmp/healthy"]);
    agent.stop();
    let mut agent = world.start(&config);
    assert_eq!(agent.wait_for_end_of_run(2)["fault"]["code"], "health_status");
    docker(&["exec", &serving, "touch", "/tmp/healthy"]);
    agent.stop();
    let mut agent = world.start(&config);
    agent.is_ready(3);
    assert_eq!(world.app_container(), serving);
}

#[test]
fn what_is_proven_after_all_is_no_longer_known_to_be_bad() {
    let world = World::new();
    world.sql("CREATE TABLE bad (bad int)");
    let script = "import os, psycopg, sys; c = psycopg.connect(os.environ['DATABASE_URL']); \
                  sys.exit(c.execute('SELECT count(*) FROM bad').fetchone()[0])";
    let command =
        serde_json::json!(["sh", "-c", "python -c \"$1\" && exec python -c \"$0\"", SERVER, script]);
    let config = world.light("good", &format!("  command: {command}\n"), "migrate: off\n");
    let mut agent = world.serve(&world.light("good", "", "migrate: off\n"));
    world.sql("INSERT INTO bad VALUES (1)");
    agent.reload(&config);
    assert_eq!(agent.wait_for_end_of_run(2)["fault"]["code"], "app_exited");
    world.sql("DELETE FROM bad");
    agent.reload(&config);
    agent.is_ready(3);
    agent.stop();
    let mut agent = world.start(&config);
    agent.is_ready(4);
}

#[test]
fn a_low_port_that_a_process_holds_is_noticed_before_anything_is_stopped() {
    let mut world = World::new();
    world.run_once(&app(&world, "1", "")).is_ready();
    let serving = world.app_container();
    let before = started(&serving);
    let held = (600..1023).find_map(|port| TcpListener::bind(("127.0.0.1", port)).ok()).unwrap();
    world.port = held.local_addr().unwrap().port();
    // As the unit runs it: root without capabilities, and of /proc only the processes.
    let own_proc =
        "mount -t proc -o subset=pid proc /proc && exec setpriv --bounding-set -all --inh-caps -all \"$@\"";
    world.run_by(&["unshare", "--mount", "sh", "-c", own_proc, "sh"]);
    world.run_once(&app(&world, "1", "")).failed_with("port_in_use");
    assert_eq!(started(&serving), before);
}

#[test]
fn an_image_that_serves_is_not_built_because_its_registry_is_gone() {
    let world = World::new();
    let mut registry = FakeRegistry::before_the_real_one();
    let dockerfile = "FROM scratch\nCOPY nothing /\n";
    let github = GitHub::serving(Tarball::new().file("Dockerfile", dockerfile).gz());
    let source =
        format!("source: {{ repository: acme/api, ref: {COMMIT}, api_url: \"{}\" }}\n", github.api.url());
    let config = app(&world, "1", &source).replace(&peers().registry, &registry.host());
    world.run_once(&config).is_ready();
    let serving = world.app_container();
    registry.stop();
    let ran = world.run_once(&config).ready();
    has(&ran.status["notes"][0], "registry_unreachable");
    assert_eq!((world.app_container(), github.api.requests().len()), (serving, 0));
}
