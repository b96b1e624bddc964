//! What is told, and what is touched, around a swap and before it.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use std::net::TcpListener;
use std::process::Command;

use serde_json::json;
use support::engine::{docker, inspect};
use support::world::World;

#[test]
fn while_a_successor_is_being_proved_nothing_is_said_to_serve() {
    let world = World::new();
    let mut agent = world.start(&world.config("good", ""));
    let before = agent.wait_for_end_of_run(1);
    agent.reload(&world.config("v2", "health: [tcp, {http: /nowhere}]\ndeadlines: { health: 12s }\n"));
    let status = agent.wait_for("probes of the successor", |status| {
        status["run"]["sequence"] == 2 && status["run"]["phase"] == "health"
    });
    assert_eq!(status["service"]["state"], "down", "{status}");
    assert!(status.get("serving").is_none(), "{status}");
    assert!(status["verdict"].as_str().unwrap().ends_with("nothing serves meanwhile"), "{status}");
    let after = agent.wait_for_end_of_run(2);
    assert_eq!((&after["run"]["outcome"], &after["service"]["state"]), (&"failed".into(), &"up".into()));
    assert_ne!(after["service"]["since"], before["service"]["since"], "there was an outage in between");
}

#[test]
fn a_port_that_is_held_is_noticed_before_the_old_app_is_touched() {
    let mut world = World::new();
    world.run_once(&world.config("good", ""));
    let life = |id: &str| inspect(id, "{{.State.StartedAt}} {{.State.Running}}");
    let app = world.app_container();
    let before = life(&app);
    let holder = TcpListener::bind("127.0.0.1:0").unwrap();
    world.port = holder.local_addr().unwrap().port();
    let ran = world.run_once(&world.config("good", ""));
    ran.failed_with("port_in_use");
    assert_eq!(ran.status["service"]["state"], "up", "{}", ran.status);
    assert_eq!(life(&app), before);
}

#[test]
fn a_start_with_a_bad_configuration_forgets_nothing_that_was_known() {
    let world = World::new();
    world.run_once(&world.config("good", ""));
    let ran = world.run_once("image: [");
    assert_eq!(ran.code, Some(78), "{}", ran.stderr);
    assert_eq!(ran.status["service"]["state"], "unwatched", "{}", ran.status);
    assert!(ran.status["serving"]["image"].as_str().unwrap().ends_with(":good"), "{}", ran.status);
    assert_eq!(world.get("/health").0, 200);
}

#[test]
fn a_value_in_a_pipe_is_refused_and_does_not_block() {
    let world = World::new();
    let pipe = world.path("pipe");
    assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    let env = format!("    A: {{ file: {} }}\n", pipe.display());
    let ran = world.run_once(&world.config("good", &world.app(&env)));
    let fault = ran.failed_with("credential_missing");
    assert!(fault["message"].as_str().unwrap().ends_with("not a regular file"), "{fault}");
}

#[test]
fn somebody_elses_network_with_our_name_is_left_alone_and_in_nobodys_way() {
    let world = World::new();
    world.run_once(&world.config("good", ""));
    let name = world.listed(&["network", "ls", "--format", "{{.Name}}"]).remove(0);
    docker(&["rm", "-f", &world.app_container()]);
    docker(&["network", "rm", &name]);
    let theirs = docker(&["network", "create", &name]);
    let ran = world.run_once(&world.config("good", ""));
    let members = docker(&["network", "inspect", "--format", "{{len .Containers}}", &theirs]);
    docker(&["network", "rm", &theirs]);
    ran.is_ready();
    assert_eq!(members, "0");
}

#[test]
fn of_two_networks_that_a_killed_run_left_one_stays_and_serves() {
    let world = World::new();
    world.run_once(&world.config("good", ""));
    let state = world.path("state");
    let networks = |what: &str| world.listed(&["network", "ls", "--format", what]);
    let (serving, name) = (networks("{{.ID}}"), networks("{{.Name}}"));
    // The client makes none of a name that is taken. Docker 20.10 does, and engines from 25 on refuse.
    let second = json!({"Name": name[0], "Labels": {"preview-agent.scope": state}}).to_string();
    let made = Command::new("curl")
        .args(["-sS", "-o", "/dev/null", "-w", "%{http_code}", "--unix-socket", "/var/run/docker.sock"])
        .args(["-H", "Content-Type: application/json", "-d", &second])
        .arg("http://engine/v1.41/networks/create")
        .output();
    let two = match made.unwrap().stdout.as_slice() {
        b"201" => 2,
        b"409" => 1,
        other => panic!("{}", String::from_utf8_lossy(other)),
    };
    assert_eq!(networks("{{.Name}}").len(), two);
    world.run_once(&world.config("v2", "")).is_ready();
    assert_eq!((networks("{{.ID}}"), networks("{{.Name}}")), (serving, name), "the one with the app on it");
}
