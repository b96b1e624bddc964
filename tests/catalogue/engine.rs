//! The Docker Engine: absent, strange, refusing; and a real one, killed, stopped and started again.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::UnixListener;

use serde_json::{Value, json};

use crate::case::{Case, fails, ready};
use crate::scene::{Scene, ended};
use crate::support::agent::Ran;
use crate::support::docker::{Answer, FakeDocker, cut_off, document, lines, refusal};
use crate::support::github::{COMMIT, GitHub, Tarball};
use crate::support::nested::Nested;
use crate::support::peers::peers;
use crate::support::registry::{At, FakeRegistry, Trouble, architecture};
use crate::support::wait::eventually;

const SEAM: &str = "Docker API";
const UNAVAILABLE: (&str, &str) = ("docker", "docker_unavailable");
const REFUSED: (&str, &str) = ("docker", "docker_failed");
const READY: &str = "ready: … serves http://…";

pub fn rows() -> Vec<Case> {
    let mut rows = sockets();
    rows.extend(refusals().into_iter().enumerate().map(|(row, case)| {
        // All but the first get as far as the start.
        if row > 0 { case.service("down") } else { case }
    }));
    rows.extend(real());
    rows
}

/// What is at the socket.
fn sockets() -> Vec<Case> {
    vec![
        fails(
            SEAM,
            "no socket",
            UNAVAILABLE,
            "failed in resolve: docker_unavailable (docker): the Docker Engine does not answer: there is no socket at …/nowhere.sock; nothing serves. Start Docker (`systemctl start docker`) and look at `journalctl -u docker`.",
            |scene| {
                let nowhere = scene.path("nowhere.sock").display().to_string();
                at(scene, &nowhere, "2s")
            },
        ),
        fails(
            SEAM,
            "a socket that nobody listens at",
            UNAVAILABLE,
            "failed in resolve: docker_unavailable (docker): the Docker Engine does not answer: could not connect to …/docker.sock: connection refused; nothing serves. Start Docker (`systemctl start docker`) and look at `journalctl -u docker`.",
            |scene| {
                let path = scene.path("docker.sock");
                drop(UnixListener::bind(&path).unwrap());
                at(scene, &path.display().to_string(), "2s")
            },
        ),
        fails(
            SEAM,
            "accepts and says nothing",
            UNAVAILABLE,
            "failed in resolve: docker_unavailable (docker): the Docker Engine does not answer: unix://…/docker.sock is silent for 3 s; nothing serves. Start Docker (`systemctl start docker`) and look at `journalctl -u docker`.",
            |scene| {
                let path = scene.path("docker.sock");
                let _silent = UnixListener::bind(&path).unwrap();
                at(scene, &path.display().to_string(), "4s")
            },
        ),
        fails(
            SEAM,
            "a socket that may not be opened",
            UNAVAILABLE,
            "failed in resolve: docker_unavailable (docker): the Docker socket may not be opened: could not connect to …/docker.sock: permission denied; nothing serves. Start Docker (`systemctl start docker`) and look at `journalctl -u docker`.",
            |scene| {
                let path = scene.path("docker.sock");
                let _closed = UnixListener::bind(&path).unwrap();
                std::fs::set_permissions(&path, Permissions::from_mode(0o000)).unwrap();
                // Root, without the capability to open what it may not.
                scene.run_by(&["setpriv", "--bounding-set=-all", "--"]);
                at(scene, &path.display().to_string(), "2s")
            },
        ),
        fails(
            SEAM,
            "DOCKER_HOST names another machine",
            UNAVAILABLE,
            "failed in resolve: docker_unavailable (docker): the Docker Engine does not answer: tcp://… (DOCKER_HOST) is not a unix socket; nothing serves. Start Docker (`systemctl start docker`) and look at `journalctl -u docker`.",
            |scene| {
                scene.set_env("DOCKER_HOST", "tcp://127.0.0.1:2375");
                scene.run_once(&absent(scene, "2s"))
            },
        ),
        fails(
            SEAM,
            "500 to everything",
            REFUSED,
            "failed in resolve: docker_failed (docker): could not connect to …: cannot read /var/lib/docker: input/output error; nothing serves. Docker refused a request; look at `journalctl -u docker`.",
            |scene| with(scene, |_, _| Some(refusal(500, "cannot read /var/lib/docker: input/output error"))),
        ),
        fails(
            SEAM,
            "not JSON",
            REFUSED,
            "failed in resolve: docker_failed (docker): could not connect to …: Failed to deserialize JSON: expected value at line 1 column 1; nothing serves. Docker refused a request; look at `journalctl -u docker`.",
            |scene| with(scene, |_, path| path.ends_with("/version").then(|| lines("<html>Welcome</html>"))),
        ),
        fails(
            SEAM,
            "older than 20.10",
            ("docker", "docker_too_old"),
            "failed in resolve: docker_too_old (docker): the Docker Engine speaks API 1.40; 1.41 (Docker 20.10) or newer is needed; nothing serves. Install Docker Engine 20.10 or newer.",
            |scene| {
                let engine = FakeDocker::start(|_, _| None);
                engine.speak("1.40");
                scene.set_env("DOCKER_HOST", &engine.host());
                scene.run_once(&absent(scene, "20s"))
            },
        ),
    ]
}

/// It answers, and then says no.
fn refusals() -> Vec<Case> {
    vec![
        fails(SEAM, "breaks off in the midst of each pull", UNAVAILABLE, "failed in image: docker_unavailable (docker): …/acme/api:1: the Docker Engine does not answer: could not pull the image: …; nothing serves. Start Docker (`systemctl start docker`) and look at `journalctl -u docker`.", |scene| {
            with(scene, |_, path| path.starts_with("/images/create").then(|| cut_off("{\"status\":\"Pull")))
        })
        .tries(2),
        fails(SEAM, "the image is gone between pull and container", REFUSED, "failed in start: docker_failed (docker): could not create the container …: No such image: api:1; the app is down. Docker refused a request; look at `journalctl -u docker`.", |scene| {
            with(scene, |_, path| created(path, || refusal(404, "No such image: api:1")))
        }),
        fails(SEAM, "refuses to create: the name is taken", REFUSED, "failed in start: docker_failed (docker): could not create the container …: Conflict. The container name \"/x\" is already in…; the app is down. Docker refused a request; look at `journalctl -u docker`.", |scene| {
            with(scene, |_, path| {
                created(path, || refusal(409, "Conflict. The container name \"/x\" is already in use"))
            })
        }),
        fails(SEAM, "refuses to create: no space is left", ("disk", "disk_full"), "failed in start: disk_full (disk): could not create the container …: mkdir /var/lib/docker/overlay2/1f/merged: no spac…; the app is down. Enlarge the volume or remove unused images (`docker system df`).", |scene| {
            with(scene, |_, path| {
                created(path, || {
                    refusal(500, "mkdir /var/lib/docker/overlay2/1f/merged: no space left on device")
                })
            })
        }),
        fails(SEAM, "500 to each start", REFUSED, "failed in start: docker_failed (docker): could not start the container: cgroups: cgroup mountpoint does not exist; the app is down. Docker refused a request; look at `journalctl -u docker`.", |scene| {
            with(scene, |_, path| started(path, || refusal(500, "cgroups: cgroup mountpoint does not exist")))
        }),
        fails(SEAM, "the container vanishes between create and start", REFUSED, "failed in start: docker_failed (docker): could not start the container: No such container: 1f2e3d4c; the app is down. Docker refused a request; look at `journalctl -u docker`.", |scene| {
            with(scene, |_, path| started(path, || refusal(404, "No such container: 1f2e3d4c")))
        }),
        fails(SEAM, "refuses to make a network", REFUSED, "failed in start: docker_failed (docker): could not create the network …: could not find an available, non-overlapping IPv4 address pool; the app is down. Docker refused a request; look at `journalctl -u docker`.", |scene| {
            with(scene, |method, path| {
                let asked = method == "POST" && path.starts_with("/networks/create");
                asked.then(|| refusal(403, "could not find an available, non-overlapping IPv4 address pool"))
            })
        }),
    ]
}

/// An engine of the row's own, and what becomes of it.
fn real() -> Vec<Case> {
    vec![
        ready(SEAM, "comes up late", READY, |scene| {
            scene.beside(Nested::late(), &[]);
            let config = scene.light("");
            let mut agent = scene.start(&config);
            // Its first request has found nobody.
            agent.wait_for("a run", |status| status["run"]["phase"] == "resolve");
            scene.engine().unwrap().begin();
            let status = agent.wait_for_end_of_run(1);
            ended(agent, status)
        }),
        ready(SEAM, "killed in the midst of a pull and started again", READY, |scene| {
            let (registry, config) = dripping(scene);
            let mut agent = scene.start(&config);
            eventually("a layer on its way", || asked_for_a_layer(&registry));
            scene.engine().unwrap().kill();
            scene.engine().unwrap().begin();
            let status = agent.wait_for_end_of_run(1);
            ended(agent, status)
        }),
        fails(SEAM, "stopped in the midst of a pull", UNAVAILABLE, "failed in image: docker_unavailable (docker): …/acme/tasks-api:good: the Docker Engine does not answer: could not …; nothing serves. Start Docker (`systemctl start docker`) and look at `journalctl -u docker`.", |scene| {
            let (registry, config) = dripping(scene);
            let mut agent = scene.start(&format!("{config}tries: {{ pull: 2 }}\n"));
            eventually("a layer on its way", || asked_for_a_layer(&registry));
            scene.engine().unwrap().stop();
            let status = agent.wait_for_end_of_run(1);
            ended(agent, status)
        })
        .tries(2)
        .exit(0),
        fails(SEAM, "killed in the midst of a build", UNAVAILABLE, "failed in image: docker_unavailable (docker): the Docker Engine broke off the build: … (built because…; nothing serves. Start Docker (`systemctl start docker`) and look at `journalctl -u docker`.", |scene| {
            let (_github, config) = building(scene, Nested::start(), "echo at it; sleep 600");
            let mut agent = scene.start(&config);
            let log = scene.path("state/build.log");
            eventually("a step at work", || {
                std::fs::read_to_string(&log).is_ok_and(|text| text.lines().any(|line| line == "at it"))
            });
            scene.engine().unwrap().kill();
            let status = agent.wait_for_end_of_run(1);
            ended(agent, status)
        })
        .exit(0),
        ready(SEAM, "stopped while the migration runs and started again", READY, |scene| {
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
            let status = agent.wait_for_end_of_run(1);
            ended(agent, status)
        }),
        ready(SEAM, "stopped while the application serves and started again", READY, |scene| {
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
        fails(
            SEAM,
            "its disk is full in the midst of a pull",
            ("disk", "disk_full"),
            "failed in image: disk_full (disk): …/acme/tasks-api:good: failed to register layer: Error processing tar file(exit status 1): write /usr/…; nothing serves. Enlarge the volume or remove unused images (`docker system df`).",
            |scene| {
                scene.beside(Nested::with_disk(120), &[]);
                let config = scene.light("");
                scene.run_once(&config)
            },
        ),
        fails(SEAM, "its disk is full in the midst of a build", ("disk", "disk_full"), "failed in image: disk_full (disk): no space is left for the build: [2/2] RUN head -c 2000000000 /dev/zero >/much: …; nothing serves. Enlarge the volume or remove unused images (`docker system df`).", |scene| {
            let fills = "head -c 2000000000 /dev/zero >/much";
            let (_github, config) = building(scene, Nested::with_disk(800), fills);
            scene.run_once(&config)
        }),
    ]
}

/// A run that builds an image with this step on an engine of the row's own.
fn building(scene: &mut Scene, engine: Nested, step: &str) -> (GitHub, String) {
    let dockerfile = format!("ARG BASE\nFROM ${{BASE}}\nRUN {step}\n");
    let github = GitHub::serving(Tarball::new().file("Dockerfile", dockerfile).gz());
    let (api, files) = (github.api.url(), github.files.url());
    scene.beside(engine, &[&api, &files].map(|url| url.trim_start_matches("http://")));
    let config = scene.light("").replace(":good", ":none-of-these")
        + &format!(
            "source:\n  repository: acme/api\n  ref: {COMMIT}\n  api_url: {api}\n  \
             build_args: {{ BASE: \"{}\" }}\n",
            peers().platform_base
        );
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
