//! The application: how it fails to start, to stay, and to take another's place.

use std::net::TcpListener;

use serde_json::Value;

use crate::case::{Case, fails, ready};
use crate::scene::{Scene, ended};
use crate::support::agent::Ran;
use crate::support::engine::docker;

const SEAM: &str = "app start";
const EXITED: (&str, &str) = ("app", "app_exited");
const PORT: (&str, &str) = ("app", "port_in_use");
const TIMEOUT: (&str, &str) = ("app", "health_timeout");

pub fn rows() -> Vec<Case> {
    let mut rows = starts();
    for row in &mut rows {
        row.wants.service = "down";
    }
    rows.extend(successors());
    rows.extend(later());
    rows
}

/// The first application does not come up.
fn starts() -> Vec<Case> {
    vec![
        fails(
            SEAM,
            "exits at once with 1",
            EXITED,
            "failed in health: app_exited (app): the application ended with exit code 1: cannot open /srv/settings.toml; the app is down. Read the tail or `agent logs app`; a reload deploys it again.",
            |scene| shell(scene, "echo cannot open /srv/settings.toml >&2; exit 1"),
        ),
        fails(
            SEAM,
            "exits at once with 0",
            EXITED,
            "failed in health: app_exited (app): the application ended with exit code 0: all done; the app is down. Read the tail or `agent logs app`; a reload deploys it again.",
            |scene| shell(scene, "echo all done"),
        ),
        fails(
            SEAM,
            "exits at once and says nothing",
            EXITED,
            "failed in health: app_exited (app): the application ended with exit code 5: no output; the app is down. Read the tail or `agent logs app`; a reload deploys it again.",
            |scene| shell(scene, "exit 5"),
        ),
        fails(
            SEAM,
            "a module is missing",
            EXITED,
            "failed in health: app_exited (app): the application ended with exit code 3: ModuleNotFoundError: No module named 'app.settings'; the app is down. Read the tail or `agent logs app`; a reload deploys it again.",
            |scene| {
                let config = scene.config("exits", "database: off\n");
                scene.run_once(&config)
            },
        ),
        fails(
            SEAM,
            "a command that the image does not have",
            EXITED,
            "failed in start: app_exited (app): could not start the container: exec: \"uvikorn\": executable file not found in $PATH; the app is down. Read the tail or `agent logs app`; a reload deploys it again.",
            |scene| command(scene, &["uvikorn"]),
        ),
        fails(
            SEAM,
            "a command that may not be executed",
            EXITED,
            "failed in start: app_exited (app): could not start the container: exec: \"/etc/passwd\": permission denied; the app is down. Read the tail or `agent logs app`; a reload deploys it again.",
            |scene| command(scene, &["/etc/passwd"]),
        ),
        fails(
            SEAM,
            "uses more memory than it may",
            ("app", "app_oom_killed"),
            "failed in health: app_oom_killed (app): the application ended with exit code 137, out of memory; the app is down. Raise `app.memory` or use a larger instance.",
            |scene| {
                let eats = "held = []\nwhile True: held.append(bytearray(1 << 20))";
                let app = scene.app(&format!("  memory: 32m\n  command: [python3, -c, {eats:?}]\n"));
                let config = scene.config("good", &format!("database: off\n{app}"));
                scene.run_once(&config)
            },
        ),
        fails(
            SEAM,
            "a table is missing",
            ("migration", "relation_missing"),
            "failed in health: relation_missing (migration): the application ended with exit code 1: psycopg.errors.UndefinedTable: relation \"invoices\" does not exist; the app is down. A table is missing: run the migration or an init job before the app (`jobs`, `migrate`).",
            |scene| {
                let asks = "import os, psycopg; \
                        psycopg.connect(os.environ['DATABASE_URL']).execute('SELECT * FROM invoices')";
                let app = scene.app(&format!("  command: [python3, -c, {asks:?}]\n"));
                let config = scene.config("good", &format!("migrate: off\n{app}"));
                scene.run_once(&config)
            },
        ),
        fails(
            SEAM,
            "never listens",
            TIMEOUT,
            "failed in health: health_timeout (app): not healthy within 5 s: …; the app is down. Check that the application listens on 0.0.0.0 at `app.port`, or raise `deadlines.health` if it starts slowly.",
            |scene| shell(scene, "trap exit TERM; echo thinking; sleep 600 & wait"),
        ),
        fails(
            SEAM,
            "listens on 127.0.0.1 only",
            TIMEOUT,
            "failed in health: health_timeout (app): not healthy within 5 s: …; the app is down. Check that the application listens on 0.0.0.0 at `app.port`, or raise `deadlines.health` if it starts slowly.",
            |scene| command(scene, &["python3", "-m", "http.server", "--bind", "127.0.0.1", "8000"]),
        ),
        fails(
            SEAM,
            "listens on another port",
            TIMEOUT,
            "failed in health: health_timeout (app): not healthy within 5 s: …; the app is down. Check that the application listens on 0.0.0.0 at `app.port`, or raise `deadlines.health` if it starts slowly.",
            |scene| command(scene, &["python3", "-m", "http.server", "8080"]),
        ),
    ]
}

/// Another one is in the way, or serves until its successor is proven.
fn successors() -> Vec<Case> {
    vec![
        fails(SEAM, "a container holds the port", PORT, "failed in start: port_in_use (app): port … is held by the container …; the app is down. Stop what holds the port, or change `app.publish`.", |scene| {
            let mut first = Scene::new();
            first.serves_light();
            scene.port = first.port;
            let ran = shell(scene, "sleep 600");
            first.untouched();
            ran
        })
        .service("down"),
        fails(SEAM, "a process outside Docker holds the port", PORT, "failed in start: port_in_use (app): port … is held by a process outside Docker; the app is down. Stop what holds the port, or change `app.publish`.", |scene| {
            let _holder = TcpListener::bind(("127.0.0.1", scene.port)).unwrap();
            shell(scene, "sleep 600")
        })
        .service("down"),
        fails(SEAM, "its successor exits, and it is restored", EXITED, "failed in health: app_exited (app): the application ended with exit code 3: ModuleNotFoundError: No module named 'app.settings'; serving the previous …/acme/tasks-api:good. Read the tail or `agent logs app`; a reload deploys it again.", |scene| {
            scene.run_once(&scene.light("")).is_ready();
            let ran = scene.run_once(&scene.config("exits", "database: off\n"));
            assert_eq!(scene.get("/readyz").0, 200, "the application does not serve again");
            ran
        })
        .service("up"),
        fails(SEAM, "its successor exits, and it is to be left", EXITED, "failed in health: app_exited (app): the application ended with exit code 3: ModuleNotFoundError: No module named 'app.settings'; the app is down. Read the tail or `agent logs app`; a reload deploys it again.", |scene| {
            scene.run_once(&scene.light("")).is_ready();
            let app = scene.app("  on_failure: leave\n");
            scene.run_once(&scene.config("exits", &format!("database: off\n{app}")))
        })
        .service("down"),
        fails(
            SEAM,
            "its successor is never healthy, and it is restored",
            ("app", "health_status"),
            "failed in health: health_status (app): not healthy within 10 s: /readyz answered 503 warming up; serving the previous …/acme/tasks-api:good. Read `agent logs app`; the path answered with an error status.",
            |scene| {
                scene.run_once(&scene.light("")).is_ready();
                let app = scene.answering("503 Service Unavailable|warming up");
                let more = format!("database: off\n{app}deadlines: {{ health: 10s }}\n");
                scene.run_once(&scene.config("good", &more))
            },
        )
        .service("up"),
    ]
}

/// It served, and then something happened to it.
fn later() -> Vec<Case> {
    vec![
        ready(SEAM, "ends again and again once it serves", "down: app: app_crash_loop: … times within minutes the application ended with exit code 7; Docker restart…: the end is near. Read the tail or `agent logs app`; Docker keeps restarting it.", |scene| {
            let serve = "python3 -m http.server 8000 & \
                         while [ ! -e /tmp/end ]; do sleep 0.1; done; echo the end is near; exit 7";
            let config = scene.with_command(&["sh", "-c", serve], "health: [{ http: / }]\n");
            after(scene, &config, &["exec", "APP", "touch", "/tmp/end"], |status| {
                cause(status) == "app_crash_loop" && status["app"]["restarts"].as_u64() >= Some(3)
            })
        })
        .service("down")
        .because("app", "app_crash_loop"),
        ready(SEAM, "removed by hand while it serves", "down: app: app_removed: the application's container was removed. Reload the agent to deploy it again.", |scene| {
            after(scene, &scene.light(""), &["rm", "-f", "APP"], |status| cause(status) == "app_removed")
        })
        .service("down")
        .because("app", "app_removed"),
        ready(SEAM, "stopped by hand while it serves", "down: app: app_exited: the application ended with exit code 0; signal 15 was sent through Docker, which leaves it stopped: no output. Read the tail or `agent logs app`; a reload deploys it again.", |scene| {
            after(scene, &scene.light(""), &["stop", "APP"], |status| cause(status) == "app_exited")
        })
        .service("down")
        .because("app", "app_exited"),
        ready(SEAM, "frozen by hand while it serves", "degraded: app: health_timeout: /readyz: no answer in time. Check that the application listens on 0.0.0.0 at `app.port`, or raise `deadlines.health` if it starts slowly.", |scene| {
            let ran =
                after(scene, &scene.light(""), &["pause", "APP"], |status| cause(status) == "health_timeout");
            docker(&["unpause", &scene.app_container()]);
            ran
        })
        .service("degraded")
        .because("app", "health_timeout"),
    ]
}

fn cause(status: &Value) -> &str {
    status["service"]["cause"]["code"].as_str().unwrap_or_default()
}

/// An application by shell that has three seconds to get healthy.
fn shell(scene: &mut Scene, script: &str) -> Ran {
    command(scene, &["sh", "-c", script])
}

fn command(scene: &mut Scene, command: &[&str]) -> Ran {
    scene.run_once(&scene.with_command(command, "deadlines: { health: 5s }\n"))
}

/// An agent whose application serves until this is done to it (`APP` is its container), and then says so.
fn after(scene: &Scene, config: &str, done: &[&str], says: fn(&Value) -> bool) -> Ran {
    let mut agent = scene.start(config);
    assert_eq!(agent.wait_for_end_of_run(1)["run"]["outcome"], "ready");
    let container = scene.app_container();
    let done: Vec<&str> =
        done.iter().map(|arg| if *arg == "APP" { container.as_str() } else { arg }).collect();
    docker(&done);
    let status = agent.wait_for("what happened", says);
    ended(agent, status)
}
