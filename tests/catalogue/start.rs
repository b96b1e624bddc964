//! The application: how it fails to start, to stay, and to take another's place.

use std::net::TcpListener;

use serde_json::Value;

use crate::case::{Case, fails, ready, within};
use crate::scene::{Scene, ended};
use crate::support::agent::Ran;
use crate::support::engine::docker;

const SEAM: &str = "app start";
const EXITED: (&str, &str) = ("app", "app_exited");
const PORT: (&str, &str) = ("app", "port_in_use");
const TIMEOUT: (&str, &str) = ("app", "health_timeout");

pub fn rows() -> Vec<Case> {
    within("health", [starts(), successors(), later()])
}

/// The first application does not come up.
fn starts() -> Vec<Case> {
    vec![
        fails(SEAM, "exits at once with 1", EXITED, |scene| {
            shell(scene, "echo cannot open /srv/settings.toml >&2; exit 1")
        })
        .says("exit code 1: cannot open /srv/settings.toml"),
        fails(SEAM, "exits at once with 0", EXITED, |scene| shell(scene, "echo all done"))
            .says("exit code 0: all done"),
        fails(SEAM, "exits at once and says nothing", EXITED, |scene| shell(scene, "exit 5"))
            .says("exit code 5: no output"),
        fails(SEAM, "a module is missing", EXITED, |scene| {
            scene.run_once(&scene.config("exits", "database: off\n"))
        })
        .says("'app.settings'"),
        fails(SEAM, "a command that the image does not have", EXITED, |scene| command(scene, &["uvikorn"]))
            .says("\"uvikorn\"")
            .phase("start"),
        fails(SEAM, "a command that may not be executed", EXITED, |scene| command(scene, &["/etc/passwd"]))
            .says("\"/etc/passwd\": permission denied")
            .phase("start"),
        fails(SEAM, "uses more memory than it may", ("app", "app_oom_killed"), |scene| {
            let eats = "held = []\nwhile True: held.append(bytearray(1 << 20))";
            let app = scene.app(&format!("  memory: 32m\n  command: [python3, -c, {eats:?}]\n"));
            scene.run_once(&scene.config("good", &format!("database: off\n{app}")))
        })
        .says("exit code 137"),
        fails(SEAM, "a table is missing", ("migration", "relation_missing"), |scene| {
            let asks = "import os, psycopg; \
                        psycopg.connect(os.environ['DATABASE_URL']).execute('SELECT * FROM invoices')";
            let app = scene.app(&format!("  command: [python3, -c, {asks:?}]\n"));
            scene.run_once(&scene.config("good", &format!("migrate: off\n{app}")))
        })
        .says("\"invoices\""),
        fails(SEAM, "never listens", TIMEOUT, |scene| {
            shell(scene, "trap exit TERM; echo thinking; sleep 600 & wait")
        })
        .says("5 s"),
        fails(SEAM, "listens on 127.0.0.1 only", TIMEOUT, |scene| {
            command(scene, &["python3", "-m", "http.server", "--bind", "127.0.0.1", "8000"])
        })
        .says("5 s"),
        fails(SEAM, "listens on another port", TIMEOUT, |scene| {
            command(scene, &["python3", "-m", "http.server", "8080"])
        })
        .says("5 s"),
    ]
}

/// Another one is in the way, or serves until its successor is proven.
fn successors() -> Vec<Case> {
    vec![
        fails(SEAM, "a container holds the port", PORT, |scene| {
            let mut first = Scene::new();
            first.serves_light();
            scene.port = first.port;
            let ran = shell(scene, "sleep 600");
            first.untouched();
            let holder = docker(&["inspect", "--format", "{{.Name}}", &first.app_container()]);
            let told = ran.status["fault"]["message"].as_str().unwrap();
            assert!(told.contains(holder.trim_start_matches('/')), "{holder} is not named: {told}");
            ran
        })
        .phase("start"),
        fails(SEAM, "a process outside Docker holds the port", PORT, |scene| {
            let _holder = TcpListener::bind(("127.0.0.1", scene.port)).unwrap();
            shell(scene, "sleep 600")
        })
        .says("a process outside Docker")
        .phase("start"),
        fails(SEAM, "its successor exits, and it is restored", EXITED, |scene| {
            scene.run_once(&scene.light("")).is_ready();
            let ran = scene.run_once(&scene.config("exits", "database: off\n"));
            assert_eq!(scene.get("/readyz").0, 200, "the application does not serve again");
            ran
        })
        .prose()
        .service("up"),
        fails(SEAM, "its successor exits, and it is to be left", EXITED, |scene| {
            scene.run_once(&scene.light("")).is_ready();
            let app = scene.app("  on_failure: leave\n");
            scene.run_once(&scene.config("exits", &format!("database: off\n{app}")))
        })
        .says("'app.settings'"),
        fails(
            SEAM,
            "its successor is never healthy, and it is restored",
            ("app", "health_status"),
            |scene| {
                scene.run_once(&scene.light("")).is_ready();
                let app = scene.answering("503 Service Unavailable|warming up");
                let more = format!("database: off\n{app}deadlines: {{ health: 10s }}\n");
                scene.run_once(&scene.config("good", &more))
            },
        )
        .says("503 warming up")
        .service("up"),
    ]
}

/// It served, and then something happened to it.
fn later() -> Vec<Case> {
    vec![
        ready(SEAM, "ends again and again once it serves", |scene| {
            let serve = "python3 -m http.server 8000 & \
                         while [ ! -e /tmp/end ]; do sleep 0.1; done; echo the end is near; exit 7";
            let config = scene.with_command(&["sh", "-c", serve], "health: [{ http: / }]\n");
            after(scene, &config, &["exec", "APP", "touch", "/tmp/end"], |status| {
                cause(status) == "app_crash_loop" && status["app"]["restarts"].as_u64() >= Some(3)
            })
        })
        .says("exit code 7…the end is near")
        .because("down", ("app", "app_crash_loop")),
        ready(SEAM, "removed by hand while it serves", |scene| {
            after(scene, &scene.light(""), &["rm", "-f", "APP"], |status| cause(status) == "app_removed")
        })
        .because("down", ("app", "app_removed")),
        ready(SEAM, "stopped by hand while it serves", |scene| {
            after(scene, &scene.light(""), &["stop", "APP"], |status| cause(status) == "app_exited")
        })
        .prose()
        .because("down", EXITED),
        ready(SEAM, "frozen by hand while it serves", |scene| {
            let ran =
                after(scene, &scene.light(""), &["pause", "APP"], |status| cause(status) == "health_timeout");
            docker(&["unpause", &scene.app_container()]);
            ran
        })
        .says("no answer")
        .because("degraded", TIMEOUT),
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
