//! The Docker Engine: absent, strange, refusing; and a real one, killed, stopped and started again.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::UnixListener;

use serde_json::{Value, json};

use crate::case::{Case, fails, ready, within};
use crate::scene::{Scene, end_of_run, ended, source};
use crate::support::agent::Ran;
use crate::support::docker::{Answer, FakeDocker, cut_off, document, lines, refusal};
use crate::support::github::{GitHub, Tarball};
use crate::support::nested::Nested;
use crate::support::peers::peers;
use crate::support::registry::{At, FakeRegistry, Trouble, architecture};
use crate::support::wait::eventually;

const SEAM: &str = "Docker API";
const UNAVAILABLE: (&str, &str) = ("docker", "docker_unavailable");
const REFUSED: (&str, &str) = ("docker", "docker_failed");

pub fn rows() -> Vec<Case> {
    let mut rows = within("resolve", [sockets()]);
    rows.extend(within("start", [refusals()]));
    rows.extend(within("image", [real()]));
    rows
}

/// What is at the socket.
fn sockets() -> Vec<Case> {
    vec![
        fails(SEAM, "no socket", UNAVAILABLE, |scene| {
            let nowhere = scene.path("nowhere.sock").display().to_string();
            at(scene, &nowhere, "2s")
        })
        .says("/nowhere.sock"),
        fails(SEAM, "a socket that nobody listens at", UNAVAILABLE, |scene| {
            let path = scene.path("docker.sock");
            drop(UnixListener::bind(&path).unwrap());
            at(scene, &path.display().to_string(), "2s")
        })
        .says("/docker.sock: connection refused"),
        fails(SEAM, "accepts and says nothing", UNAVAILABLE, |scene| {
            let path = scene.path("docker.sock");
            let _silent = UnixListener::bind(&path).unwrap();
            at(scene, &path.display().to_string(), "4s")
        })
        .says("silent for 3 s"),
        fails(SEAM, "a socket that may not be opened", UNAVAILABLE, |scene| {
            let path = scene.path("docker.sock");
            let _closed = UnixListener::bind(&path).unwrap();
            std::fs::set_permissions(&path, Permissions::from_mode(0o000)).unwrap();
            // Root, without the capability to open what it may not.
            scene.run_by(&["setpriv", "--bounding-set=-all", "--"]);
            at(scene, &path.display().to_string(), "2s")
        })
        .says("/docker.sock: permission denied"),
        fails(SEAM, "DOCKER_HOST names another machine", UNAVAILABLE, |scene| {
            scene.set_env("DOCKER_HOST", "tcp://127.0.0.1:2375");
            scene.run_once(&absent(scene, "2s"))
        })
        .says("DOCKER_HOST"),
        fails(SEAM, "500 to everything", REFUSED, |scene| {
            with(scene, |_, _| Some(refusal(500, "cannot read /var/lib/docker: input/output error")))
        })
        .says("input/output error"),
        fails(SEAM, "not JSON", REFUSED, |scene| {
            with(scene, |_, path| path.ends_with("/version").then(|| lines("<html>Welcome</html>")))
        })
        .says("JSON"),
        fails(SEAM, "older than 20.10", ("docker", "docker_too_old"), |scene| {
            let engine = FakeDocker::start(|_, _| None);
            engine.speak("1.40");
            scene.set_env("DOCKER_HOST", &engine.host());
            scene.run_once(&absent(scene, "20s"))
        })
        .says("1.40…1.41 (Docker 20.10)"),
        fails(SEAM, "breaks off in the midst of each pull", UNAVAILABLE, |scene| {
            with(scene, |_, path| path.starts_with("/images/create").then(|| cut_off("{\"status\":\"Pull")))
        })
        .says("/acme/api:1")
        .tries(2)
        .phase("image"),
    ]
}

/// It answers, gives an image, and then says no.
fn refusals() -> Vec<Case> {
    vec![
        fails(SEAM, "the image is gone between pull and container", REFUSED, |scene| {
            with(scene, |_, path| created(path, || refusal(404, "No such image: api:1")))
        })
        .says("No such image: api:1"),
        fails(SEAM, "refuses to create: the name is taken", REFUSED, |scene| {
            with(scene, |_, path| {
                created(path, || refusal(409, "Conflict. The container name \"/x\" is already in use"))
            })
        })
        .says("name \"/x\""),
        fails(SEAM, "refuses to create: no space is left", ("disk", "disk_full"), |scene| {
            with(scene, |_, path| {
                created(path, || {
                    refusal(500, "mkdir /var/lib/docker/overlay2/1f/merged: no space left on device")
                })
            })
        })
        .says("overlay2/1f/merged"),
        fails(SEAM, "500 to each start", REFUSED, |scene| {
            with(scene, |_, path| started(path, || refusal(500, "cgroups: cgroup mountpoint does not exist")))
        })
        .says("cgroup mountpoint"),
        fails(SEAM, "the container vanishes between create and start", REFUSED, |scene| {
            with(scene, |_, path| started(path, || refusal(404, "No such container: 1f2e3d4c")))
        })
        .says("1f2e3d4c"),
        fails(SEAM, "refuses to make a network", REFUSED, |scene| {
            with(scene, |method, path| {
                let asked = method == "POST" && path.starts_with("/networks/create");
                asked.then(|| refusal(403, "could not find an available, non-overlapping IPv4 address pool"))
            })
        })
        .says("address pool"),
    ]
}

/// An engine of the row's own, and what becomes of it.
fn real() -> Vec<Case> {
    vec![
        ready(SEAM, "comes up late", |scene| {
            scene.beside(Nested::late(), &[]);
            let config = scene.light("");
            let mut agent = scene.start(&config);
            // Its first request has found nobody.
            agent.wait_for("a run", |status| status["run"]["phase"] == "resolve");
            scene.engine().unwrap().begin();
            end_of_run(agent, 1)
        }),
        ready(SEAM, "killed in the midst of a pull and started again", |scene| {
            let (registry, config) = dripping(scene);
            let agent = scene.start(&config);
            eventually("a layer on its way", || asked_for_a_layer(&registry));
            scene.engine().unwrap().kill();
            scene.engine().unwrap().begin();
            end_of_run(agent, 1)
        }),
        fails(SEAM, "stopped in the midst of a pull", UNAVAILABLE, |scene| {
            let (registry, config) = dripping(scene);
            let agent = scene.start(&format!("{config}tries: {{ pull: 2 }}\n"));
            eventually("a layer on its way", || asked_for_a_layer(&registry));
            scene.engine().unwrap().stop();
            end_of_run(agent, 1)
        })
        .says("/acme/tasks-api:good")
        .tries(2)
        .exit(0),
        fails(SEAM, "killed in the midst of a build", UNAVAILABLE, |scene| {
            let (_github, config) = building(scene, Nested::start(), "echo at it; sleep 600");
            let agent = scene.start(&config);
            let log = scene.path("state/build.log");
            eventually("a step at work", || {
                std::fs::read_to_string(&log).is_ok_and(|text| text.lines().any(|line| line == "at it"))
            });
            scene.engine().unwrap().kill();
            end_of_run(agent, 1)
        })
        .says("broke off the build")
        .exit(0),
        ready(SEAM, "stopped while the migration runs and started again", |scene| {
            scene.beside(Nested::start(), &[]);
            // The first try is ended with the engine, the second one by the row.
            let held = "trap 'exit 9' TERM; echo held; until [ -e /tmp/go ]; do sleep 0.1; done";
            let migrate = &format!("migrate: {{ command: [sh, -c, {held:?}] }}\n");
            let config = scene.light(migrate);
            let mut agent = scene.start(&config);
            let first = scene.running_migration();
            eventually("a trap", || scene.docker(&["logs", &first]) == "held");
            scene.engine().unwrap().stop();
            scene.engine().unwrap().resume();
            agent.wait_for("a second try", |status| {
                let mut phases = status["phases"].as_array().into_iter().flatten();
                phases.any(|phase| phase["name"] == "migrate" && phase["attempts"].as_u64() >= Some(2))
            });
            let second = scene.running_migration();
            scene.docker(&["exec", &second, "touch", "/tmp/go"]);
            end_of_run(agent, 1)
        }),
        ready(SEAM, "stopped while the application serves and started again", |scene| {
            scene.beside(Nested::start(), &[]);
            let config = scene.light("");
            let mut agent = scene.start(&config);
            agent.wait_for_end_of_run(1);
            scene.engine().unwrap().stop();
            agent.wait_for("a service that is down", |status| {
                status["service"]["state"] == "down"
                    && status["service"]["cause"]["code"] == "docker_unavailable"
            });
            scene.engine().unwrap().resume();
            let status = agent.wait_for("service up again", |status| status["service"]["state"] == "up");
            ended(agent, status)
        }),
        fails(SEAM, "its disk is full in the midst of a pull", ("disk", "disk_full"), |scene| {
            scene.beside(Nested::with_disk(120), &[]);
            scene.run_once(&scene.light(""))
        })
        .says("/acme/tasks-api:good"),
        fails(SEAM, "its disk is full in the midst of a build", ("disk", "disk_full"), |scene| {
            let fills = "head -c 2000000000 /dev/zero >/much";
            let (_github, config) = building(scene, Nested::with_disk(800), fills);
            scene.run_once(&config)
        })
        .says("RUN head -c"),
    ]
}

/// A run that builds an image with this step on an engine of the row's own.
fn building(scene: &mut Scene, engine: Nested, step: &str) -> (GitHub, String) {
    let dockerfile = format!("ARG BASE\nFROM ${{BASE}}\nRUN {step}\n");
    let github = GitHub::serving(Tarball::new().file("Dockerfile", dockerfile).gz());
    let (api, files) = (github.api.url(), github.files.url());
    scene.beside(engine, &[&api, &files].map(|url| url.trim_start_matches("http://")));
    let config = scene.light("").replace(":good", ":none-of-these") + &source(&api);
    (github, config)
}

/// A run whose first layer comes a few bytes a second, into an engine of the row's own.
fn dripping(scene: &mut Scene) -> (FakeRegistry, String) {
    let registry = FakeRegistry::before_the_real_one();
    registry.trouble(At::Layer, 3, Trouble::Drip(16));
    let host = registry.host();
    scene.beside(Nested::start(), &[&host]);
    let config =
        scene.light("").replace(&format!("image: {}/", peers().registry), &format!("image: {host}/"));
    let config = config
        .replace(&format!("  {}: {{ username", peers().registry), &format!("  \"{host}\": {{ username"));
    (registry, config)
}

fn asked_for_a_layer(registry: &FakeRegistry) -> bool {
    registry.seen().iter().filter(|seen| seen.path.contains("/blobs/")).count() >= 2
}

/// A run with a socket at this path, and so long for all of it.
fn at(scene: &mut Scene, path: &str, deadline: &str) -> Ran {
    scene.set_env("DOCKER_HOST", &format!("unix://{path}"));
    scene.run_once(&absent(scene, deadline))
}

fn absent(scene: &Scene, deadline: &str) -> String {
    scene.config("good", &format!("database: off\ndeadline: {deadline}\n"))
}

/// A run with an engine that has the image, makes a container, and answers so otherwise.
fn with(scene: &mut Scene, mut answer: impl FnMut(&str, &str) -> Option<Answer> + Send + 'static) -> Ran {
    let engine = FakeDocker::start(move |method, path| answer(method, path).or_else(|| has(method, path)));
    scene.set_env("DOCKER_HOST", &engine.host());
    let app = scene.app("");
    scene.run_once(&format!(
        "image: 127.0.0.1:9/acme/api:1\ndatabase: off\nmigrate: off\ndeadline: 20s\ntries: {{ pull: 2 }}\n\
         report: {{ parameter: /test/status }}\n{app}"
    ))
}

/// What an engine answers that has pulled an image and made a container of it.
fn has(method: &str, path: &str) -> Option<Answer> {
    let path = path.split('?').next().unwrap_or_default();
    let container: Value = json!({
        "Id": "app", "Name": "/app", "Image": "sha256:1f", "State": {"Status": "created"},
        "HostConfig": {"RestartPolicy": {"Name": "no"}}, "Config": {"Image": "api", "Labels": {}, "Env": []}
    });
    Some(match (method, path) {
        ("POST", "/images/create") => lines("{\"status\":\"Status: Image is up to date\"}\n"),
        ("GET", path) if path.starts_with("/images/") && path.ends_with("/json") => {
            document(&json!({"Id": "sha256:1f", "Architecture": architecture(), "RepoDigests": []}))
        }
        ("POST", "/networks/create") => document(&json!({"Id": "network", "Warning": ""})),
        ("POST", "/containers/create") => document(&json!({"Id": "app", "Warnings": []})),
        ("GET", "/containers/app/json") => document(&container),
        ("DELETE", _) => lines(""),
        _ => return None,
    })
}

fn created(path: &str, answer: fn() -> Answer) -> Option<Answer> {
    path.starts_with("/containers/create").then(answer)
}

fn started(path: &str, answer: fn() -> Answer) -> Option<Answer> {
    path.ends_with("/start").then(answer)
}
