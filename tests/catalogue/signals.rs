//! Signals, in every phase that waits for something, and beside an agent that runs already.

use std::net::TcpListener;

use serde_json::Value;

use crate::case::{Case, NOTES, fails, ready};
use crate::scene::{Scene, end_of_run, ended};
use crate::support::agent::{Ran, Running};
use crate::support::engine::docker;
use crate::support::peers::peers;
use crate::support::registry::{At, FakeRegistry, Trouble};
use crate::support::ssm::Failure;
use crate::support::wait::eventually;

const SEAM: &str = "signals";
const INTERRUPTED: (&str, &str) = ("agent", "interrupted");
const FOR_EVER: usize = usize::MAX;

pub fn rows() -> Vec<Case> {
    let stops = stops().into_iter().map(|row| row.exit(0).service("unwatched"));
    stops.chain(others()).collect()
}

/// Told to stop, in each phase.
fn stops() -> Vec<Case> {
    vec![
        fails(SEAM, "SIGTERM while the parameters are read", INTERRUPTED, |scene| {
            scene.ssm.fail(FOR_EVER, Failure::Hang);
            let config = scene.light("");
            told(scene, &config, "TERM", |status| status["run"]["phase"] == "resolve")
        })
        .phase("resolve"),
        fails(SEAM, "SIGTERM in a pull", INTERRUPTED, |scene| in_a_pull(scene, "TERM")).phase("image"),
        fails(SEAM, "SIGINT in a pull", INTERRUPTED, |scene| in_a_pull(scene, "INT")).phase("image"),
        fails(SEAM, "SIGTERM while the database is waited for", INTERRUPTED, |scene| {
            let silent = TcpListener::bind((peers().postgres_host.as_str(), 0)).unwrap();
            let port = silent.local_addr().unwrap().port();
            let database =
                scene.database_block().replace(&peers().postgres_port.to_string(), &port.to_string());
            let config = scene.config("good", &format!("{database}{}", scene.answering("200 OK|fine")));
            told(scene, &config, "TERM", |status| {
                let mut phases = status["phases"].as_array().into_iter().flatten();
                status["database"]["state"] == "waiting"
                    && phases.any(|phase| phase["name"] == "image" && phase["state"] == "done")
            })
        })
        .phase("…"),
        fails(SEAM, "SIGTERM while the application gets healthy", INTERRUPTED, |scene| {
            let app = scene.answering("503 Service Unavailable|warming up");
            let config = scene.config("good", &format!("database: off\n{app}"));
            told(scene, &config, "TERM", |status| !status["health"].as_array().is_none_or(Vec::is_empty))
        })
        .phase("health"),
        ready(SEAM, "SIGTERM while the application serves", |scene| {
            let config = scene.light("");
            told(scene, &config, "TERM", |status| status["run"]["outcome"] == "ready")
        })
        .prose(),
    ]
}

fn others() -> Vec<Case> {
    vec![
        ready(SEAM, "SIGHUP with a configuration that is wrong", |scene| {
            let config = scene.light("");
            let mut agent = serves(scene, &config);
            scene.keep(&scene.app_container());
            agent.reload("imgae: x\n");
            let status =
                agent.wait_for("the refusal", |status| status["notes"].to_string().contains("refused"));
            ended(agent, status)
        })
        .has(NOTES, "reload refused…/config.yaml:1:1: unknown key `imgae`"),
        ready(SEAM, "SIGHUP in a pull, with another image", |scene| {
            let (registry, silent) = silent(scene);
            let mut agent = scene.start(&silent);
            agent.wait_for("a pull", |status| pulls(&registry, status));
            agent.reload(&scene.light(""));
            let status = agent.wait_for_end_of_run(2);
            assert!(agent.stderr().contains("superseded by run"), "{}", agent.stderr());
            ended(agent, status)
        }),
        ready(SEAM, "SIGKILL in a pull, and a second start", |scene| {
            let (registry, silent) = silent(scene);
            let mut agent = scene.start(&silent);
            agent.wait_for("a pull", |status| pulls(&registry, status));
            agent.crash();
            drop(registry);
            scene.run_once(&scene.light(""))
        }),
        ready(SEAM, "frozen and thawed while the application serves", |scene| {
            let config = scene.light("");
            let agent = serves(scene, &config);
            scene.keep(&scene.app_container());
            agent.signal("STOP");
            eventually("a frozen agent", || is_frozen(agent.pid()));
            agent.signal("CONT");
            agent.reload(&config);
            end_of_run(agent, 2)
        }),
        ready(SEAM, "frozen while the application is killed", |scene| {
            let config = scene.light("");
            let mut agent = serves(scene, &config);
            agent.signal("STOP");
            eventually("a frozen agent", || is_frozen(agent.pid()));
            docker(&["kill", &scene.app_container()]);
            agent.signal("CONT");
            let status = agent.wait_for("what happened", |status| status["service"]["state"] == "down");
            ended(agent, status)
        })
        .says("exit code 137…signal 9")
        .because("down", ("app", "app_exited")),
        ready(SEAM, "a second agent", |scene| {
            let config = scene.light("");
            let agent = serves(scene, &config);
            scene.keep(&scene.app_container());
            let ran = scene.run_once(&config);
            assert!(ran.stderr.contains("already_running"), "{}", ran.stderr);
            assert_eq!(agent.stop(), Some(0));
            ran
        })
        .exit(75),
    ]
}

fn serves<'a>(scene: &'a Scene, config: &str) -> Running<'a> {
    let mut agent = scene.start(config);
    assert_eq!(agent.wait_for_end_of_run(1)["run"]["outcome"], "ready");
    agent
}

/// An agent that gets this signal once its status says so; the status that it leaves.
fn told(scene: &Scene, config: &str, signal: &str, says: impl Fn(&Value) -> bool) -> Ran {
    let mut agent = scene.start(config);
    agent.wait_for("the moment", says);
    agent.signal(signal);
    let stderr = agent.stderr();
    let code = agent.end();
    Ran { code, stderr, status: scene.status().unwrap() }
}

fn in_a_pull(scene: &mut Scene, signal: &str) -> Ran {
    let (registry, config) = silent(scene);
    told(scene, &config, signal, |status| pulls(&registry, status))
}

/// The registry has been asked and has not answered.
fn pulls(registry: &FakeRegistry, status: &Value) -> bool {
    status["run"]["phase"] == "image" && registry.seen().iter().any(|seen| seen.path.contains("/manifests/"))
}

/// State T of proc(5).
fn is_frozen(pid: u32) -> bool {
    std::fs::read_to_string(format!("/proc/{pid}/stat")).is_ok_and(|stat| stat.contains(") T "))
}

/// A registry that says nothing when it is asked for the image, and a configuration that asks it.
fn silent(scene: &Scene) -> (FakeRegistry, String) {
    let registry = FakeRegistry::start();
    registry.trouble(At::Manifest, FOR_EVER, Trouble::Silence);
    let config = format!(
        "image: {}\ndatabase: off\nreport: {{ parameter: /test/status }}\n{}",
        registry.image("1"),
        scene.app("")
    );
    (registry, config)
}
