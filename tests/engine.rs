//! The engine's adapter: against the real engine where it can say it, and
//! against a fake one for newer engines and for what goes wrong on the way.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use std::collections::VecDeque;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant, SystemTime};

use bytes::Bytes;
use futures_util::{StreamExt as _, stream};
use preview_agent::config::{ImageReference, Publish};
use preview_agent::docker::pull::{Credentials, Progress, PullError};
use preview_agent::docker::{ContainerRequest, Engine, Error, Event, LocalImage, Role, Scope};
use serde_json::json;
use support::docker::{Answer, FakeDocker, cut_off, document, lines, refusal, stream_of};
use support::engine::remove_all;
use support::peers::{Peers, peers};
use support::registry::{FakeRegistry, architecture};
use support::wait::block_on;
use support::world::World;

const PATIENCE: Duration = Duration::from_secs(10);
const IMAGE: &str = "ghcr.io/acme/api:1";

fn scope() -> Scope {
    Scope::new(Path::new("/nowhere/of-the-engine-tests"))
}

async fn connect(host: &str, patience: Duration) -> Result<Engine, Error> {
    Engine::connect(host, scope(), patience).await
}

#[test]
fn a_socket_that_is_absent_is_waited_for_as_long_as_patience_lasts() {
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("docker.sock");
    let begun = Instant::now();
    let error = block_on(connect(socket.to_str().unwrap(), Duration::from_millis(600))).unwrap_err();
    assert!(matches!(error, Error::Unavailable { .. }), "{error:?}");
    assert!(error.to_string().contains("docker.sock"), "{error}");
    assert!((300..5000).contains(&begun.elapsed().as_millis()), "{:?}", begun.elapsed());
}

#[test]
fn an_engine_that_comes_up_late_is_found() {
    let mut fake = FakeDocker::start(|_, _| None);
    fake.stop();
    let host = fake.host();
    block_on(async {
        let (engine, ()) = tokio::join!(connect(&host, PATIENCE), async { fake.restart() });
        engine.unwrap();
    });
}

#[test]
fn an_engine_that_accepts_and_says_nothing_is_not_up() {
    let fake = FakeDocker::start(|_, _| Some(Answer::Silence));
    block_on(async {
        // Time passes as soon as nothing else happens, and the engine never speaks.
        tokio::time::pause();
        let error = connect(&fake.host(), Duration::ZERO).await.unwrap_err();
        assert!(matches!(&error, Error::Unavailable { message } if message.contains("silent")), "{error:?}");
    });
}

#[test]
fn an_old_engine_is_named_with_its_version() {
    let fake = FakeDocker::start(|_, _| None);
    for (api, old) in [("1.24", true), ("1.40", true), ("1.41", false), ("1.52", false), ("2.0", false)] {
        fake.speak(api);
        match block_on(connect(&fake.host(), PATIENCE)) {
            Err(Error::TooOld { api: told }) => assert!(old && told == api, "{told}"),
            other => assert!(other.is_ok() && !old, "{api}: {other:?}"),
        }
    }
}

#[test]
fn a_network_that_a_killed_run_had_asked_for_is_taken_when_it_comes() {
    let mut asked = false;
    let fake = FakeDocker::start(move |method, path| match (method, path) {
        ("POST", "/networks/create") => {
            asked = true;
            Some(refusal(409, "network with name preview-agent-0 already exists"))
        }
        ("GET", path) if path.starts_with("/networks") && asked => {
            Some(document(&json!([{"Name": "preview-agent-0", "Id": "a4f1"}])))
        }
        _ => None,
    });
    let network = block_on(async { connect(&fake.host(), PATIENCE).await?.ensure_network().await });
    assert_eq!(network.unwrap(), "preview-agent-0");
}

#[test]
fn a_host_that_is_no_socket_is_refused_without_trying() {
    let begun = Instant::now();
    let error = block_on(connect("tcp://127.0.0.1:2375", PATIENCE)).unwrap_err();
    assert!(error.to_string().contains("tcp://127.0.0.1:2375"), "{error}");
    assert!(begun.elapsed() < Duration::from_secs(2));
}

#[test]
fn a_socket_that_may_not_be_opened_is_told_from_one_that_is_absent() {
    let fake = FakeDocker::start(|_, _| None);
    let folder = tempfile::tempdir().unwrap();
    let agent = folder.path().join("agent");
    std::fs::copy(env!("CARGO_BIN_EXE_agent"), &agent).unwrap();
    for open in [folder.path(), fake.socket().parent().unwrap(), &agent] {
        std::fs::set_permissions(open, std::fs::Permissions::from_mode(0o755)).unwrap();
    }
    std::fs::set_permissions(fake.socket(), std::fs::Permissions::from_mode(0o600)).unwrap();
    let output = Command::new("setpriv")
        .args(["--reuid=65534", "--regid=65534", "--clear-groups"])
        .arg(&agent)
        .args(["logs", "app"])
        .env_clear()
        .env("DOCKER_HOST", fake.host())
        .output()
        .unwrap();
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(77), "{stderr}");
    assert!(stderr.contains("may not be opened") && stderr.contains("sudo"), "{stderr}");
}

#[test]
fn an_engine_that_cannot_be_used_is_the_runs_fault_by_its_own_code() {
    let fake = FakeDocker::start(|_, _| None);
    fake.speak("1.40");
    for (host, code) in [(fake.host(), "docker_too_old"), ("tcp://127.0.0.1:9".into(), "docker_unavailable")]
    {
        let mut world = World::new();
        world.set_env("DOCKER_HOST", &host);
        let ran = world.run_once(&world.config("good", ""));
        assert_eq!(ran.code, Some(1), "{}", ran.stderr);
        assert_eq!(ran.status["fault"]["code"], code, "{}", ran.stderr);
    }
}

#[test]
fn a_request_that_is_never_answered_ends_at_its_deadline() {
    let fake = FakeDocker::start(|_, path| path.starts_with("/containers/").then_some(Answer::Silence));
    block_on(async {
        let engine = connect(&fake.host(), PATIENCE).await.unwrap();
        tokio::time::pause();
        let error = engine.inspect("abc").await.unwrap_err();
        assert!(matches!(error, Error::Timeout { after, .. } if after.as_secs() == 60), "{error:?}");
    });
}

/// An engine whose pulls are answered so, and which has the image.
fn puller(answer: impl Fn() -> Answer + Send + 'static) -> FakeDocker {
    let image = json!({"Id": "sha256:1", "Architecture": architecture(), "RepoDigests": []});
    FakeDocker::start(move |method, path| match (method, path) {
        ("POST", path) if path.starts_with("/images/create") => Some(answer()),
        ("GET", path) if path.starts_with("/images/") => Some(document(&image)),
        _ => None,
    })
}

type Pulled = Result<(LocalImage, Option<String>), PullError>;

fn pull_through(fake: &FakeDocker, stall: Duration) -> (Pulled, Vec<Progress>) {
    let mut seen = Vec::new();
    let pulled = block_on(async {
        let engine = connect(&fake.host(), PATIENCE).await.unwrap();
        let image = ImageReference::parse(IMAGE).unwrap();
        engine.pull(&image, None, stall, |progress| seen.push(progress)).await
    });
    (pulled, seen)
}

fn pulled(answer: impl Fn() -> Answer + Send + 'static) -> Pulled {
    pull_through(&puller(answer), Duration::from_secs(60)).0
}

#[test]
fn the_words_of_newer_engines_mean_the_same() {
    type Meaning = fn(String) -> PullError;
    let cases: &[(&'static str, Meaning)] = &[
        // containerd's resolver (Docker 29 by default, 24 and newer by choice)
        (
            "failed to resolve reference \"ghcr.io/acme/api:1\": ghcr.io/acme/api:1: not found",
            PullError::NotFound,
        ),
        (
            "failed to resolve reference \"ghcr.io/acme/api:1\": unexpected status from HEAD request to https://ghcr.io/v2/acme/api/manifests/1: 403 Forbidden",
            PullError::Denied,
        ),
        (
            "failed to resolve reference \"ghcr.io/acme/api:1\": failed to authorize: failed to fetch anonymous token: unexpected status from GET request to https://ghcr.io/token?scope=repository%3Aacme%2Fapi%3Apull: 401 Unauthorized",
            PullError::Denied,
        ),
        (
            "failed to resolve reference \"ghcr.io/acme/api:1\": failed to authorize: failed to fetch oauth token: unexpected status from GET request to https://ghcr.io/token: 403 Forbidden: denied",
            PullError::Denied,
        ),
        (
            "pull access denied, repository does not exist or may require authorization: server message: insufficient_scope: authorization failed",
            PullError::Denied,
        ),
        (
            "failed to resolve reference \"ghcr.io/acme/api:1\": unexpected status from HEAD request to https://ghcr.io/v2/acme/api/manifests/1: 429 Too Many Requests",
            PullError::Throttled,
        ),
        (
            "failed to resolve reference \"ghcr.io/acme/api:1\": unexpected status from HEAD request to https://ghcr.io/v2/acme/api/manifests/1: 503 Service Unavailable",
            PullError::Unreachable,
        ),
        (
            "failed to resolve reference \"ghcr.io/acme/api:1\": failed to do request: Head \"https://ghcr.io/v2/acme/api/manifests/1\": dial tcp: lookup ghcr.io on 10.0.0.2:53: no such host",
            PullError::Unreachable,
        ),
        (
            "failed to copy: httpReadSeeker: failed open: unexpected status code https://ghcr.io/v2/acme/api/blobs/sha256:404: 500 Internal Server Error",
            PullError::Unreachable,
        ),
        ("no match for platform in manifest: not found", PullError::Architecture),
        (
            "failed to extract layer sha256:404: write /var/lib/containerd/x: no space left on device: unknown",
            PullError::DiskFull,
        ),
        // GHCR and ECR through any engine
        ("toomanyrequests: retry-after: 745.5µs, allowed: 44000/minute", PullError::Throttled),
        (
            "unauthorized: unauthenticated: User cannot be authenticated with the token provided.",
            PullError::Unreachable,
        ),
        ("Head \"https://ghcr.io/v2/acme/api/manifests/1\": denied: denied", PullError::Denied),
        ("no basic auth credentials", PullError::Denied),
        ("denied: Your authorization token has expired. Reauthenticate and try again.", PullError::Denied),
        // Docker 20.10 to 28
        (
            "manifest for ghcr.io/acme/api:1 not found: manifest unknown: manifest unknown",
            PullError::NotFound,
        ),
        ("no matching manifest for linux/arm64/v8 in the manifest list entries", PullError::Architecture),
        ("Get \"https://ghcr.io/v2/\": net/http: TLS handshake timeout", PullError::Unreachable),
        (
            "Get \"https://ghcr.io/v2/\": net/http: request canceled while waiting for connection (Client.Timeout exceeded while awaiting headers)",
            PullError::Unreachable,
        ),
        (
            "Get \"https://ghcr.io/v2/\": tls: failed to verify certificate: x509: certificate signed by unknown authority",
            PullError::Unreachable,
        ),
        ("something nobody has ever said", PullError::Failed),
    ];
    for (words, meaning) in cases {
        let wanted = std::mem::discriminant(&meaning(String::new()));
        let (status, line) = (*words, json!({"errorDetail": {"message": words}}).to_string());
        // Before the first line of progress as a status, after it as a line.
        let before = pulled(move || refusal(500, status)).unwrap_err();
        let after = pulled(move || lines(&format!("{{\"status\":\"Pulling\"}}\r\n{line}\r\n"))).unwrap_err();
        for error in [before, after] {
            assert_eq!(std::mem::discriminant(&error), wanted, "{words}: {error:?}");
            // The request that failed is left out: the image says which it was.
            let reason = words.rsplit_once("\": ").map_or(*words, |(_, reason)| reason);
            assert!(error.to_string().contains(reason), "{error}");
        }
    }
}

/// How every engine ends a pull that went well.
const END: &str = "{\"status\":\"Digest: sha256:2\"}\r\n{\"status\":\"Status: Image is up to date for x\"}";

#[test]
fn a_last_line_without_its_break_counts() {
    let (_, digest) = pulled(|| lines(END)).unwrap();
    assert_eq!(digest.as_deref(), Some("sha256:2"));
}

#[test]
fn a_pull_that_just_ends_is_no_success_though_an_older_image_is_here() {
    for text in
        ["", "{\"status\":\"Pulling from acme/api\",\"id\":\"1\"}\r\n", "{\"error\":\"old style\"}\r\n"]
    {
        let error = pulled(move || lines(text)).unwrap_err();
        assert!(matches!(&error, PullError::Failed(words) if words.contains("broke off")), "{error:?}");
        assert!(error.retryable());
    }
}

#[test]
fn an_engine_that_breaks_off_is_unavailable_and_asked_again() {
    for text in ["{\"status\":\"Pulling from acme/api\",\"id\":\"1\"}\r\n", "{\"status\":\"Pul"] {
        let error = pulled(move || cut_off(text)).unwrap_err();
        assert!(matches!(error, PullError::Engine(Error::Unavailable { .. })), "{error:?}");
        assert!(error.retryable());
    }
}

#[test]
fn an_answer_that_cannot_be_read_is_a_failed_try() {
    for bytes in
        [&b"<html>hello</html>\n"[..], b"{\"status\":\"\xff\xfe\"}\n", b"[1,2]\n", b"{\"status\":7}\n"]
    {
        let error = pulled(move || stream_of(stream::iter([Bytes::from_static(bytes)]))).unwrap_err();
        assert!(matches!(error, PullError::Failed(_)), "{error:?}");
        assert!(error.retryable());
    }
}

#[test]
fn a_line_of_ten_megabytes_is_read_and_does_not_grow_into_the_fault() {
    let long = json!({"errorDetail": {"message": "denied ".repeat(10_000_000 / 7)}}).to_string();
    let begun = Instant::now();
    let error = pulled(move || lines(&long)).unwrap_err();
    assert!(matches!(error, PullError::Denied(_)));
    assert!(error.to_string().len() <= 2000);
    assert!(begun.elapsed() < Duration::from_secs(30), "{:?}", begun.elapsed());
}

#[test]
fn layers_without_end_are_not_all_remembered() {
    let (pulled, seen) = pull_through(
        &puller(|| {
            let layers = (0..20_000).map(|n| {
                Bytes::from(format!(
                    "{{\"status\":\"Downloading\",\"id\":\"{n}\",\"progressDetail\":{{\"current\":1,\"total\":2}}}}\r\n"
                ))
            });
            stream_of(stream::iter(layers.chain([Bytes::from(END)])))
        }),
        Duration::from_secs(60),
    );
    pulled.unwrap();
    assert_eq!(seen.last(), Some(&Progress { bytes: 1024, total: 2048 }));
}

#[test]
fn silence_before_and_inside_the_answer_stalls() {
    let stall = Duration::from_millis(500);
    let silent = puller(|| Answer::Silence);
    let halting = puller(|| {
        stream_of(
            stream::iter([Bytes::from("{\"status\":\"Waiting\",\"id\":\"1\"}\r\n")]).chain(stream::pending()),
        )
    });
    for fake in [silent, halting] {
        let (pulled, _) = pull_through(&fake, stall);
        assert!(matches!(pulled, Err(PullError::Stalled(after)) if after == stall), "{pulled:?}");
    }
}

/// An event of a container, as the engine words it.
fn event(at: u64, id: &str, action: &str, attribute: (&str, &str)) -> String {
    let (name, value) = attribute;
    let message = json!({
        "Type": "container", "Action": action, "Actor": {"ID": id, "Attributes": {name: value}},
        "scope": "local", "time": at / 1_000_000_000, "timeNano": at
    });
    format!("{message}\n")
}

#[test]
fn events_survive_the_engine_and_none_is_lost_or_told_twice() {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    let base = u64::try_from(now.as_nanos()).unwrap() + 3_600_000_000_000;
    let started = event(base + 1000, "a", "start", ("image", "x"));
    // The time of `late` is before that of what was told already, as happens between containers.
    let died = event(base + 3000, "a", "die", ("exitCode", "137"));
    let late = event(base + 2000, "b", "start", ("image", "x"));
    let missed = event(base + 4000, "b", "oom", ("image", "x"));
    let again = format!("{started}{late}{died}{missed}");
    let mut answers = VecDeque::from([
        lines(&format!("{started}{died}{late}")),
        lines("{\"not\": [an event}\n"),
        stream_of(stream::iter([Bytes::from(again)]).chain(stream::pending())),
    ]);
    let fake = FakeDocker::start(move |_, path| {
        path.starts_with("/events").then(|| answers.pop_front().unwrap_or(Answer::Silence))
    });
    let told: Vec<Event> = block_on(async {
        let engine = connect(&fake.host(), PATIENCE).await.unwrap();
        let events = engine.events(SystemTime::now()).take(4).collect();
        tokio::time::timeout(Duration::from_secs(30), events).await.unwrap()
    });
    let id = |id: &str| id.to_owned();
    assert_eq!(
        told,
        [
            Event::Started { id: id("a") },
            Event::Died { id: id("a"), code: 137 },
            Event::Started { id: id("b") },
            Event::OutOfMemory { id: id("b") },
        ]
    );
    // Opened anew from a little before what was told last.
    let since: Vec<f64> = fake
        .seen()
        .iter()
        .filter_map(|seen| {
            let (_, since) = seen.path.split_once("since=")?;
            since.split('&').next()?.parse().ok()
        })
        .collect();
    #[allow(clippy::cast_precision_loss)]
    let newest = base as f64 / 1e9;
    assert_eq!(since.len(), 3, "{since:?}");
    assert!(since[0] < newest - 3000.0, "{since:?}");
    assert!((newest - 1.5..newest).contains(&since[2]), "{since:?} of {newest}");
}

/// Containers of a scope of their own on the real engine, gone in the end.
struct Ours {
    engine: Engine,
    folder: tempfile::TempDir,
    registry: FakeRegistry,
}

impl Ours {
    fn new() -> Self {
        let registry = FakeRegistry::start();
        let folder = tempfile::tempdir().unwrap();
        let engine = block_on(async {
            let scope = Scope::new(folder.path());
            let engine = Engine::connect("/var/run/docker.sock", scope, PATIENCE).await.unwrap();
            let image = ImageReference::parse(&registry.image("1")).unwrap();
            engine.pull(&image, None, Duration::from_secs(30), |_| {}).await.unwrap();
            engine
        });
        Self { engine, folder, registry }
    }

    fn request(&self, command: &str) -> ContainerRequest {
        ContainerRequest {
            name: format!("{}-test", self.engine.scope().name()),
            role: Role::App,
            run: "run".into(),
            spec: "spec".into(),
            image: self.registry.image("1"),
            entrypoint: None,
            command: Some(vec![command.to_owned()]),
            env: Vec::new(),
            secret_names: Vec::new(),
            files: Vec::new(),
            publish: None,
            memory: None,
        }
    }

    fn start(&self, request: ContainerRequest) -> Result<(), Error> {
        block_on(async {
            let id = self.engine.create(request).await?;
            self.engine.start(&id).await
        })
    }
}

impl Drop for Ours {
    fn drop(&mut self) {
        let filter = format!("label=preview-agent.scope={}", self.folder.path().display());
        remove_all(&filter, &[("ps -aq", "rm -f"), ("network ls -q", "network rm")]);
    }
}

#[test]
fn a_command_that_cannot_run_is_told_from_other_refusals() {
    // `/data` is no executable, and without a slash the PATH is searched.
    for command in ["/absent", "absent", "/data"] {
        let ours = Ours::new();
        let error = ours.start(ours.request(command)).unwrap_err();
        assert!(matches!(error, Error::CommandMissing { .. }), "{command}: {error:?}");
        assert!(error.to_string().contains("start the container"), "{error}");
    }
}

#[test]
fn the_words_about_a_command_mean_the_same_on_every_engine() {
    let begun =
        "failed to create task for container: failed to create shim task: OCI runtime create failed: ";
    let cases = [
        // Docker 20.10
        (
            "OCI runtime create failed: container_linux.go:380: starting container process caused: exec: \"/absent\": stat /absent: no such file or directory: unknown",
            true,
        ),
        // Docker 28.5
        (
            "runc create failed: unable to start container process: error during container init: exec: \"/absent\": stat /absent: no such file or directory",
            true,
        ),
        (
            "runc create failed: unable to start container process: error during container init: exec: \"/data\": permission denied",
            true,
        ),
        // What is missing is not the command.
        (
            "runc create failed: unable to start container process: error during container init: error mounting \"/x\" to rootfs at \"/y\": open /y: no such file or directory: unknown",
            false,
        ),
    ];
    for (words, missing) in cases {
        let fake = FakeDocker::start(move |method, _| {
            (method == "POST").then(|| refusal(400, &format!("{begun}{words}")))
        });
        let error = block_on(async { connect(&fake.host(), PATIENCE).await.unwrap().start("abc").await })
            .unwrap_err();
        assert_eq!(matches!(error, Error::CommandMissing { .. }), missing, "{error:?}");
    }
}

#[test]
fn a_program_of_no_known_format_never_runs() {
    let ours = Ours::new();
    let ended = ours.start(ours.request("/garbage"));
    // The engine's runtime says so at the start, or the container ends at once.
    match ended {
        Err(error) => assert!(matches!(error, Error::CommandMissing { .. }), "{error:?}"),
        Ok(()) => block_on(async {
            let id = ours.engine.containers(Role::App).await.unwrap().remove(0).id;
            let exit = ours.engine.wait(&id).await.unwrap();
            assert_ne!(exit.code, 0);
        }),
    }
}

#[test]
fn a_taken_port_is_told_and_its_container_named() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port();
    let ours = Ours::new();
    // Newer engines look at the command before they look at the port, so this one has to exist.
    let Peers { registry, registry_user, registry_password, .. } = peers();
    let image = format!("{registry}/acme/tasks-api:good");
    let login = Credentials { username: registry_user.clone(), password: registry_password.clone().into() };
    let name = ImageReference::parse(&image).unwrap();
    block_on(ours.engine.pull(&name, Some(&login), Duration::from_secs(60), |_| {})).unwrap();
    let publish = Some((Publish { ip: [127, 0, 0, 1].into(), port }, 8000));
    let error = ours.start(ContainerRequest { image, publish, ..ours.request("true") }).unwrap_err();
    assert!(matches!(error, Error::PortInUse { .. }), "{error:?}");
    assert_eq!(block_on(ours.engine.holder_of_port(port)).unwrap(), None);
}

#[test]
fn what_is_not_there_is_no_error_to_inspect_stop_or_remove() {
    let absent = "0".repeat(64);
    block_on(async {
        let engine = connect("/var/run/docker.sock", PATIENCE).await.unwrap();
        assert!(engine.inspect(&absent).await.unwrap().is_none());
        assert!(engine.local_image(&format!("acme/absent-{absent:.8}:x")).await.unwrap().is_none());
        engine.stop(&absent, Duration::from_secs(1)).await.unwrap();
        engine.remove(&absent).await.unwrap();
        assert!(matches!(engine.start(&absent).await, Err(Error::NotFound { .. })));
    });
}

#[test]
fn two_agents_on_one_engine_do_not_see_each_other() {
    let (one, two) = (Ours::new(), Ours::new());
    block_on(async {
        one.engine.create(one.request("/data")).await.unwrap();
        assert_eq!(one.engine.containers(Role::App).await.unwrap().len(), 1);
        assert_eq!(one.engine.containers(Role::Migrate).await.unwrap().len(), 0);
        assert_eq!(two.engine.containers(Role::App).await.unwrap().len(), 0);
    });
}
