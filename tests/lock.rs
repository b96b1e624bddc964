//! One migration at a time on a database, whatever host runs it; and what is stopped leaves nothing behind
//! in the server.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use serde_json::Value;
use support::agent::has;
use support::engine::let_go;
use support::nested::Nested;
use support::peers::peers;
use support::pooler::Pooler;
use support::wait::eventually;
use support::world::World;

/// A migration that works until it is let go, and says how many do so at this moment.
const HELD: &str =
    "migrate: { command: [sh, -c, \"echo held; until [ -e /tmp/go ]; do sleep 0.1; done\"] }\n";

/// A small application without much else.
fn app(world: &World, more: &str) -> String {
    world.light("good", "", more)
}

/// The same on the database of another world.
fn on(world: &World, other: &World, more: &str) -> String {
    app(world, &format!("{}{more}", other.database_block()))
}

fn notes(status: &Value) -> String {
    status["notes"]
        .as_array()
        .into_iter()
        .flatten()
        .map(|note| note.as_str().unwrap())
        .collect::<Vec<_>>()
        .join("\n")
}

#[test]
fn the_migration_of_another_host_is_waited_for() {
    let (first, second) = (World::new(), World::new());
    let mut one = first.start(&format!("deployment: {{ id: pr-41 }}\n{}", app(&first, HELD)));
    let migration = first.running_migration();
    let config = on(&second, &first, "");
    let mut two = second.start(&config);
    two.wait_for("a wait for the other", |status| notes(status).contains("preview-agent:pr-41"));
    assert!(second.containers("migrate").is_empty(), "it has not begun");
    let_go(&migration);
    one.is_ready(1);
    let status = two.is_ready(1);
    assert!(!notes(&status).contains("preview-agent:pr-41"), "{status}");
}

#[test]
fn two_engines_take_turns_on_one_database() {
    let (first, mut engine) = (World::new(), Nested::start());
    let mut second = World::new();
    second.beside_engine(&mut engine, &[]);
    let mut one = first.start(&format!("deployment: {{ id: pr-41 }}\n{}", app(&first, HELD)));
    let migration = first.running_migration();
    let mut two = second.start(&on(&second, &first, ""));
    two.wait_for("a wait for the other", |status| notes(status).contains("preview-agent:pr-41"));
    assert!(second.containers("migrate").is_empty(), "it has not begun");
    let_go(&migration);
    one.is_ready(1);
    two.is_ready(1);
    assert_eq!((first.times_run("migrate"), second.times_run("migrate")), (1, 1));
}

#[test]
fn a_migration_that_another_host_holds_up_for_too_long_may_pass_by_itself() {
    let (first, second) = (World::new(), World::new());
    let mut one = first.start(&app(&first, HELD));
    let migration = first.running_migration();
    let ran = second.run_once(&on(
        &second,
        &first,
        "deadline: 20s\ndeadlines: { database: 10s, health: 10s, pull: 10s }\n",
    ));
    let fault = ran.failed_with("migration_locked");
    assert_eq!((&fault["retryable"], &fault["phase"]), (&true.into(), &"migrate".into()));
    let_go(&migration);
    one.is_ready(1);
}

#[test]
fn without_the_lock_both_go_on_as_they_like() {
    let (first, second) = (World::new(), World::new());
    let mut one = first.start(&app(&first, HELD));
    let migration = first.running_migration();
    let off = "migrate: { command: [\"true\"], lock: off }\n";
    second.run_once(&on(&second, &first, off)).is_ready();
    let_go(&migration);
    one.is_ready(1);
}

#[test]
fn time_limits_of_the_server_do_not_take_the_lock_away() {
    let (first, second) = (World::new(), World::new());
    let name = &first.database.name;
    first.sql(&format!("ALTER DATABASE {name} SET idle_in_transaction_session_timeout = '300ms'"));
    first.sql(&format!("ALTER DATABASE {name} SET statement_timeout = '300ms'"));
    let mut one = first.start(&app(&first, HELD));
    let migration = first.running_migration();
    let held = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND granted AND database = \
                (SELECT oid FROM pg_database WHERE datname = current_database())";
    // Several times the limit.
    first.sql("SET statement_timeout = 0; SELECT pg_sleep(1)");
    assert_eq!(first.sql(held), "1");
    let mut two = second.start(&on(&second, &first, ""));
    two.wait_for("a wait for the other", |status| notes(status).contains("waiting: "));
    let_go(&migration);
    one.is_ready(1);
    two.is_ready(1);
}

#[test]
fn a_lock_that_is_lost_cuts_no_migration() {
    let world = World::new();
    let mut agent = world.start(&app(&world, HELD));
    let migration = world.running_migration();
    let end = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE application_name LIKE \
               'preview-agent:%' AND datname = current_database()";
    assert_eq!(world.sql(end), "1");
    let_go(&migration);
    agent.is_ready(1);
    assert_eq!(world.times_run("migrate"), 1);
}

#[test]
fn an_agent_that_is_killed_while_it_migrates_takes_the_lock_again() {
    let world = World::new();
    let config = app(&world, HELD);
    let agent = world.start(&config);
    let migration = world.running_migration();
    agent.crash();
    let held = "SELECT count(*) FROM pg_locks JOIN pg_stat_activity USING (pid) WHERE locktype = 'advisory' \
                AND granted AND datname = current_database()";
    eventually("a lock that went with the agent", || world.sql(held) == "0");
    let mut agent = world.start(&config);
    eventually("the lock again", || world.sql(held) == "1");
    assert_eq!(world.running_migration(), migration);
    let_go(&migration);
    agent.is_ready(2);
}

#[test]
fn an_index_that_is_built_concurrently_does_not_wait_for_the_lock() {
    let world = World::new();
    world.sql("CREATE TABLE items (id int)");
    let name = &world.database.name;
    world.sql(&format!("ALTER DATABASE {name} SET default_transaction_isolation = 'repeatable read'"));
    let index = "import os, psycopg; c = psycopg.connect(os.environ['DATABASE_URL'], autocommit=True); \
                 c.execute('CREATE INDEX CONCURRENTLY by_id ON items (id)')";
    let migrate = format!("migrate: {{ command: [python, -c, {index:?}], timeout: 20s }}\n");
    world.run_once(&app(&world, &migrate)).is_ready();
    assert_eq!(
        world.sql("SELECT count(*) FROM pg_index WHERE indisvalid AND indrelid = 'items'::regclass"),
        "1"
    );
}

#[test]
fn a_version_table_that_somebody_locks_is_neither_waited_for_nor_queued_at() {
    let world = World::new();
    world.sql("CREATE TABLE alembic_version (version_num varchar(32))");
    let _holder = world.locks("alembic_version");
    world.run_once(&app(&world, "")).is_ready();
    let queued = "SELECT count(*) FROM pg_locks WHERE relation = 'alembic_version'::regclass AND NOT granted";
    eventually("no queue", || world.sql(queued) == "0");
}

/// The world's database behind this pooler.
fn pooled(world: &World, pooler: &Pooler, more: &str) -> String {
    let (direct, port) = (format!("port: {}", peers().postgres_port), format!("port: {}", pooler.port));
    app(world, &format!("{}{more}", world.database_block().replace(&direct, &port)))
}

#[test]
fn a_pooler_of_one_connection_is_left_to_the_migration() {
    let (world, pooler) = (World::new(), Pooler::of(1));
    world.sql("CREATE TABLE marks (mark int)");
    let mark = "import os, psycopg; c = psycopg.connect(os.environ['DATABASE_URL'], autocommit=True); \
                c.execute('INSERT INTO marks VALUES (1)')";
    let migrate = format!("migrate: {{ command: [python, -c, {mark:?}], timeout: 30s }}\n");
    let ran = world.run_once(&pooled(&world, &pooler, &migrate)).ready();
    assert!(notes(&ran.status).contains("migrated without a lock"), "{}", ran.status);
    assert_eq!(world.sql("SELECT count(*) FROM marks"), "1");
}

#[test]
fn behind_a_pooler_of_five_connections_hosts_take_turns_as_well() {
    let (first, second, pooler) = (World::new(), World::new(), Pooler::of(5));
    let mut one = first.start(&pooled(&first, &pooler, HELD));
    let migration = first.running_migration();
    let (direct, port) = (format!("port: {}", peers().postgres_port), format!("port: {}", pooler.port));
    let config = on(&second, &first, "").replace(&direct, &port);
    let mut two = second.start(&config);
    two.wait_for("a wait for the other", |status| notes(status).contains("waiting: "));
    let_go(&migration);
    assert!(!notes(&one.is_ready(1)).contains("without a lock"));
    two.is_ready(1);
    // Nothing is left in the pooler's connections.
    let held = "SELECT count(*) FROM pg_locks JOIN pg_stat_activity USING (pid) WHERE locktype = 'advisory' \
                AND datname = current_database()";
    eventually("no lock", || first.sql(held) == "0");
}

/// A migration that waits for a lock on `items`, by this statement of Python.
fn blocked(world: &World, connect: &str) -> String {
    let script = format!("import os; {connect}; c.execute('ALTER TABLE items ADD COLUMN more int')");
    app(world, &format!("migrate: {{ command: [python, -c, {script:?}], timeout: 8s }}\n"))
}

#[test]
fn a_migration_that_waits_for_a_lock_says_whose_and_leaves_no_queue_behind() {
    let world = World::new();
    world.sql("CREATE TABLE items (id int)");
    let _reader = world.locks("items");
    let psycopg = "import psycopg; c = psycopg.connect(os.environ['DATABASE_URL'], autocommit=True)";
    let mut agent = world.start(&blocked(&world, psycopg));
    agent.wait_for("whose lock it is", |status| notes(status).contains("pg_sleep(600)"));
    let status = agent.wait_for_end_of_run(1);
    assert_eq!(status["fault"]["code"], "migration_timeout");
    has(&status["fault"]["message"], "LOCK TABLE items");
    let queued = "SELECT count(*) FROM pg_locks WHERE relation = 'items'::regclass AND NOT granted";
    eventually("no queue", || world.sql(queued) == "0");
}

#[test]
fn a_migration_that_outlives_its_agent_leaves_no_queue_either() {
    let world = World::new();
    world.sql("CREATE TABLE items (id int)");
    let _reader = world.locks("items");
    let psycopg = "import psycopg; c = psycopg.connect(os.environ['DATABASE_URL'], autocommit=True)";
    let config = blocked(&world, psycopg);
    let agent = world.start(&config);
    let queued = "SELECT count(*) FROM pg_locks WHERE relation = 'items'::regclass AND NOT granted";
    eventually("a queue", || world.sql(queued) == "1");
    agent.crash();
    let mut agent = world.start(&config);
    assert_eq!(agent.wait_for_end_of_run(2)["fault"]["code"], "migration_timeout");
    eventually("no queue", || world.sql(queued) == "0");
}

#[test]
fn sessions_of_others_with_the_same_role_are_not_ended() {
    let world = World::new();
    world.sql("CREATE TABLE items (id int)");
    let _reader = world.locks("items");
    let other = world.queues("items");
    let psycopg = "import psycopg; c = psycopg.connect(os.environ['DATABASE_URL'], autocommit=True)";
    let ran = world.run_once(&blocked(&world, psycopg));
    ran.failed_with("migration_timeout");
    let queued = "SELECT count(*) FROM pg_locks WHERE relation = 'items'::regclass AND NOT granted";
    assert_eq!(world.sql(queued), "1", "the other application's");
    drop(other);
}

#[test]
fn sessions_under_another_name_are_named_and_left() {
    let world = World::new();
    world.sql("CREATE TABLE items (id int)");
    let _reader = world.locks("items");
    // Not even the signal ends this one.
    let deaf = "import psycopg, signal; signal.signal(signal.SIGINT, signal.SIG_IGN); \
                c = psycopg.connect(os.environ['DATABASE_URL'], autocommit=True, application_name='its own')";
    let ran = world.run_once(&blocked(&world, deaf));
    let message = ran.failed_with("migration_timeout")["message"].as_str().unwrap();
    assert!(message.contains("may be its own: pid") && message.contains("ALTER TABLE items"), "{message}");
    let queued = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'its own'";
    assert_eq!(world.sql(queued), "1");
}

#[test]
fn what_is_stopped_gets_the_signal_that_its_driver_heeds() {
    let world = World::new();
    world.sql("CREATE TABLE marks (mark int)");
    let script = "import os, psycopg, time\nc = psycopg.connect(os.environ['DATABASE_URL'], autocommit=True)\n\
                  try: time.sleep(600)\nexcept KeyboardInterrupt: c.execute('INSERT INTO marks VALUES (1)')";
    let migrate = format!("migrate: {{ command: [python, -c, {script:?}], timeout: 4s }}\n");
    world.run_once(&app(&world, &migrate)).failed_with("migration_timeout");
    assert_eq!(world.sql("SELECT count(*) FROM marks"), "1");
}
