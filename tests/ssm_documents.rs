//! The documents for Run Command: what they are made of, and what comes of
//! them when their scripts run as the SSM Agent runs them.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Map, Value, json};
use support::engine::{docker, docker_try};
use support::peers::{aws, peers};
use support::world::World;

const DOCUMENTS: [&str; 4] = ["check", "logs", "reload", "status"];

/// Systemd's PATH for services, which the SSM Agent hands down. No HOME, no USER.
const PATH: &str = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin";

/// Where the SSM Agent puts a script.
const SCRIPT: &str = "/var/lib/amazon/ssm/_script.sh";

fn file(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("packaging/ssm/{name}.yaml"))
}

fn document(name: &str) -> Value {
    serde_saphyr::from_str(&fs::read_to_string(file(name)).unwrap()).unwrap()
}

fn parameters(document: &Value) -> Map<String, Value> {
    document.get("parameters").map_or_else(Map::new, |all| all.as_object().unwrap().clone())
}

fn inputs(document: &Value) -> &Value {
    &document["mainSteps"][0]["inputs"]
}

/// The script as the SSM Agent writes it.
fn script(document: &Value) -> String {
    let lines = inputs(document)["runCommand"].as_array().unwrap().iter();
    lines.map(|line| line.as_str().unwrap()).collect::<Vec<_>>().join("\n")
}

/// Whether Systems Manager would take this value for the parameter.
fn takes(parameter: &Value, value: &str) -> bool {
    let rule = match (parameter.get("allowedValues"), parameter.get("allowedPattern")) {
        (Some(values), None) => json!({"enum": values}),
        (None, Some(pattern)) => json!({"pattern": pattern}),
        _ => panic!("not restricted in one way: {parameter}"),
    };
    jsonschema::validator_for(&rule).unwrap().is_valid(&json!(value))
}

/// Values that a shell or another program would make something of.
const HOSTILE: [&str; 12] = [
    "$(touch /tmp/pwned)",
    "`touch /tmp/pwned`",
    "app; touch /tmp/pwned",
    "app\ntouch /tmp/pwned",
    "app && touch /tmp/pwned",
    "\"; touch /tmp/pwned; \"",
    "'; touch /tmp/pwned; '",
    "--help",
    "-n",
    "5 5",
    "",
    "{{ssm:/pr-preview/token}}",
];

#[test]
fn every_parameter_is_restricted_and_reaches_the_script_as_environment_only() {
    for name in DOCUMENTS {
        let document = document(name);
        assert_eq!(document["schemaVersion"], "2.2");
        assert!(document["description"].as_str().unwrap().len() > 40);
        let steps = document["mainSteps"].as_array().unwrap();
        assert_eq!((steps.len(), &steps[0]["action"]), (1, &json!("aws:runShellScript")));
        assert_eq!(steps[0]["name"], name);
        let seconds: u32 = inputs(&document)["timeoutSeconds"].as_str().unwrap().parse().unwrap();
        // Beyond these limits the SSM Agent silently takes an hour.
        assert!((5..=172_800).contains(&seconds));
        let script = script(&document);
        assert!(!document.to_string().contains("{{"), "{name} is put together from text");
        assert!(script.lines().count() < 15, "{name} wants to be part of the agent");
        let parameters = parameters(&document);
        assert_eq!(script.matches("SSM_").count(), parameters.len(), "{name}");
        for (key, parameter) in parameters {
            assert_eq!(
                (&parameter["type"], &parameter["interpolationType"]),
                (&json!("String"), &json!("ENV_VAR"))
            );
            let default = parameter["default"].as_str().unwrap();
            // Quoted, and with the same default where an older SSM Agent sets nothing.
            assert!(script.contains(&format!("\"${{SSM_{key}:-{default}}}\"")), "{name}: {key}");
            assert!(takes(&parameter, default));
            for value in HOSTILE {
                assert!(!takes(&parameter, value), "{name}: {key} takes {value:?}");
            }
        }
    }
}

#[test]
fn the_scripts_are_plain_sh() {
    let shellcheck = Path::new(&peers().python).with_file_name("shellcheck");
    for name in DOCUMENTS {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("_script.sh");
        fs::write(&path, script(&document(name))).unwrap();
        let output = Command::new(&shellcheck).args(["-s", "sh"]).arg(&path).output().unwrap();
        assert!(output.status.success(), "{name}: {}", String::from_utf8_lossy(&output.stdout));
    }
}

fn answer(args: &[&str]) -> Value {
    let output = aws(args).output().unwrap();
    assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

/// A document at the peer, deleted when dropped.
struct Created(String);

impl Drop for Created {
    fn drop(&mut self) {
        aws(&["ssm", "delete-document", "--name", &self.0]).output().ok();
    }
}

#[test]
fn the_aws_client_creates_them_as_their_headers_say() {
    for name in DOCUMENTS {
        let text = fs::read_to_string(file(name)).unwrap();
        assert!(text.contains(&format!("--content file://packaging/ssm/{name}.yaml")));
        let created = Created(format!("PreviewAgent-{name}-{:08x}", fastrand::u32(..)));
        let content = format!("file://{}", file(name).display());
        let how = ["--document-type", "Command", "--document-format", "YAML", "--content", &content];
        let told = answer(&[["ssm", "create-document", "--name", &created.0].as_slice(), &how].concat());
        let told = told["DocumentDescription"]["Parameters"].as_array().map_or(0, Vec::len);
        assert_eq!(told, parameters(&document(name)).len());
        let stored = answer(&["ssm", "get-document", "--name", &created.0, "--document-format", "YAML"]);
        let stored: Value = serde_saphyr::from_str(stored["Content"].as_str().unwrap()).unwrap();
        assert_eq!(stored, document(name));
    }
}

/// A host with the agent's files in their places, where the SSM Agent runs scripts.
struct Host {
    container: String,
    scripts: tempfile::TempDir,
    env: Vec<String>,
}

/// What Run Command would show.
#[derive(Debug)]
struct Shown {
    code: Option<i32>,
    text: String,
}

impl Host {
    /// A host with the world's status, state and configuration, and with `/usr/bin/agent` if `installed`.
    fn of(world: &World, installed: bool) -> Self {
        let scripts = tempfile::tempdir().unwrap();
        let given = |name: &str| {
            let path = world.path(name);
            if !path.exists() {
                fs::create_dir_all(&path).unwrap();
            }
            path.display().to_string()
        };
        let (run, state) = (given("run"), given("state"));
        let mut mounts = vec![
            format!("{}:/var/lib/amazon/ssm", scripts.path().display()),
            format!("{run}:/run/preview-agent:ro"),
            // At the same path as for the agent that runs: its containers carry it in a label.
            format!("{state}:{state}:ro"),
            "/var/run/docker.sock:/var/run/docker.sock".to_owned(),
        ];
        if world.config_path().exists() {
            mounts.push(format!("{}:/etc/preview-agent/config.yaml:ro", world.config_path().display()));
        }
        if installed {
            mounts.push(format!("{}:/usr/bin/agent:ro", env!("CARGO_BIN_EXE_agent")));
        }
        let volumes: Vec<&str> = mounts.iter().flat_map(|mount| ["-v", mount.as_str()]).collect();
        let image = ["preview-agent-machine:bookworm", "sleep", "infinity"];
        let container = docker(
            &[&["run", "-d", "--rm", "--init", "--network", "none"], volumes.as_slice(), &image].concat(),
        );
        assert!(!container.is_empty(), "no host; run scripts/machines up bookworm");
        Self { container, scripts, env: vec![format!("STATE_DIRECTORY={state}")] }
    }

    /// Runs a document's script with these variables, in both shells that `sh` may be.
    fn run(&self, name: &str, variables: &[(&str, &str)]) -> Shown {
        let path = self.scripts.path().join("_script.sh");
        fs::write(&path, script(&document(name))).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o700)).unwrap();
        let [dash, bash] = ["dash", "bash"].map(|shell| {
            let mut command = Command::new("docker");
            command.args(["exec", &self.container, "env", "-i", PATH, "AWS_SSM_REGION_NAME=eu-central-1"]);
            command.args(&self.env).args(variables.iter().map(|(key, value)| format!("{key}={value}")));
            let output = command.args([shell, "-c", SCRIPT]).output().unwrap();
            // What the console joins.
            let all = [output.stdout, output.stderr].concat();
            assert!(all.len() <= 2400, "{} bytes", all.len());
            let text = String::from_utf8(all).expect("valid UTF-8");
            assert!(!text.contains('\u{1b}'), "{text}");
            Shown { code: output.status.code(), text }
        });
        // What comes later may have the time in it.
        let begin = |shown: &Shown| shown.text.chars().take(40).collect::<String>();
        assert_eq!((dash.code, begin(&dash)), (bash.code, begin(&bash)));
        assert!(![137, 168, 169, 194].contains(&dash.code.unwrap()));
        dash
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        docker_try(&["rm", "-f", &self.container]).ok();
    }
}

#[test]
fn a_ready_deployment_is_told_with_its_verdict_first_and_its_logs() {
    let world = World::new();
    world.run_once(&world.config("good", "")).is_ready();
    let host = Host::of(&world, true);
    let status = host.run("status", &[]);
    assert_eq!(status.code, Some(0), "{status:?}");
    assert!(status.text.starts_with("ready: ") && status.text.contains("\nphases\n"), "{status:?}");
    let json = host.run("status", &[("SSM_Format", "json")]);
    assert_eq!(
        (json.code, json.text.as_bytes()),
        (Some(0), [world.status_bytes(), b"\n".to_vec()].concat().as_slice())
    );
    let logs = host.run("logs", &[("SSM_Source", "app"), ("SSM_Lines", "999")]);
    assert_eq!(logs.code, Some(0), "{logs:?}");
    assert!(logs.text.starts_with("ready: ") && logs.text.contains("Uvicorn running"), "{logs:?}");
    assert!(host.run("logs", &[("SSM_Source", "migrate")]).text.contains("Running upgrade"));
    let none = host.run("logs", &[("SSM_Source", "build")]);
    assert_eq!(none.code, Some(1));
    assert!(
        none.text.starts_with("ready: ") && none.text.contains("no image has been built yet"),
        "{none:?}"
    );
    let check = host.run("check", &[]);
    assert_eq!(check.code, Some(0));
    assert!(check.text.starts_with("/etc/preview-agent/config.yaml: ok\n"), "{check:?}");
}

#[test]
fn the_worst_that_a_failed_run_leaves_still_fits_and_ends_in_the_newest_line() {
    let world = World::new();
    // All to one output: what comes first of two is Docker's choice.
    let noisy = "for n in range(40): print(f'line {n} ' + 'é✓😀' * 1500)\nprint('the last wörd')\nexit(1)";
    let job =
        format!("jobs:\n  - name: noisy\n    command: [python, -c, {noisy:?}]\ntries: {{ migrate: 1 }}\n");
    let id = format!("deployment: {{ id: {:?} }}\n", "ä".repeat(60));
    world.run_once(&world.config("good", &(job + &id))).failed_with("job_failed");
    let host = Host::of(&world, true);
    let status = host.run("status", &[]);
    assert_eq!(status.code, Some(1), "{status:?}");
    assert!(
        status.text.starts_with("failed in jobs: job_failed") && status.text.contains("\nfault\n"),
        "{status:?}"
    );
    let logs = host.run("logs", &[("SSM_Source", "migrate"), ("SSM_Lines", "999")]);
    assert_eq!(logs.code, Some(0), "{logs:?}");
    assert!(logs.text.starts_with("failed in jobs: "), "{logs:?}");
    assert!(logs.text.contains("the last wörd") && logs.text.contains("line 39 é✓😀"), "{logs:?}");
    assert!(!logs.text.contains("line 3 "), "{logs:?}");
}

#[test]
fn a_run_in_progress_and_an_agent_that_has_died_have_their_own_codes() {
    let world = World::new();
    let agent = world.start(&world.config("good", "migrate:\n  command: [sleep, \"600\"]\n"));
    let migration = world.running_migration();
    let host = Host::of(&world, true);
    let status = host.run("status", &[]);
    assert_eq!(status.code, Some(3), "{status:?}");
    assert!(status.text.starts_with("in progress: "), "{status:?}");
    agent.crash();
    docker(&["rm", "-f", &migration]);
    // As the clock would have it a quarter of an hour later.
    let mut document = world.status().unwrap();
    document["expires_at"] = "2026-01-01T00:00:00Z".into();
    document["heartbeat_at"] = "2026-01-01T00:00:00Z".into();
    fs::write(world.path("run/status.json"), document.to_string()).unwrap();
    for name in ["status", "logs"] {
        let shown = host.run(name, &[("SSM_Source", "migrate")]);
        assert!(shown.text.starts_with("The agent is not running: last heard at 2026-01-01"), "{shown:?}");
    }
    assert_eq!(host.run("status", &[]).code, Some(4));
}

#[test]
fn without_a_status_or_an_agent_there_is_one_clear_line() {
    let world = World::new();
    let host = Host::of(&world, true);
    let status = host.run("status", &[]);
    assert_eq!(status.code, Some(4));
    assert!(status.text.starts_with("no status: ") && status.text.lines().count() == 1, "{status:?}");
    assert_eq!(host.run("check", &[]).code, Some(78));
    drop(host);
    let bare = Host::of(&world, false);
    for name in DOCUMENTS {
        let shown = bare.run(name, &[]);
        assert_eq!(
            (shown.code, shown.text.as_str()),
            (Some(4), "preview-agent is not installed: no /usr/bin/agent\n")
        );
    }
}

#[test]
fn a_configuration_wrong_in_many_places_is_told_as_far_as_it_fits() {
    let world = World::new();
    let keys: String = (0..200).map(|n| format!("    1WRONG{n}: x\n")).collect();
    world.write_config(&format!("image: 'not an image'\ndatabase: off\napp:\n  env:\n{keys}"));
    let host = Host::of(&world, true);
    let check = host.run("check", &[]);
    assert_eq!(check.code, Some(78));
    assert!(check.text.starts_with("/etc/preview-agent/config.yaml:1:8: image: "), "{check:?}");
    assert!(check.text.ends_with(" more lines\n"), "{check:?}");
    // Not deployed either.
    let reload = host.run("reload", &[]);
    assert_eq!(reload.code, Some(78));
    assert!(reload.text.starts_with("nothing was reloaded"), "{reload:?}");
}

#[test]
fn hostile_values_are_harmless_even_where_nobody_has_refused_them() {
    let world = World::new();
    world.write_config("image: x\ndatabase: off\n");
    let host = Host::of(&world, true);
    for value in &HOSTILE[..8] {
        for (name, variables) in [
            ("logs", ["SSM_Source", "SSM_Lines"]),
            ("status", ["SSM_Format"; 2]),
            ("reload", ["SSM_WaitSeconds"; 2]),
        ] {
            let shown = host.run(name, &variables.map(|variable| (variable, *value)));
            assert!([Some(0), Some(2), Some(4)].contains(&shown.code), "{value:?}: {shown:?}");
        }
    }
    let made = Command::new("docker").args(["exec", &host.container, "ls", "/tmp/pwned"]).output().unwrap();
    assert!(!made.status.success(), "a value was run as a command");
}
