//! The engine goes away under an application that serves: the cause is told as
//! what it is, in words a person understands, and all is well once it is back.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use std::time::Duration;

use serde_json::Value;
use support::engine::docker;
use support::proxy::Proxy;
use support::small_engine::SmallEngine;
use support::world::World;

/// A world whose agent reaches the engine through a gate.
fn gated() -> (World, Proxy) {
    let mut world = World::new();
    let gate = Proxy::start();
    world.set_env("DOCKER_HOST", &gate.docker());
    (world, gate)
}

fn service(status: &Value) -> (&str, &str) {
    let service = &status["service"];
    (service["state"].as_str().unwrap(), service["cause"]["code"].as_str().unwrap_or_default())
}

/// Says where nobody answers and why, and nothing of the HTTP client's.
fn plain(words: &str) -> bool {
    let said = words.contains("docker.sock: connection refused");
    said && !words.contains("hyper") && !words.contains("client error")
}

fn notes(status: &Value) -> String {
    status["notes"].to_string()
}

#[test]
fn an_app_that_serves_on_without_the_engine_is_up_and_the_engine_is_noted() {
    let (world, gate) = gated();
    let mut agent = world.serve(&world.light("good", "", ""));
    gate.take_docker_away();
    let status = agent.wait_for("note of the engine", |status| notes(status).contains("Docker is gone"));
    assert!(plain(&notes(&status)), "{status}");
    assert_eq!(service(&status), ("up", ""), "{status}");
    assert_eq!(world.get("/").0, 200);
    gate.docker();
    let status = agent.wait_for("the engine back", |status| !notes(status).contains("Docker is gone"));
    assert_eq!(service(&status), ("up", ""), "{status}");
    assert_eq!(world.containers("app").len(), 1);
}

#[test]
fn an_app_that_ends_without_the_engine_is_down_because_of_the_engine_and_comes_back_with_it() {
    let (world, gate) = gated();
    let mut agent = world.serve(&world.light("good", "", ""));
    let app = world.app_container();
    gate.take_docker_away();
    docker(&["kill", &app]);
    let status = agent.wait_for("service down", |status| service(status).0 == "down");
    assert_eq!(service(&status), ("down", "docker_unavailable"), "{status}");
    assert!(plain(status["service"]["cause"]["message"].as_str().unwrap()), "{status}");
    assert!(status["verdict"].as_str().unwrap().starts_with("down: docker: docker_unavailable"), "{status}");
    assert_eq!(status["run"]["outcome"], "ready", "what the run did stays true");
    docker(&["start", &app]);
    gate.docker();
    let status = agent.wait_for("service up again", |status| service(status).0 == "up");
    assert!(notes(&status).contains("before this: "), "{status}");
    assert_eq!(world.app_container(), app);
}

#[test]
fn an_end_told_just_before_the_engine_went_is_the_engines_doing() {
    let (world, gate) = gated();
    let mut agent = world.serve(&world.light("good", "", ""));
    let app = world.app_container();
    // As an engine that is told to stop does it: first its containers, then itself.
    docker(&["stop", "-t", "2", &app]);
    agent.wait_for("service down", |status| service(status).0 == "down");
    gate.take_docker_away();
    let status = agent.wait_for("cause told", |status| service(status).1 == "docker_unavailable");
    let message = status["service"]["cause"]["message"].as_str().unwrap();
    assert!(message.contains("the application ended with it, exit code"), "{status}");
    docker(&["start", &app]);
    gate.docker();
    agent.wait_for("service up again", |status| service(status).0 == "up");
}

/// As after a restart of the engine: what happened meanwhile it has forgotten.
#[test]
fn an_engine_that_comes_back_without_the_app_is_told_after_a_while() {
    let mut world = World::new();
    let mut engine = SmallEngine::start(world.port, Duration::ZERO);
    world.set_env("DOCKER_HOST", &engine.docker.host());
    let config = format!(
        "image: registry.invalid/acme/small@sha256:{}\ndatabase: off\nmigrate: off\n\
         health: [{{ http: / }}]\napp: {{ publish: \"127.0.0.1:{}\" }}\nreport: {{ parameter: /test/status }}\n",
        "0".repeat(64),
        world.port
    );
    let mut agent = world.serve(&config);
    engine.docker.stop();
    engine.end();
    agent.wait_for("service down", |status| service(status) == ("down", "docker_unavailable"));
    engine.docker.restart();
    let status = agent.wait_for("its own end told", |status| service(status).1 == "app_exited");
    let message = status["service"]["cause"]["message"].as_str().unwrap();
    assert!(message.contains("exit code 137; Docker did not start it when it came back"), "{status}");
}

#[test]
fn a_run_without_an_engine_says_where_it_looked() {
    let (world, gate) = gated();
    gate.take_docker_away();
    // The run's deadline is shorter than the patience at boot.
    let ran = world.run_once(&world.light("good", "", "deadline: 10s\n"));
    let fault = ran.failed_with("docker_unavailable");
    assert!(plain(fault["message"].as_str().unwrap()), "{fault}");
    assert!(!ran.stderr.contains("hyper"), "{}", ran.stderr);
}
