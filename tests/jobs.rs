//! Jobs before the migration: in order, once, recorded, and told when they fail.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use std::fmt::Write as _;

use support::agent::Ran;
use support::peers::peers;
use support::world::World;

const INIT: &str = include_str!("../examples/tasks-api/init.sql");
const CHECK: &str = include_str!("../examples/tasks-api/check.sql");

/// Jobs that each hand a script to psql from the client image.
fn sql_jobs(world: &World, scripts: &[(&str, &str)]) -> String {
    let mut jobs = "jobs:\n".to_owned();
    for (name, script) in scripts {
        let file = world.given(&format!("{name}.sql"), script);
        write!(
            jobs,
            "  - name: {name}\n    image: {}/tools/psql:15\n    \
             command: [psql, -v, ON_ERROR_STOP=1, -f, /job/{name}.sql]\n    files: {{ /job/{name}.sql: {} }}\n",
            peers().registry,
            file.display()
        )
        .unwrap();
    }
    jobs
}

/// One job from the application's image.
fn shell_job(name: &str, script: &str) -> String {
    format!("jobs: [{{ name: {name}, command: [sh, -c, \"{script}\"] }}]\ntries: {{ migrate: 2 }}\n")
}

fn run(world: &World, more: &str, migrate: bool) -> Ran {
    world.write_config(&world.config("good", more));
    world.ran(world.run(if migrate { &["--once", "--migrate"] } else { &["--once"] }))
}

fn holds_the_sample_tasks(world: &World) {
    assert_eq!(world.sql("SELECT count(*) FROM tasks"), "4");
    let indexes = "SELECT count(*) FROM pg_indexes WHERE tablename = 'tasks' AND indexname LIKE 'idx%'";
    assert_eq!(world.sql(indexes), "2");
}

#[test]
fn the_handbooks_script_runs_before_the_migration_and_is_checked_by_a_second_job() {
    let world = World::new();
    let jobs = sql_jobs(&world, &[("init-sql", INIT), ("check-sql", CHECK)]);
    let ran = run(&world, &jobs, false).ready();
    assert_eq!((ran.phase("jobs"), ran.phase("migrate")), ("done", "done"));
    assert_eq!(ran.status["migration"]["to"], "0002");
    holds_the_sample_tasks(&world);
    assert!(world.containers("migrate").is_empty());
}

#[test]
fn the_handbooks_script_runs_on_a_database_that_is_migrated_already() {
    let world = World::new();
    run(&world, "", false).is_ready();
    let jobs = sql_jobs(&world, &[("init-sql", INIT), ("check-sql", CHECK)]);
    let ran = run(&world, &jobs, false).ready();
    assert_eq!((ran.phase("jobs"), ran.phase("migrate")), ("done", "kept"));
    holds_the_sample_tasks(&world);
}

#[test]
fn a_finished_job_runs_again_only_when_forced_or_changed() {
    let world = World::new();
    let jobs = sql_jobs(&world, &[("init-sql", INIT), ("check-sql", CHECK)]);
    run(&world, &jobs, false).is_ready();
    let times = || ["init-sql", "check-sql", "migrate"].map(|job| world.times_run(job));
    assert_eq!(times(), [1, 1, 1]);

    let ran = run(&world, &jobs, false).ready();
    assert_eq!((ran.phase("jobs"), ran.phase("migrate")), ("kept", "kept"));
    assert_eq!(times(), [1, 1, 1]);

    run(&world, &jobs, true).is_ready();
    assert_eq!(times(), [2, 2, 2]);

    world.given("init-sql.sql", &format!("{INIT}\nSELECT 1;\n"));
    let ran = run(&world, &jobs, false).ready();
    assert_eq!((ran.phase("jobs"), ran.phase("migrate")), ("done", "kept"));
    assert_eq!(times(), [3, 2, 2]);
}

#[test]
fn jobs_run_in_the_order_of_the_file() {
    let world = World::new();
    let ran = run(&world, &sql_jobs(&world, &[("check-sql", CHECK), ("init-sql", INIT)]), false);
    ran.failed_with("job_failed");
    assert!(world.times_run("check-sql") > 0, "{}", ran.status);
    assert_eq!(world.times_run("init-sql"), 0, "{}", ran.status);
    assert_eq!(ran.phase("migrate"), "pending");
}

#[test]
fn a_failing_job_is_told_with_its_last_output_and_tries() {
    let world = World::new();
    let ran = run(&world, &shell_job("seed", "echo one >&2; echo the seed is bad >&2; exit 4"), false);
    let fault = ran.failed_with("job_failed");
    assert_eq!(fault["message"], "seed ended with exit code 4: the seed is bad");
    assert_eq!(fault["tail"], "one\nthe seed is bad");
    assert_eq!((&fault["attempts"], &fault["phase"]), (&2.into(), &"jobs".into()));
    assert_eq!(world.times_run("seed"), 2);
    assert!(world.containers("migrate").is_empty(), "a container is left");
    assert!(world.containers("app").is_empty(), "the application was started");
    let logs = String::from_utf8(world.command(&["logs", "migrate"]).output().unwrap().stdout).unwrap();
    assert_eq!(logs.matches("the seed is bad").count(), 2, "{logs}");
}

#[test]
fn used_up_tries_are_remembered_until_forced_or_something_changes() {
    let world = World::new();
    let failing = shell_job("seed", "exit 4");
    run(&world, &failing, false).failed_with("job_failed");
    assert_eq!(world.times_run("seed"), 2);

    let fault = run(&world, &failing, false).failed_with("job_failed").clone();
    assert!(fault["message"].as_str().unwrap().starts_with("all 2 tries are used up"), "{fault}");
    assert_eq!((world.times_run("seed"), &fault["attempts"]), (2, &2.into()));

    run(&world, &failing, true).failed_with("job_failed");
    assert_eq!(world.times_run("seed"), 4);

    let with_a_variable = format!("{failing}{}    SEED: \"1\"\n", world.app(""));
    run(&world, &with_a_variable, false).failed_with("job_failed");
    assert_eq!(world.times_run("seed"), 6);
}

#[test]
fn what_the_first_try_said_is_kept_where_a_later_one_says_something_else() {
    let world = World::new();
    // What the first try leaves for the second one to trip over.
    let left = "import os, psycopg; c = psycopg.connect(os.environ['DATABASE_URL'], autocommit=True); \
                n = c.execute('SELECT count(*) FROM marks').fetchone()[0]; c.execute('INSERT INTO marks VALUES (1)'); \
                raise SystemExit('Error: ' + ('it is there already' if n else 'the cause of it all'))";
    world.sql("CREATE TABLE marks (mark int)");
    let job = format!(
        "migrate: off\njobs: [{{ name: seed, command: [python, -c, {left:?}] }}]\ntries: {{ migrate: 2 }}\n"
    );
    let ran = world.run_once(&world.light("good", "", &job));
    let fault = ran.failed_with("job_failed");
    assert_eq!((&fault["attempts"], world.sql("SELECT count(*) FROM marks").as_str()), (&2.into(), "2"));
    let message = fault["message"].as_str().unwrap();
    assert!(message.find("the cause of it all") < message.find("it is there already"), "{message}");
}

#[test]
fn a_reload_gives_fresh_tries_and_a_restart_none() {
    let world = World::new();
    let config = world.light(
        "good",
        "",
        "migrate: off\ndatabase: off\ntries: { migrate: 2 }\njobs: [{ name: seed, command: [\"false\"] }]\n",
    );
    let mut agent = world.start(&config);
    agent.wait_for_end_of_run(1);
    agent.reload(&config);
    agent.wait_for_end_of_run(2);
    assert_eq!(world.times_run("seed"), 4);
    agent.stop();
    let mut agent = world.start(&config);
    let status = agent.wait_for_end_of_run(3);
    assert_eq!((world.times_run("seed"), &status["fault"]["code"]), (4, &"job_failed".into()));
}

#[test]
fn an_error_of_sql_that_comes_again_is_tried_once() {
    let world = World::new();
    world.sql("CREATE TABLE twice (n int); INSERT INTO twice VALUES (1), (1)");
    for statement in [
        "CREATE UNIQUE INDEX once ON twice (n)",
        "SELECT 1 FROM nowhere",
        "SELECT 1/0",
        "CREATE TABLE twice ()",
    ] {
        let script = format!(
            "import os, psycopg; psycopg.connect(os.environ['DATABASE_URL'], autocommit=True).execute('{statement}')"
        );
        let migrate = format!("migrate: {{ command: [python, -c, {script:?}] }}\n");
        let ran = world.run_once(&world.light("good", "", &migrate));
        assert_eq!(
            (ran.code, &ran.status["fault"]["attempts"]),
            (Some(1), &1.into()),
            "{statement}: {}",
            ran.status
        );
    }
}

#[test]
fn a_job_whose_command_is_not_there_fails_at_once() {
    for command in ["[seeder]", "[sh, -c, seeder]"] {
        let world = World::new();
        let job = format!("jobs: [{{ name: seed, command: {command} }}]\n");
        let ran = run(&world, &job, false);
        assert_eq!(ran.failed_with("job_failed")["attempts"], 1, "{command}");
        assert!(world.containers("migrate").is_empty());
    }
}

#[test]
fn a_job_image_that_is_not_there_is_the_jobs_fault() {
    let world = World::new();
    let job = format!("jobs: [{{ name: seed, image: \"{}/tools/psql:none\" }}]\n", peers().registry);
    let ran = run(&world, &job, false);
    assert_eq!(ran.failed_with("image_not_found")["phase"], "jobs");
    assert!(ran.status["image"].get("progress").is_none());
}

#[test]
fn jobs_get_the_database_as_libpq_reads_it_and_the_applications_environment() {
    let world = World::new();
    let script = "test -n \\\"$PGPASSWORD\\\" && test -n \\\"$DATABASE_URL\\\" && test -n \\\"$SENTRY_DSN\\\" && \
                  test \\\"$PGDATABASE\\\" = $EXPECTED";
    let app = world.app(&format!("    EXPECTED: {}\n", world.database));
    run(&world, &format!("{}{app}", shell_job("look", script)), false).is_ready();
}

#[test]
fn what_a_job_prints_of_a_secret_is_masked() {
    let world = World::new();
    let ran = run(&world, &shell_job("leak", "echo $DATABASE_URL $PGPASSWORD $SENTRY_DSN; exit 1"), false);
    // The world itself searches status, logs and files for the values.
    assert!(ran.failed_with("job_failed")["tail"].as_str().unwrap().contains("[redacted]"), "{}", ran.status);
}

#[test]
fn a_job_that_was_left_behind_by_a_crash_is_adopted_and_not_doubled() {
    let world = World::new();
    let gate = world.given("gate", "shut");
    let config = format!(
        "jobs: [{{ name: slow, command: [sh, -c, \"until grep -q open /gate; do sleep 0.1; done\"], \
         files: {{ /gate: {} }} }}]\n",
        gate.display()
    );
    let agent = world.start(&world.config("good", &config));
    // One that was created and never started has done nothing, and is made anew.
    let container = [world.running_migration()];
    agent.crash();

    let mut agent = world.start(&world.config("good", &config));
    agent.wait_for("the second run in its jobs", |status| {
        status["run"]["sequence"] == 2 && status["run"]["phase"] == "jobs"
    });
    assert_eq!(world.containers("migrate"), container);
    world.given("gate", "open");
    agent.is_ready(2);
    agent.stop();
}
