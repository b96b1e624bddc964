//! `preview check`: what would fail later is said now, and nothing is changed.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::exit)]

mod support;

use support::github::{BASE, HEAD};
use support::status::{document, says};
use support::world::{SETTINGS, World, act_as_preview};

#[test]
fn preview() {
    act_as_preview();
}

/// These settings in base and head.
fn with(settings: &str) -> World {
    let world = World::new();
    for commit in [BASE, HEAD] {
        world.github.file(commit, settings);
    }
    world
}

#[test]
fn a_database_url_that_fails_on_the_instance_is_refused_before_a_launch() {
    for (url, words) in [
        ("postgresql://app:canary@of@db/app", "unencoded `@`"),
        ("postgresql://app:canary/of@db/app", "unencoded `/`"),
        ("postgres://app:canary@db/app", "write postgresql://"),
        ("postgresq://app:canary@db/app", "postgresql://"),
        ("postgresq+psycopg://app:canary@db:5432/app", "postgresql://"),
        ("postgresql://app:canary@db/app?sslmode=canary", "verify-full"),
        ("postgresql://app:canary@localhost/app", "loopback"),
        ("canary", "postgresql+psycopg://"),
    ] {
        let mut world = World::new();
        world.set("STG_DATABASE_URL", url);
        world.run(&["check", "7"]).ended(78).says("STG_DATABASE_URL").says(words);
        world.run(&["up", "7"]).ended(78).says("STG_DATABASE_URL").says(words);
        assert_eq!((world.account.count("RunInstances"), world.account.parameters().len()), (0, 0));
        let [comment] = world.github.comments(7).try_into().unwrap();
        assert!(comment.contains("STG_DATABASE_URL") && !comment.contains("canary"), "{comment}");
    }
}

#[test]
fn a_database_url_that_the_agent_takes_is_taken() {
    let mut world = World::new();
    for url in [
        "postgresql+psycopg://app:canary%40of@db:6432/app?sslmode=verify-full&sslrootcert=/etc/ssl/ca.pem",
        "postgresql+asyncpg://app:canary@db/app?ssl=require",
        "mysql+pymysql://app:canary@db/app?sslmode=any",
        "clickhouse://app:canary@db:9000/app",
    ] {
        world.set("STG_DATABASE_URL", url);
        world.run(&["check", "7"]).ended(0);
    }
}

#[test]
fn other_secrets_may_look_like_anything() {
    let mut world = with(&SETTINGS.replace("STG_DATABASE_URL", "STG_DATABASE_URL, key: MY_KEY"));
    world.set("MY_KEY", "postgresq://canary@@");
    world.run(&["check", "7"]).ended(0);
}

#[test]
fn viewers_of_a_port_on_the_loopback_address_are_said_to_be_shut_out() {
    for ip in ["127.0.0.1", "[::1]"] {
        let world = with(
            &SETTINGS.replace("  database", &format!("  app: {{ publish: \"{ip}:8000\" }}\n  database")),
        );
        world.account.on_launch(|id, inner| says(inner, 7, &document(id, 7, "ready")));
        world.run(&["check", "7"]).ended(0).says("nobody outside the instance");
        world.run(&["up", "7"]).ended(0);
        let [comment] = world.github.comments(7).try_into().unwrap();
        assert!(!comment.contains("203.0.113.0/24") && comment.contains("app.publish"), "{comment}");
    }
    World::new().run(&["check", "7"]).ended(0).says_not("nobody outside the instance");
}
