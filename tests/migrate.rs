//! The migration, with the real alembic on the real database: what it moved, and how it fails.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use std::fs;

use support::peers::{Peers, peers};
use support::world::World;

/// A migration by shell, tried once.
fn shell(script: &str) -> String {
    format!("migrate: {{ command: [sh, -c, \"{script}\"] }}\ntries: {{ migrate: 1 }}\n")
}

#[test]
fn the_revisions_before_and_after_are_reported() {
    let world = World::new();
    let first =
        world.run_once(&world.config("good", "migrate: { command: [alembic, upgrade, \"0001\"] }\n")).ready();
    assert_eq!(first.status["migration"]["to"], "0001");
    assert!(first.status["migration"].get("from").is_none(), "{}", first.status["migration"]);
    let second = world.run_once(&world.config("good", "")).ready();
    let migration = &second.status["migration"];
    assert_eq!((&migration["from"], &migration["to"]), (&"0001".into(), &"0002".into()));
    assert_eq!(world.sql("SELECT version_num FROM alembic_version"), "0002");
}

#[test]
fn a_command_that_is_not_in_the_image_fails_at_once() {
    for command in ["[alembik, upgrade, head]", "[sh, -c, alembik upgrade head]", "[python3, -m, alembik]"] {
        let world = World::new();
        let ran = world.run_once(&world.config("good", &format!("migrate: {{ command: {command} }}\n")));
        let fault = ran.failed_with("migration_command_missing");
        assert_eq!((&fault["attempts"], &fault["phase"]), (&1.into(), &"migrate".into()), "{command}");
        assert!(world.containers("migrate").is_empty() && world.containers("app").is_empty());
    }
}

#[test]
fn several_heads_fail_at_once() {
    let world = World::new();
    let other = "revision = \"0002b\"\ndown_revision = \"0001\"\n\n\ndef upgrade():\n    pass\n";
    let files = format!(
        "migrate: {{ files: {{ /srv/app/migrations/versions/0002b.py: {} }} }}\n",
        world.given("0002b.py", other).display()
    );
    let ran = world.run_once(&world.config("good", &files));
    let fault = ran.failed_with("migration_multiple_heads");
    assert_eq!((&fault["attempts"], &fault["class"]), (&1.into(), &"migration".into()));
    assert!(fault["message"].as_str().unwrap().contains("Multiple head revisions"), "{fault}");
}

#[test]
fn a_revision_that_the_image_does_not_have_points_at_another_branch() {
    let world = World::new();
    world.sql("CREATE TABLE alembic_version (version_num varchar(32) PRIMARY KEY)");
    world.sql("INSERT INTO alembic_version VALUES ('deadbeef')");
    let ran = world.run_once(&world.config("good", ""));
    let fault = ran.failed_with("migration_revision_unknown");
    assert_eq!(fault["attempts"], 1);
    assert!(fault["message"].as_str().unwrap().contains("deadbeef"), "{fault}");
    assert!(fault["hint"].as_str().unwrap().contains("another branch"), "{fault}");
}

#[test]
fn a_wrong_password_is_the_databases_fault_and_fails_at_once() {
    let world = World::new();
    let right = "password: { ssm: /test/database-password }";
    let database = world.database_block().replace(right, "password: not-the-password");
    let ran = world.run_once(&world.config("good", &database));
    let fault = ran.failed_with("database_auth");
    assert_eq!((&fault["attempts"], &fault["class"]), (&1.into(), &"database".into()));
    assert!(fault["message"].as_str().unwrap().contains("password authentication failed"), "{fault}");
    // Corrected, it is tried again: the secret is part of what the tries were spent on.
    world.run_once(&world.config("good", "")).is_ready();
}

#[test]
fn a_migration_that_takes_too_long_is_stopped_and_not_tried_again() {
    let world = World::new();
    let migrate = "migrate: { command: [sh, -c, \"trap 'exit 9' TERM; echo waits for a lock; sleep 60 & wait\"], timeout: 2s }\n";
    let ran = world.run_once(&world.config("good", migrate));
    let fault = ran.failed_with("migration_timeout");
    assert_eq!((&fault["attempts"], &fault["tail"]), (&1.into(), &"waits for a lock".into()));
    assert!(world.containers("migrate").is_empty());
    assert_eq!(world.times_run("migrate"), 1);
}

#[test]
fn what_a_migration_prints_is_kept_bounded_to_its_end() {
    let world = World::new();
    let line = "a line of output that is long enough to add up";
    let ran = world.run_once(
        &world.config("good", &shell(&format!("yes '{line}' | head -n 60000; echo the end; exit 3"))),
    );
    let fault = ran.failed_with("migration_failed");
    assert!(fault["tail"].as_str().unwrap().ends_with("the end"), "{fault}");
    let size = |name: &str| fs::metadata(world.path(name)).unwrap().len();
    let kept = size("state/migrate.log") + size("state/migrate.log.1");
    assert!(kept <= 1_100_000, "{kept} bytes are kept");
}

#[test]
fn a_failure_after_a_first_revision_leaves_the_old_application_serving() {
    let world = World::new();
    world.run_once(&world.config("good", "migrate: { command: [alembic, upgrade, \"0001\"] }\n")).is_ready();
    let app = world.containers("app");
    let ran = world.run_once(&world.config("v2", &shell("alembic upgrade head && exit 7")));
    ran.failed_with("migration_failed");
    assert_eq!(world.containers("app"), app);
    assert_eq!(ran.status["service"]["state"], "up");
    assert!(ran.status["serving"]["image"].as_str().unwrap().ends_with(":good"), "{}", ran.status);
}

#[test]
fn a_database_that_is_not_there_is_told_before_any_container_is_made() {
    let world = World::new();
    let Peers { postgres_host, postgres_port, .. } = peers();
    let closed =
        std::net::TcpListener::bind((postgres_host.as_str(), 0)).unwrap().local_addr().unwrap().port();
    let database = world.database_block().replace(&postgres_port.to_string(), &closed.to_string());
    let ran = world.run_once(&world.config("good", &format!("{database}deadlines: {{ database: 1s }}\n")));
    let fault = ran.failed_with("database_refused");
    assert_eq!(fault["phase"], "database");
    assert!(fault["message"].as_str().unwrap().contains(&format!("{postgres_host}:{closed}")), "{fault}");
    assert!(world.containers("migrate").is_empty() && world.containers("app").is_empty());
}
