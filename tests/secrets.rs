//! No secret shows anywhere, whatever is done to have it shown: canaries in
//! every place that secrets come from, applications, registries and builds that
//! print them in every encoding, and a look at every place the agent writes to.
//!
//! Beyond what is looked at here, the world searches all its files, every
//! status that was read or sent, and Docker's labels, after each test.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::process::Child;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use serde_json::{Value, json};
use support::configs::SERVER;
use support::docker::{FakeDocker, refusal};
use support::engine::docker;
use support::github::{COMMIT, GitHub, Tarball};
use support::imds::{ACCOUNT, REGION};
use support::journal::Journal;
use support::peers::peers;
use support::process::{Own, signal};
use support::registry::{Access, At, FakeRegistry, Trouble};
use support::ssm::Failure;
use support::wait::eventually;
use support::world::World;

/// Prints its whole environment, in every encoding that a program might.
const ECHO: &str = "\
import base64, json, os, urllib.parse as u
for k, v in sorted(os.environ.items(), key=lambda pair: pair[0].startswith('A_')):
    once = json.dumps({k: v})
    b = v.encode()
    for text in (v, once, json.dumps(once), json.dumps({k: v}, ensure_ascii=False), u.quote(v), u.quote(v, safe=''),
                 base64.b64encode(b).decode(), base64.urlsafe_b64encode(b).decode()):
        print(k, text, flush=True)
";

/// Answers every request with its environment, in JSON.
const ECHO_SERVER: &str = "\
import http.server, json, os
class H(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        body = json.dumps(dict(os.environ)).encode()
        self.send_response(500)
        self.send_header('Content-Length', str(len(body)))
        self.end_headers()
        self.wfile.write(body)
http.server.HTTPServer(('', 8000), H).serve_forever()
";

/// A value with something that each encoding changes.
fn canary(source: &str) -> String {
    format!("canary-of-{source}\"\\/+%~é-{:08x}", fastrand::u32(..))
}

/// A world with a secret in each source, and the `env` block that has all of them.
fn guarded() -> (World, String) {
    let mut world = World::new();
    let mut env = String::new();
    let mut put = |name: &str, reference: &str| env += &format!("    {name}: {{ {reference} }}\n");
    world.secret("/test/canary", &canary("ssm"));
    put("A_SSM", "ssm: /test/canary");
    let field = canary("secretsmanager");
    world.ssm.set_secret("test/canary", &json!({"field": field, "other": 1}).to_string());
    world.canary(&field);
    put("A_SECRET", "secretsmanager: test/canary, key: field");
    for (name, key) in [("file", "file"), ("token", "credential")] {
        let value = canary(key);
        let path = world.given(name, &value);
        world.canary(&value);
        match key {
            "file" => put("A_FILE", &format!("file: {}", path.display())),
            _ => put("A_CREDENTIAL", "credential: token"),
        }
    }
    world.set_env("CREDENTIALS_DIRECTORY", &world.path("given").display().to_string());
    let value = canary("env");
    world.set_env("GIVEN", &value);
    world.canary(&value);
    put("A_VARIABLE", "env: GIVEN");
    // The instance role's, as the fake metadata service hands them out.
    world.canary("secret-key-of-the-role");
    world.canary("session-token-of-the-role");
    let home = world.path("home");
    fs::create_dir(&home).unwrap();
    world.set_env("HOME", home.to_str().unwrap());
    (world, env)
}

/// Hears the journal and sees each status that is written, from its beginning to its end.
struct Watcher {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<BTreeSet<String>>,
}

impl Watcher {
    fn of(world: &World, journal: Journal) -> Self {
        let (stop, status) = (Arc::new(AtomicBool::new(false)), world.path("run/status.json"));
        let stopped = Arc::clone(&stop);
        let thread = thread::spawn(move || {
            let mut seen = BTreeSet::new();
            while !stopped.load(Ordering::SeqCst) {
                seen.extend(fs::read_to_string(&status));
                seen.extend(journal.entries());
                thread::sleep(Duration::from_millis(1));
            }
            seen.extend(journal.entries());
            seen
        });
        Self { stop, thread }
    }

    /// Nothing of all that shows a secret; it is returned for what it should show.
    fn end(self, world: &World) -> String {
        self.stop.store(true, Ordering::SeqCst);
        let seen: Vec<String> = self.thread.join().unwrap().into_iter().collect();
        seen.iter().for_each(|text| world.scan("journal and status", text));
        seen.join("\n")
    }
}

/// What a command says, searched.
fn said(world: &World, args: &[&str]) -> String {
    let output = world.command(args).output().unwrap();
    let text = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
    world.scan(&args.join(" "), &text);
    text
}

/// Everything that people ask an agent for.
fn ask_all(world: &World) -> String {
    let config = world.config_path().display().to_string();
    let questions: [&[&str]; 9] = [
        &["logs", "app", "-n", "1000"],
        &["logs", "app", "--bytes", "2000"],
        &["logs", "migrate", "-n", "1000"],
        &["logs", "build", "-n", "1000"],
        &["logs", "agent"],
        &["status"],
        &["status", "--json"],
        &["check", "--config", &config],
        &["iam-policy", "--config", &config],
    ];
    questions.map(|args| said(world, args)).join("\n")
}

/// A whole run with the journal heard: its status, and all that was heard and asked for.
fn run(world: &mut World, config: &str) -> (Value, String) {
    let journal = Journal::of(world);
    world.write_config(config);
    let mut agent = Own(journal.run(world, &["--once"]).spawn().unwrap());
    let watcher = Watcher::of(world, journal);
    while agent.try_wait().unwrap().is_none() {
        inspect(world, &agent);
        thread::sleep(Duration::from_millis(10));
    }
    let heard = watcher.end(world) + &ask_all(world);
    assert_eq!(fs::read_dir(world.path("home")).unwrap().count(), 0, "something was written to HOME");
    (world.status().unwrap(), heard)
}

/// Arguments and environment of the agent and of what it started. What the test itself put into the
/// environment is left out.
fn inspect(world: &World, agent: &Child) {
    let children = fs::read_to_string(format!("/proc/{0}/task/{0}/children", agent.id())).unwrap_or_default();
    for pid in children.split_whitespace().chain([agent.id().to_string().as_str()]) {
        let read = |name: &str| fs::read(format!("/proc/{pid}/{name}")).unwrap_or_default();
        world.scan("arguments", &String::from_utf8_lossy(&read("cmdline")));
        let environment = read("environ");
        let own = environment.split(|byte| *byte == 0).filter(|pair| !pair.starts_with(b"GIVEN="));
        own.for_each(|pair| world.scan("environment", &String::from_utf8_lossy(pair)));
    }
}

#[test]
fn a_deployment_reloaded_killed_and_taken_up_again_shows_none() {
    let (mut world, env) = guarded();
    let socket = || fs::metadata("/var/run/docker.sock").unwrap().permissions().mode();
    let before = socket();
    let app = format!("{env}  command: {}\n", json!(["python", "-c", format!("{ECHO}{SERVER}")]));
    let migrate = format!("migrate:\n  command: {}\n", json!(["python", "-c", ECHO]));
    let config = world.light("good", &app, &migrate);
    world.write_config(&config);
    let journal = Journal::of(&world);
    let mut agent = Own(journal.run(&mut world, &[]).spawn().unwrap());
    let watcher = Watcher::of(&world, journal);
    let watched = fs::File::create(world.path("watched")).unwrap();
    let run_ended = |sequence: u64| {
        eventually(&format!("end of run {sequence}"), || {
            let status = world.status().unwrap_or_default();
            status["run"]["sequence"] == sequence && status["run"]["outcome"] != "in_progress"
        });
        world.status().unwrap()
    };
    eventually("a status", || world.status().is_some());
    // Of its output, which the world searches at the end, each line is a change.
    let mut follower = Own(world.command(&["status", "--watch"]).stdout(watched).spawn().unwrap());
    let status = run_ended(1);
    assert_eq!(status["run"]["outcome"], "ready", "{status}");
    inspect(&world, &agent);
    assert!(follower.wait().unwrap().success());
    assert!(fs::read_to_string(world.path("watched")).unwrap().lines().count() > 3);
    let asked = ask_all(&world);
    // It was all printed, and masked.
    for name in ["A_SSM", "A_SECRET", "A_FILE", "A_CREDENTIAL", "A_VARIABLE", "DATABASE_URL", "SENTRY_DSN"] {
        assert!(asked.contains(&format!("{name} [redacted]")), "{name}");
    }
    world.write_config(&config.replace(":good\n", ":v2\n"));
    signal(&agent, "HUP");
    let status = run_ended(2);
    assert_eq!(status["run"]["outcome"], "ready", "{status}");
    agent.kill().unwrap();
    agent.wait().unwrap();
    let mut agent = world.start(&config);
    agent.is_ready(3);
    docker(&["kill", &world.app_container()]);
    let status = agent.wait_for("service down", |status| status["service"]["state"] == "down");
    assert!(status["service"]["cause"]["tail"].as_str().is_some(), "{status}");
    ask_all(&world);
    assert_eq!(agent.stop(), Some(0));
    watcher.end(&world);
    assert_eq!(socket(), before, "the socket's mode");
    assert_eq!(fs::read_dir(world.path("home")).unwrap().count(), 0, "something was written to HOME");
}

#[test]
fn a_failed_migration_that_prints_its_environment_shows_none() {
    let (mut world, env) = guarded();
    let migrate = json!(["python", "-c", format!("{ECHO}raise SystemExit(3)")]);
    let more = format!("{}migrate:\n  command: {migrate}\ntries: {{ migrate: 1 }}\n", world.app(&env));
    let config = world.config("good", &more);
    let (status, heard) = run(&mut world, &config);
    assert_eq!(status["fault"]["code"], "migration_failed", "{status}");
    assert!(status["fault"]["tail"].as_str().unwrap().contains("[redacted]"), "{status}");
    assert!(heard.contains("PGPASSWORD [redacted]"));
}

#[test]
fn an_app_that_prints_its_environment_and_crashes_shows_none() {
    let (mut world, env) = guarded();
    let command = json!(["python", "-c", format!("{ECHO}raise SystemExit(7)")]);
    let config = world.light("good", &format!("{env}  command: {command}\n"), "");
    let (status, _) = run(&mut world, &config);
    assert_eq!(status["fault"]["code"], "app_exited", "{status}");
    assert!(status["fault"]["tail"].as_str().unwrap().contains("[redacted]"), "{status}");
}

#[test]
fn a_health_answer_that_repeats_the_environment_shows_none() {
    let (mut world, env) = guarded();
    let command = json!(["python", "-c", ECHO_SERVER]);
    let more = "health: [{ http: /, json: { status: ok } }]\ndeadlines: { health: 5s }\n";
    let config = world.light("good", &format!("{env}  command: {command}\n"), more);
    let (status, _) = run(&mut world, &config);
    assert_eq!(status["fault"]["class"], "app", "{status}");
}

#[test]
fn a_registry_that_repeats_the_login_shows_none() {
    let (mut world, env) = guarded();
    let (registry, password) = (FakeRegistry::start(), canary("registry"));
    world.secret("/test/login", &password);
    registry.allow(Access::Basic("octocat".to_owned(), password));
    registry.trouble(At::Manifest, usize::MAX, Trouble::Echo);
    let host = registry.host();
    let login = format!("registries:\n  {host}: {{ username: octocat, password: {{ ssm: /test/login }} }}\n");
    let config = world.bare(&registry.image("1"), &(login + &world.app(&env)));
    let (status, _) = run(&mut world, &config);
    assert_eq!(status["fault"]["class"], "registry", "{status}");
    let logins = registry.logins();
    assert!(logins.iter().any(|login| login.starts_with("octocat:canary-of-registry")), "it was shown to it");
}

#[test]
fn an_engine_that_repeats_the_roles_ecr_login_shows_none() {
    let (mut world, _) = guarded();
    let password = canary("ecr");
    world.ssm.set_ecr_password(&password);
    world.canary(&password);
    let words = format!("denied: AWS:{password} may not");
    let engine =
        FakeDocker::start(move |_, path| path.starts_with("/images/create").then(|| refusal(500, &words)));
    world.set_env("DOCKER_HOST", &engine.host());
    let image = format!("{ACCOUNT}.dkr.ecr.{REGION}.amazonaws.com/api:1");
    let config = world.bare(&image, "tries: { pull: 1 }\n");
    let (status, _) = run(&mut world, &config);
    assert_eq!(status["fault"]["class"], "registry", "{status}");
    assert!(status["fault"]["message"].as_str().unwrap().contains("[redacted]"), "{status}");
}

#[test]
fn a_failed_build_that_prints_secrets_shows_none() {
    let (mut world, env) = guarded();
    let (token, hidden) = (canary("github"), canary("source"));
    world.secret("/test/github", &token);
    world.secret("/test/hidden", &hidden);
    // Somebody wrote a secret into the repository as well.
    let dockerfile = format!(
        "FROM {}\nCOPY secret /\nARG GREETING\nRUN cat /secret; base64 -w0 /secret; env; exit 5\n",
        peers().platform_base
    );
    let github = GitHub::serving(Tarball::new().file("Dockerfile", dockerfile).file("secret", &hidden).gz());
    let more = format!(
        "source: {{ repository: acme/api, ref: {COMMIT}, api_url: \"{}\", token: {{ ssm: /test/github }} }}\n\
         database: off\nhealth: [tcp]\n{}    HIDDEN: {{ ssm: /test/hidden }}\n",
        github.api.url(),
        world.app(&env),
    );
    let config = world.config("none", &more);
    let (status, heard) = run(&mut world, &config);
    assert_eq!(status["fault"]["code"], "build_failed", "{status}");
    assert!(heard.contains("[redacted][redacted]"), "printed, and in base64");
}

#[test]
fn a_parameter_store_that_repeats_the_signed_request_shows_none() {
    let (mut world, env) = guarded();
    let words = "The request signature we calculated does not match the signature you provided. The Canonical String \
                 for this request should have been 'POST\n/\n\nx-amz-security-token:session-token-of-the-role\n'";
    world.ssm.fail(usize::MAX, Failure::Error("InvalidSignatureException", words));
    let config = world.config("good", &world.app(&env));
    let (status, _) = run(&mut world, &config);
    assert_eq!(status["run"]["outcome"], "failed", "{status}");
}

#[test]
fn a_wrong_configuration_with_secrets_in_it_is_told_without_them() {
    let mut world = World::new();
    let value = "canary-written-into-the-file";
    world.canary(value);
    let configs = [
        format!("image: acme/api:1\ndatabase:\n  url: \"mysql//x:{value}@h/d\"\n"),
        format!("image: acme/api:1\ndatabase: off\n  - {value}\n"),
        format!("image: acme/api:1\ndatabase: off\napp:\n  env: [{value}]\n  port: {value}\n"),
    ];
    // Not in the world's folder, which is searched.
    let path = world.given("config.yaml", "");
    for config in configs {
        fs::write(&path, config).unwrap();
        let said = said(&world, &["check", "--config", path.to_str().unwrap()]);
        assert!(!said.is_empty());
        let ran = world.run_args(&["run", "--once", "--config", path.to_str().unwrap()]);
        assert_eq!(ran.code, Some(78), "{}", ran.stderr);
    }
}

/// Errors as the library's users print them.
#[tokio::test]
async fn errors_show_none_in_their_chains_nor_in_debug() {
    use preview_agent::config::{DatabaseUrl, ImageReference};
    use preview_agent::docker::pull::Credentials;
    let secret = "canary+of/an%error";
    let all = [
        format!("{:?}", DatabaseUrl::parse(&format!("postgresql://u:{secret}@h:port/d"))),
        format!("{:?}", DatabaseUrl::parse(&format!("postgresql://u:{}@h/d", secret.replace('%', "%25")))),
        format!("{:?}", Credentials { username: "u".to_owned(), password: secret.to_owned().into() }),
        format!("{:?}", ImageReference::parse(&format!("host/{secret} name"))),
    ];
    for text in all {
        assert!(!text.contains("canary"), "{text}");
    }
}
