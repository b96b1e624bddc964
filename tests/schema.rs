//! What counts as migrated: the database is asked, and held against what was recorded of it.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use serde_json::{Value, json};
use support::agent::Ran;
use support::engine::inspect;
use support::peers::{Peers, peers};
use support::registry::{At, FakeRegistry, Trouble};
use support::variant::push;
use support::world::World;

const ALEMBIC: &str = "migrate: { command: [alembic, upgrade, head] }\n";

/// The sample's migrations and one more, in an image of its own; its tag.
fn newer() -> String {
    let migration = "revision = '0003'\ndown_revision = '0002'\n\n\ndef upgrade():\n    pass\n";
    push("acme/tasks-api", "good", &[("srv/app/migrations/versions/0003_more.py", migration)]).tag
}

/// A small application in this image, with its migrations.
fn app(world: &World, tag: &str, more: &str) -> String {
    let migrate = if more.contains("migrate:") { "" } else { ALEMBIC };
    world.light(tag, "", &format!("{migrate}{more}"))
}

/// The same, and it ends at once.
fn broken(world: &World, tag: &str) -> String {
    world.light(tag, "  command: [sh, -c, \"exit 3\"]\n", ALEMBIC)
}

/// The revision in the world's database.
fn revision(world: &World) -> String {
    world.sql("SELECT version_num FROM alembic_version")
}

/// Some note says this.
#[track_caller]
fn notes(ran: &Ran, words: &str) {
    let notes = ran.status["notes"].as_array().cloned().unwrap_or_default();
    assert!(notes.iter().any(|note| note.as_str().unwrap().contains(words)), "no {words}: {}", ran.status);
}

#[test]
fn the_way_back_over_a_migration_is_open() {
    let world = World::new();
    let newer = newer();
    world.run_once(&app(&world, "good", "")).is_ready();
    assert_eq!(world.run_once(&app(&world, &newer, "")).ready().status["migration"]["to"], "0003");
    let back = world.run_once(&app(&world, "good", "")).ready();
    assert_eq!(back.phase("migrate"), "kept");
    notes(&back, "schema ahead: 0003 (run 2)");
    // As long as it serves.
    let again = world.run_once(&app(&world, "good", "")).ready();
    notes(&again, "schema ahead: 0003 (run 2)");
    // And forth: nothing is left to migrate.
    assert_eq!(world.run_once(&app(&world, &newer, "")).ready().phase("migrate"), "kept");
    assert_eq!(revision(&world), "0003");
}

#[test]
fn what_serves_stays_ready_after_a_successor_that_migrated_and_failed() {
    let world = World::new();
    world.run_once(&app(&world, "good", "")).is_ready();
    let serving = world.app_container();
    let failed = world.run_once(&broken(&world, &newer()));
    failed.failed_with("app_exited");
    assert_eq!(revision(&world), "0003");
    let since = inspect(&serving, "{{.State.StartedAt}}");
    for _ in 0..2 {
        let back = world.run_once(&app(&world, "good", "")).ready();
        notes(&back, "schema ahead: 0003");
        assert_eq!(inspect(&serving, "{{.State.StartedAt}}"), since);
    }
}

#[test]
fn an_image_older_than_the_schema_is_refused_where_the_configuration_says_so() {
    let world = World::new();
    world.run_once(&app(&world, "good", "")).is_ready();
    world.run_once(&app(&world, &newer(), "")).is_ready();
    let serving = world.running("app");
    let refuse = "migrate: { command: [alembic, upgrade, head], ahead: refuse }\n";
    world.run_once(&app(&world, "good", refuse)).failed_with("schema_ahead");
    assert_eq!(world.running("app"), serving);
}

#[test]
fn a_migration_that_failed_half_way_does_not_close_the_way_back() {
    let world = World::new();
    world.run_once(&app(&world, "good", "")).is_ready();
    let more = "revision = '0003'\ndown_revision = '0002'\n\n\ndef upgrade():\n    pass\n";
    let fails =
        "revision = '0004'\ndown_revision = '0003'\n\n\ndef upgrade():\n    raise RuntimeError('half')\n";
    let env = world_env();
    let files = [
        ("srv/app/migrations/versions/0003_more.py", more),
        ("srv/app/migrations/versions/0004_fails.py", fails),
        ("srv/app/migrations/env.py", env.as_str()),
    ];
    let half = push("acme/tasks-api", "good", &files).tag;
    world.run_once(&app(&world, &half, "tries: { migrate: 1 }\n")).failed_with("migration_failed");
    assert_eq!(revision(&world), "0003");
    let back = world.run_once(&app(&world, "good", "")).ready();
    notes(&back, "schema ahead: 0003 (run 2)");
}

/// The sample's way to migrate, each revision in a transaction of its own.
fn world_env() -> String {
    let env = include_str!("../examples/tasks-api/migrations/env.py");
    env.replace("connection=connection)", "connection=connection, transaction_per_migration=True)")
}

#[test]
fn a_database_made_anew_is_migrated_again() {
    let world = World::new();
    let config = app(&world, "good", "");
    world.run_once(&config).is_ready();
    let serving = world.app_container();
    world.database.anew();
    let ran = world.run_once(&config).ready();
    assert_eq!((ran.phase("migrate"), &ran.status["migration"]["to"]), ("done", &"0002".into()));
    assert_eq!(world.app_container(), serving, "only the database has changed");
}

#[test]
fn a_schema_that_was_emptied_is_migrated_again() {
    let world = World::new();
    let config = app(&world, "good", "");
    world.run_once(&config).is_ready();
    world.sql("DROP SCHEMA public CASCADE; CREATE SCHEMA public");
    assert_eq!(world.run_once(&config).ready().phase("migrate"), "done");
    assert_eq!(revision(&world), "0002");
}

#[test]
fn a_revision_that_somebody_else_brought_under_what_serves_is_kept_and_noted() {
    let world = World::new();
    let config = app(&world, "good", "");
    world.run_once(&config).is_ready();
    world.sql("UPDATE alembic_version SET version_num = 'feed'");
    let ran = world.run_once(&config).ready();
    assert_eq!(ran.phase("migrate"), "kept");
    notes(&ran, "foreign: the database is at feed");
    // Where something else serves, alembic decides.
    let other = world.light("good", "    OTHER: \"1\"\n", ALEMBIC);
    world.run_once(&other).failed_with("migration_revision_unknown");
}

#[test]
fn a_version_table_in_a_schema_of_its_own_is_read_where_it_is() {
    let world = World::new();
    world.sql("CREATE SCHEMA app");
    let env = include_str!("../examples/tasks-api/migrations/env.py")
        .replace("connection=connection)", "connection=connection, version_table_schema='app')");
    let tag = push("acme/tasks-api", "good", &[("srv/app/migrations/env.py", &env)]).tag;
    let rules = "migrate: { command: [alembic, upgrade, head], version_table: app.alembic_version }\n";
    let ran = world.run_once(&app(&world, &tag, rules)).ready();
    assert_eq!(ran.status["migration"]["to"], "0002");
    world.sql("UPDATE app.alembic_version SET version_num = 'feed'");
    notes(&world.run_once(&app(&world, &tag, rules)).ready(), "foreign: the database is at feed");
}

#[test]
fn a_version_table_that_the_role_may_not_read_leaves_it_to_the_record() {
    let Peers { postgres_host, postgres_port, .. } = peers();
    let world = World::new();
    let role = format!("reader_{:08x}", fastrand::u32(..));
    world.sql(&format!("CREATE ROLE {role} LOGIN PASSWORD 'reads-nothing-at-all'"));
    world.sql(
        "CREATE TABLE alembic_version (version_num varchar(32)); INSERT INTO alembic_version VALUES ('x')",
    );
    let database = format!(
        "database:\n  host: {postgres_host}\n  port: {postgres_port}\n  name: {}\n  user: {role}\n  \
         password: reads-nothing-at-all\n",
        world.database
    );
    let config = world.light("good", "", &database);
    world.run_once(&config).is_ready();
    let again = world.run_once(&config).ready();
    assert_eq!(again.phase("migrate"), "kept");
    notes(&again, "could not be read, the record decides");
    world.sql(&format!("DROP ROLE {role}"));
}

#[test]
fn from_and_to_are_the_databases_even_where_alembic_says_nothing() {
    let world = World::new();
    let silent = "migrate: { command: [sh, -c, \"alembic upgrade head >/dev/null 2>&1\"] }\n";
    let ran = world.run_once(&app(&world, "good", silent)).ready();
    assert_eq!(ran.status["migration"]["to"], "0002");
    assert!(ran.status["migration"].get("from").is_none());
    let ran = world.run_once(&app(&world, &newer(), silent)).ready();
    assert_eq!(
        (&ran.status["migration"]["from"], &ran.status["migration"]["to"]),
        (&"0002".into(), &"0003".into())
    );
}

#[test]
fn every_head_of_the_database_is_named() {
    let world = World::new();
    let branch = "revision = '0002b'\ndown_revision = '0001'\n\n\ndef upgrade():\n    pass\n";
    let tag = push("acme/tasks-api", "good", &[("srv/app/migrations/versions/0002b.py", branch)]).tag;
    let heads = "migrate: { command: [alembic, upgrade, heads] }\n";
    let ran = world.run_once(&app(&world, &tag, heads)).ready();
    assert_eq!(ran.status["migration"]["to"], "0002, 0002b");
    assert_eq!(world.run_once(&app(&world, &tag, heads)).ready().phase("migrate"), "kept");
}

#[test]
fn a_finished_job_is_not_run_again_for_a_tag_that_has_moved_or_a_registry_that_is_silent() {
    let world = World::new();
    let registry = FakeRegistry::before_the_real_one();
    let own = format!("{}/acme/tasks-api:good", registry.host());
    let jobs = format!("{ALEMBIC}jobs: [{{ name: once, image: \"{own}\", command: [\"true\"] }}]\n");
    let config = app(&world, "good", &jobs);
    assert_eq!(world.run_once(&config).ready().phase("jobs"), "done");
    registry.trouble(At::Base, usize::MAX, Trouble::Page(503));
    assert_eq!(world.run_once(&config).ready().phase("jobs"), "kept");
}

#[test]
fn what_an_earlier_agent_has_recorded_is_taken_over() {
    let world = World::new();
    let config = app(&world, "good", "");
    world.run_once(&config).is_ready();
    let serving = world.app_container();
    // As that agent had it: by the job's name, and of no database.
    let path = world.path("state").join("state.json");
    let mut state: Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
    let spec = state["databases"][0]["steps"][0]["spec"].clone();
    state.as_object_mut().unwrap().remove("databases");
    state["done"] = json!({ "migrate": spec });
    std::fs::write(&path, state.to_string()).unwrap();
    let ran = world.run_once(&config).ready();
    assert_eq!((ran.phase("migrate"), world.app_container()), ("kept", serving));
    assert_eq!(world.times_run("migrate"), 1);
    // From here on it is recorded as of this database.
    let state: Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
    assert_eq!((&state["databases"][0]["steps"][0]["spec"], state.get("done")), (&spec, None));
}
