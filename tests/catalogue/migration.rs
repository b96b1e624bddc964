//! The migration and the jobs before it, with the real alembic on the real database.

use crate::case::{Case, fails, ready, within};
use crate::scene::{Scene, end_of_run};
use crate::support::agent::Ran;
use crate::support::engine::docker;
use crate::support::peers::peers;
use crate::support::wait::eventually;

const SEAM: &str = "migration";
const FAILED: (&str, &str) = ("migration", "migration_failed");
const MISSING: (&str, &str) = ("migration", "migration_command_missing");
const JOB: (&str, &str) = ("migration", "job_failed");

pub fn rows() -> Vec<Case> {
    within("migrate", [alembic(), endings(), jobs(), restarts()])
}

/// What alembic itself refuses.
fn alembic() -> Vec<Case> {
    vec![
        fails(SEAM, "a command that the image does not have", MISSING, |scene| {
            deploy(scene, "migrate: { command: [alembik, upgrade, head] }\n")
        })
        .says("\"alembik\""),
        fails(SEAM, "two heads", ("migration", "migration_multiple_heads"), |scene| {
            let other = "revision = \"0002b\"\ndown_revision = \"0001\"\n\n\ndef upgrade():\n    pass\n";
            let file = scene.given("0002b.py", other);
            deploy(
                scene,
                &format!(
                    "migrate: {{ files: {{ /srv/app/migrations/versions/0002b.py: {} }} }}\n",
                    file.display()
                ),
            )
        })
        .says("exit code 255"),
        fails(SEAM, "a revision of another branch", ("migration", "migration_revision_unknown"), |scene| {
            scene.sql("CREATE TABLE alembic_version (version_num varchar(32) PRIMARY KEY)");
            scene.sql("INSERT INTO alembic_version VALUES ('deadbeef')");
            deploy(scene, "")
        })
        .says("'deadbeef'"),
        fails(SEAM, "a statement that the database refuses", FAILED, |scene| {
            scene.sql("CREATE TABLE tasks (id int)");
            deploy(scene, "tries: { migrate: 1 }\n")
        })
        .says("\"status\""),
        fails(SEAM, "waits for a lock", ("migration", "migration_timeout"), |scene| {
            // A session that holds the table, for as long as the row lasts.
            deploy(scene, "migrate: { command: [alembic, upgrade, \"0001\"] }\n").is_ready();
            scene.keep(&scene.app_container());
            let _holder = scene.locks("alembic_version");
            deploy(scene, "migrate: { timeout: 3s }\n")
        })
        .says("held by pid")
        .service("up"),
    ]
}

/// How it ends.
fn endings() -> Vec<Case> {
    vec![
        fails(SEAM, "exits with 1 each time", FAILED, |scene| shell(scene, "echo it is broken; exit 1", ""))
            .says("exit code 1: it is broken")
            .tries(2),
        ready(SEAM, "fails twice, then succeeds", |scene| {
            scene.sql("CREATE TABLE marks (mark int)");
            let counts = "import sqlalchemy as s, app.database as d, sys\nwith d.engine.begin() as c:\n  \
                          c.execute(s.text('INSERT INTO marks VALUES (1)'))\n  \
                          n = c.execute(s.text('SELECT count(*) FROM marks')).scalar()\nsys.exit(n < 3)";
            let ran = deploy(scene, &format!("migrate: {{ command: [python3, -c, {counts:?}] }}\n"));
            assert_eq!(ran.status["migration"]["attempts"], 3);
            ran
        }),
        fails(SEAM, "does not end in its time", ("migration", "migration_timeout"), |scene| {
            shell(scene, "trap 'exit 9' TERM; echo counts the rows; sleep 60 & wait", "timeout: 2s")
        })
        .says("2 s"),
        fails(SEAM, "uses more memory than it may", ("app", "app_oom_killed"), |scene| {
            let eats = "held = []\nwhile True: held.append(bytearray(1 << 20))";
            let app = scene.app("  memory: 32m\n");
            deploy(
                scene,
                &format!("{app}migrate: {{ command: [python3, -c, {eats:?}] }}\ntries: {{ migrate: 2 }}\n"),
            )
        })
        .says("exit code 137")
        .tries(2),
        fails(SEAM, "killed by somebody", FAILED, |scene| {
            let held =
                "migrate: { command: [sh, -c, \"echo half-way; sleep 600\"] }\ntries: { migrate: 1 }\n";
            let config = config(scene, held);
            let agent = scene.start(&config);
            let migration = scene.running_migration();
            eventually("its output", || docker(&["logs", &migration]) == "half-way");
            docker(&["kill", &migration]);
            end_of_run(agent, 1)
        })
        .says("exit code 137…half-way")
        .exit(0),
        fails(SEAM, "prints garbage and fails", FAILED, |scene| {
            shell(scene, "head -c 200000 /dev/urandom; exit 3", "")
        })
        .says("exit code 3: its output is not text")
        .tries(2),
        ready(SEAM, "prints garbage and succeeds", |scene| shell(scene, "head -c 200000 /dev/urandom", "")),
    ]
}

/// What comes before it.
fn jobs() -> Vec<Case> {
    vec![
        fails(SEAM, "a job before it fails", JOB, |scene| {
            let ran = deploy(
                scene,
                "jobs: [{ name: seed, command: [sh, -c, \"echo no rows in seed.csv; exit 4\"] }]\ntries: { migrate: 2 }\n",
            );
            assert_eq!(scene.times_run("migrate"), 0, "the migration ran after a job that failed");
            ran
        }).says("seed ended with exit code 4: no rows").phase("jobs")
        .tries(2),
        fails(SEAM, "the image of a job is not there", ("registry", "image_not_found"), |scene| {
            let registry = &peers().registry;
            deploy(scene, &format!("jobs: [{{ name: seed, image: {registry}/tools/none:1, command: [sh] }}]\n"))
        }).says("/tools/none:1").phase("jobs"),
        fails(SEAM, "the file of a job goes after the configuration was read", ("config", "credential_missing"), |scene| {
            let file = scene.given("seed.sql", "SELECT 1;\n");
            let jobs = format!(
                "jobs:\n  - {{ name: first, command: [sh, -c, \"until [ -e /tmp/go ]; do sleep 0.1; done\"] }}\n  \
                 - {{ name: seed, command: [cat, /job/seed.sql], files: {{ /job/seed.sql: {} }} }}\n",
                file.display()
            );
            let config = config(scene, &jobs);
            let agent = scene.start(&config);
            let first = scene.running_migration();
            std::fs::remove_file(&file).unwrap();
            docker(&["exec", &first, "touch", "/tmp/go"]);
            end_of_run(agent, 1)
        }).says("/given/seed.sql").phase("jobs")
        .exit(0),
    ]
}

/// Across the end of the agent.
fn restarts() -> Vec<Case> {
    vec![
        fails(SEAM, "its tries are used up and the agent is started again", FAILED, |scene| {
            fails_always(scene).failed_with("migration_failed");
            let ran = fails_always(scene);
            assert_eq!(scene.times_run("migrate"), 2, "it was tried again");
            ran
        })
        .says("2 tries…it is broken")
        .tries(2),
        fails(SEAM, "its tries are used up and it is forced", FAILED, |scene| {
            fails_always(scene).failed_with("migration_failed");
            let path = scene.config_path();
            let ran = scene.run_args(&["run", "--once", "--migrate", "--config", path.to_str().unwrap()]);
            assert_eq!(scene.times_run("migrate"), 4, "it was not tried again");
            ran
        })
        .says("it is broken")
        .tries(2),
        ready(SEAM, "SIGTERM in it, and the agent is started again", |scene| interrupted(scene, false)),
        ready(SEAM, "the agent is killed in it and started again", |scene| interrupted(scene, true)),
    ]
}

fn deploy(scene: &mut Scene, more: &str) -> Ran {
    scene.run_once(&config(scene, more))
}

/// A deployment whose application starts in no time: what counts is before it.
fn config(scene: &Scene, more: &str) -> String {
    // An application of its own limits is a row's own.
    let app = if more.contains("app:") { String::new() } else { scene.answering("200 OK|fine") };
    scene.config("good", &format!("{app}{more}"))
}

/// A migration by shell, tried twice.
fn shell(scene: &mut Scene, script: &str, more: &str) -> Ran {
    let comma = if more.is_empty() { "" } else { ", " };
    deploy(
        scene,
        &format!("migrate: {{ command: [sh, -c, {script:?}]{comma}{more} }}\ntries: {{ migrate: 2 }}\n"),
    )
}

fn fails_always(scene: &mut Scene) -> Ran {
    shell(scene, "echo it is broken; exit 1", "")
}

/// The migration that an agent leaves behind is adopted by the next one.
fn interrupted(scene: &mut Scene, crash: bool) -> Ran {
    let held = "until [ -e /tmp/go ]; do sleep 0.1; done";
    let config = config(scene, &format!("migrate: {{ command: [sh, -c, {held:?}] }}\n"));
    let recording = scene.record();
    let agent = scene.start(&config);
    let migration = scene.running_migration();
    if crash {
        agent.crash();
    } else {
        assert_eq!(agent.stop(), Some(0));
    }
    docker(&["exec", &migration, "touch", "/tmp/go"]);
    let ran = scene.run_once(&config);
    eventually("the migration is gone", || scene.containers("migrate").is_empty());
    assert_eq!(recording.count("migrate", "create"), 1, "the migration was doubled");
    ran
}
