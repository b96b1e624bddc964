//! Others fail, the deployment does not: whoever is reported to, whoever keeps
//! the secrets, another agent, and other people's objects in the engine.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
// The whole life of an agent is one future.
#![recursion_limit = "256"]

mod support;

use std::fs;
use std::io::{PipeReader, PipeWriter, Read as _, Write as _};
use std::os::unix::fs::DirBuilderExt as _;
use std::os::unix::net::UnixDatagram;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use preview_agent::aws::Endpoints;
use preview_agent::config::{self, Loaded};
use preview_agent::deploy::{self, Agent, Cut, Order, Timings};
use preview_agent::redact::Redactor;
use preview_agent::state::Store;
use preview_agent::status::systemd::Systemd;
use preview_agent::status::{Outcome, Reporter, RunId};
use preview_agent::supervise;
use serde_json::Value;
use support::engine::{docker, inspect};
use support::journal::{Journal, in_namespace};
use support::peers::{Peers, peers};
use support::process::{Own, signal};
use support::ssm::{Call, Failure, FakeSsm};
use support::wait::eventually;
use support::world::World;
use time::OffsetDateTime;
use tokio::sync::watch;

fn run_args(world: &World, config: &str) -> Command {
    world.write_config(config);
    world.run(&["--once"])
}

/// The exit code, within a time in which no reporting may hold a run up.
#[track_caller]
fn code(agent: Child) -> Option<i32> {
    Own(agent).ended(String::new).code()
}

#[track_caller]
fn is_ready(world: &World) {
    let status = world.status().unwrap();
    assert_eq!((&status["run"]["outcome"], &status["service"]["state"]), (&"ready".into(), &"up".into()));
    assert_eq!(world.get("/").0, 200);
}

fn puts(world: &World) -> Vec<Call> {
    world.ssm.calls().into_iter().filter(|call| call.action == "PutParameter").collect()
}

/// At most one in five seconds, but for the write of the run's end.
#[track_caller]
fn within_the_pace(calls: &[Call]) {
    // Each arrives a little late on a busy machine, so that the gap behind it is shorter: all of them
    // together must take their time, but for one.
    let [first, .., last] = calls else { return };
    let gaps = u32::try_from(calls.len() - 2).unwrap();
    let least = Duration::from_secs(5) * gaps;
    let took = last.at - first.at;
    assert!(took + Duration::from_secs(1) >= least, "{} writes within {took:?}", calls.len());
}

/// A whole run during which every write fails, and what is made up for once they succeed.
fn writes_fail(failure: Failure) -> Value {
    let world = World::new();
    world.ssm.fail_writes(failure);
    let config = world.light("good", "", "");
    let mut agent = world.start(&config);
    let status = agent.is_ready(1);
    assert!(world.ssm.value("/test/status").is_none());
    eventually("it was tried again", || puts(&world).len() >= 3);
    within_the_pace(&puts(&world));
    world.ssm.recover();
    world.is_reported(&world.ssm);
    assert_eq!(agent.stop(), Some(0));
    status
}

#[test]
fn throttled_writes_cost_a_deployment_nothing_and_keep_the_pace() {
    writes_fail(Failure::Throttled);
}

#[test]
fn writes_that_end_in_server_errors_cost_a_deployment_nothing() {
    writes_fail(Failure::Internal);
}

#[test]
fn writes_that_are_answered_with_garbage_cost_a_deployment_nothing() {
    writes_fail(Failure::Garbage);
}

#[test]
fn a_parameter_store_that_refuses_connections_costs_a_deployment_nothing() {
    let (mut world, mut ssm) = (World::new(), FakeSsm::start());
    world.set_env("AWS_ENDPOINT_URL_SSM", &ssm.endpoint());
    ssm.stop();
    let Peers { registry_password, postgres_password, .. } = peers();
    let file = |name: &str, value: &str| format!("file: {}", world.given(name, value).display());
    let config = world
        .config("good", &format!("app: {{ publish: \"127.0.0.1:{}\" }}\n", world.port))
        .replace("ssm: /test/registry-password", &file("registry", registry_password))
        .replace("ssm: /test/database-password", &file("database", postgres_password));
    let mut agent = world.serve(&config);
    ssm.restart();
    // It would be tried again by itself, after a minute at most.
    agent.reload(&config);
    agent.wait_for_end_of_run(2);
    world.is_reported(&ssm);
}

#[test]
fn a_denial_of_the_write_is_noted_and_made_up_for_once_it_is_lifted() {
    let world = World::new();
    world.ssm.deny("/test/status");
    let config = world.light("good", "", "");
    let mut agent = world.serve(&config);
    agent.wait_for("a note", |status| status["notes"].to_string().contains("ssm:PutParameter"));
    world.ssm.allow("/test/status");
    agent.reload(&config);
    agent.is_ready(2);
    world.is_reported(&world.ssm);
}

/// A pipe into which nothing more fits.
fn full_pipe() -> (PipeReader, PipeWriter) {
    let (reader, mut writer) = std::io::pipe().unwrap();
    // What a pipe holds by default (pipe(7)).
    writer.write_all(&[b'.'; 64 * 1024]).unwrap();
    (reader, writer)
}

#[test]
fn a_log_that_nobody_reads_costs_a_deployment_nothing() {
    let world = World::new();
    let (mut reader, writer) = full_pipe();
    world.write_config(&world.light("good", "", ""));
    // No command is kept, or the pipe would have another writer to the end.
    let mut agent = Own(world.run(&[]).stderr(writer).spawn().unwrap());
    eventually("ready", || world.status().is_some_and(|status| status["run"]["outcome"] == "ready"));
    is_ready(&world);
    // Somebody begins to read: what was lost is counted, and the log goes on.
    let mut read = vec![0; 64 * 1024];
    reader.read_exact(&mut read).unwrap();
    signal(&agent, "HUP");
    eventually("a second run", || world.status().is_some_and(|status| status["run"]["sequence"] == 2));
    signal(&agent, "TERM");
    assert_eq!(agent.ended(String::new).code(), Some(0));
    let mut rest = String::new();
    reader.read_to_string(&mut rest).unwrap();
    assert!(rest.contains("lines of the log were lost"), "{rest}");
    assert!(rest.contains("the configuration was read again"), "{rest}");
}

#[test]
fn a_log_whose_reader_has_gone_costs_a_deployment_nothing() {
    let world = World::new();
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let agent = run_args(&world, &world.light("good", "", "")).stderr(writer).spawn().unwrap();
    assert_eq!(code(agent), Some(0));
    is_ready(&world);
}

#[test]
fn a_failure_that_nobody_reads_of_has_its_exit_code_all_the_same() {
    let world = World::new();
    let (_reader, writer) = full_pipe();
    let agent = run_args(&world, &world.light("no-such-tag", "", "")).stderr(writer).spawn().unwrap();
    assert_eq!(code(agent), Some(1));
    assert_eq!(world.status().unwrap()["fault"]["code"], "image_not_found");
}

/// A run whose log goes to this journal.
fn logging_to(journal: &Journal, world: &mut World) -> Command {
    world.write_config(&world.light("good", "", ""));
    journal.run(world, &["--once"])
}

#[test]
fn the_journal_gets_every_line_with_its_fields_and_stderr_gets_none() {
    let mut world = World::new();
    let journal = Journal::of(&world);
    let mut agent = Own(logging_to(&journal, &mut world).spawn().unwrap());
    // Read all the time, as a journal does.
    let mut entries = Vec::new();
    while agent.try_wait().unwrap().is_none() {
        entries.extend(journal.entries());
        std::thread::sleep(Duration::from_millis(5));
    }
    entries.extend(journal.entries());
    is_ready(&world);
    let field = |name: &str, value: &str| {
        let length = (value.len() as u64).to_le_bytes();
        format!("{name}\n{}{value}\n", String::from_utf8_lossy(&length))
    };
    for name in ["resolve", "image", "database", "migrate", "start", "health"] {
        let of_phase = field("AGENT_PHASE", name);
        let entry = entries.iter().find(|entry| entry.contains(&of_phase)).expect(name);
        assert!(entry.contains(&field("PRIORITY", "6")), "{entry}");
        assert!(entry.contains(&field("MESSAGE", &format!("{name}: done"))), "{entry}");
    }
    assert!(entries.iter().any(|entry| entry.contains(&field("AGENT_OUTCOME", "ready"))));
    entries.iter().for_each(|entry| world.scan("journal", entry));
    assert_eq!(fs::read_to_string(world.path("stderr")).unwrap(), "");
}

#[test]
fn a_journal_that_hangs_costs_a_deployment_nothing() {
    let mut world = World::new();
    let journal = Journal::of(&world);
    // Nobody reads: after a few datagrams its queue is full (net.unix.max_dgram_qlen).
    let agent = logging_to(&journal, &mut world).spawn().unwrap();
    assert_eq!(code(agent), Some(0));
    is_ready(&world);
    assert!(!journal.entries().is_empty());
}

#[test]
fn a_journal_that_has_gone_costs_a_deployment_nothing() {
    let mut world = World::new();
    let journal = Journal::of(&world).gone();
    let agent = logging_to(&journal, &mut world).spawn().unwrap();
    assert_eq!(code(agent), Some(0));
    is_ready(&world);
}

#[test]
fn a_service_manager_that_does_not_listen_costs_a_deployment_nothing() {
    let mut world = World::new();
    let path = world.path("notify");
    let full = UnixDatagram::bind(&path).unwrap();
    world.set_env("NOTIFY_SOCKET", path.to_str().unwrap());
    world.set_env("WATCHDOG_USEC", "200000");
    let agent = run_args(&world, &world.light("good", "", "")).stderr(Stdio::null()).spawn().unwrap();
    assert_eq!(code(agent), Some(0));
    is_ready(&world);
    drop(full);
}

#[test]
fn a_parameter_store_that_is_down_leaves_the_last_good_app_serving_and_says_what_was_not_refreshed() {
    let mut world = World::new();
    let config = world.light("good", "", "");
    world.run_once(&config).is_ready();
    let app = world.app_container();
    let life = || inspect(&app, "{{.State.StartedAt}} {{.State.Running}}");
    let before = life();
    let kept = |world: &World, what: &str| {
        let ran = world.run_once(&config);
        assert_eq!(ran.code, Some(0), "{what}: {}", ran.stderr);
        assert_eq!(ran.status["service"]["state"], "up", "{what}");
        let note = ran.status["notes"][0].as_str().unwrap_or_default().to_owned();
        assert!(note.starts_with("not refreshed: parameters_unreachable: "), "{what}: {}", ran.status);
        assert!(ran.status["verdict"].as_str().unwrap().contains("not refreshed"), "{}", ran.status);
        assert_eq!((world.app_container(), life()), (app.clone(), before.clone()), "{what}");
        assert_eq!(world.get("/").0, 200);
    };
    for failure in [Failure::Internal, Failure::Throttled, Failure::Garbage] {
        world.ssm.fail(usize::MAX, failure.clone());
        kept(&world, &format!("{failure:?}"));
        world.ssm.recover();
    }
    world.ssm.stop();
    kept(&world, "refused");
    world.ssm.restart();
    let ran = world.run_once(&config);
    assert_eq!((ran.code, ran.status["notes"].as_array()), (Some(0), None), "{}", ran.status);
    assert_eq!(life(), before);
}

#[test]
fn a_parameter_store_that_hangs_leaves_the_last_good_app_serving_and_a_reload_recovers() {
    let world = World::new();
    let config = world.light("good", "", "");
    let mut agent = world.serve(&config);
    world.ssm.fail(usize::MAX, Failure::Hang);
    agent.reload(&config);
    let status = agent.wait_for_end_of_run(2);
    assert_eq!((&status["run"]["outcome"], &status["service"]["state"]), (&"ready".into(), &"up".into()));
    assert!(status["verdict"].as_str().unwrap().contains("not refreshed"), "{status}");
    assert_eq!(world.command(&["status"]).stdout(Stdio::null()).status().unwrap().code(), Some(0));
    world.ssm.recover();
    agent.reload(&config);
    let status = agent.wait_for_end_of_run(3);
    assert!(!status["verdict"].as_str().unwrap().contains("not refreshed"), "{status}");
}

#[test]
fn two_agents_with_folders_of_their_own_do_not_see_each_other_and_are_told_of_a_shared_port() {
    let first = World::new();
    let second = World::new();
    let mut one = first.start(&first.light("good", "", ""));
    let mut two = second.start(&second.light("v2", "", ""));
    assert_eq!(one.wait_for_end_of_run(1)["run"]["outcome"], "ready");
    assert_eq!(two.wait_for_end_of_run(1)["run"]["outcome"], "ready");
    let name = inspect(&first.app_container(), "{{.Name}}");
    let before = second.app_container();
    let shared = second.light("good", "", "").replace(&second.port.to_string(), &first.port.to_string());
    two.reload(&shared);
    let status = two.wait_for_end_of_run(2);
    assert_eq!(status["fault"]["code"], "port_in_use", "{status}");
    let message = status["fault"]["message"].as_str().unwrap();
    assert!(message.contains(name.trim_start_matches('/')), "{message}");
    assert_eq!((&status["service"]["state"], second.app_container()), (&"up".into(), before));
    let status = first.status().unwrap();
    assert_eq!((&status["run"]["sequence"], &status["service"]["state"]), (&1.into(), &"up".into()));
    assert_eq!(first.get("/").0, 200);
}

/// Labels of an application's container, of the agent with this state folder.
fn labels(scope: &str) -> [String; 3] {
    ["scope=", "role=", "run="].map(|name| match name {
        "scope=" => format!("preview-agent.scope={scope}"),
        "role=" => "preview-agent.role=app".to_owned(),
        _ => "preview-agent.run=1-000001".to_owned(),
    })
}

#[test]
fn what_belongs_to_somebody_else_is_never_touched() {
    let world = World::new();
    let config = world.light("good", "", "");
    world.run_once(&config);
    let ours = inspect(&world.app_container(), "{{.Name}}");
    let prefix = ours.trim_start_matches('/').rsplit_once("-app-").unwrap().0.to_owned();
    let image = format!("{}/acme/tasks-api:good", peers().registry);
    let run = |name: &str, labels: &[String]| {
        let mut args = vec!["run", "-d", "--name", name, "-v", name];
        labels.iter().for_each(|label| args.extend(["--label", label]));
        let volume = format!("{name}:/data");
        args[5] = &volume;
        args.extend([image.as_str(), "sleep", "600"]);
        docker(&args)
    };
    // Our name without our labels, and our labels with another agent's scope.
    let theirs = [
        run(&format!("{prefix}-app-theirs"), &[]),
        run(&format!("{prefix}-migrate-theirs"), &labels("/var/lib/somebody-else")),
        run(&format!("{prefix}-other"), &labels(&format!("{}/below", world.path("state").display()))),
    ];
    let life = || theirs.clone().map(|id| inspect(&id, "{{.State.StartedAt}} {{.State.Running}}"));
    let before = life();
    let outcome = world.run_once(&world.light("v2", "", "")).status["run"]["outcome"].clone();
    let after = life();
    let volumes = docker(&["volume", "ls", "-q", "--filter", &format!("name={prefix}")]);
    docker(&[["rm", "-fv"].as_slice(), &theirs.each_ref().map(String::as_str)].concat());
    for volume in volumes.lines() {
        docker(&["volume", "rm", volume]);
    }
    assert_eq!(outcome, "ready");
    assert_eq!(after, before);
    assert!(before.iter().all(|life| life.ends_with("true")), "{before:?}");
    assert_eq!(volumes.lines().count(), 3);
}

/// A run with a state folder that a script makes unusable: code, stderr and status.
fn unusable(world: &World, script: &str) -> (Option<i32>, String, Value) {
    let state = world.path("state");
    fs::DirBuilder::new().mode(0o700).create(&state).unwrap();
    let output =
        in_namespace(&run_args(world, &world.light("good", "", "")), script, &state).output().unwrap();
    assert_eq!(world.containers("app").len(), 0, "nothing was touched");
    let stderr = String::from_utf8(output.stderr).unwrap();
    (output.status.code(), stderr, world.status().unwrap())
}

#[track_caller]
fn is_told(told: &(Option<i32>, String, Value), words: &str) {
    let (code, stderr, status) = told;
    assert_eq!(*code, Some(75), "{stderr}");
    for words in ["state_unusable: ", words, "make the folder writable"] {
        assert!(stderr.contains(words), "{stderr}");
    }
    let (code, outcome) = (&status["fault"]["code"], &status["run"]["outcome"]);
    assert_eq!((code, outcome), (&"state_unusable".into(), &"failed".into()), "{status}");
    assert!(status["verdict"].as_str().unwrap().contains(words), "{status}");
}

const READ_ONLY: &str = "mount --bind \"$0\" \"$0\"; mount -o remount,bind,ro \"$0\"";

#[test]
fn a_state_folder_that_cannot_be_used_is_told_in_the_status_and_the_parameter_with_what_to_do() {
    let mut world = World::new();
    world.set_env("PREVIEW_AGENT_REPORT", "/test/status");
    is_told(&unusable(&world, READ_ONLY), "Read-only file system");
    assert_eq!(world.ssm.value("/test/status").unwrap().into_bytes(), world.status_bytes());
    // What was in the way is gone: nothing else is needed.
    world.run_once(&world.light("good", "", "")).is_ready();
}

#[test]
fn a_full_disk_under_the_state_folder_is_told_as_that() {
    let full = "mount -t tmpfs -o size=4k tmpfs \"$0\"; head -c 4096 /dev/zero >\"$0/filler\"";
    is_told(&unusable(&World::new(), full), "No space left on device");
}

#[test]
fn a_file_in_the_place_of_the_state_folder_is_told() {
    let world = World::new();
    fs::write(world.path("state"), "in the way").unwrap();
    let ran = world.run_once(&world.light("good", "", ""));
    is_told(&(ran.code, ran.stderr, ran.status), &world.path("state").display().to_string());
}

#[test]
fn a_second_agent_is_noticed_where_the_state_folder_became_read_only_and_the_firsts_status_stays() {
    let world = World::new();
    let config = world.light("good", "", "");
    let agent = world.serve(&config);
    let before = world.status_bytes();
    let second = in_namespace(&run_args(&world, &config), READ_ONLY, &world.path("state")).output().unwrap();
    let stderr = String::from_utf8(second.stderr).unwrap();
    assert_eq!(second.status.code(), Some(75), "{stderr}");
    assert!(stderr.contains("another agent already runs"), "{stderr}");
    assert_eq!(world.status_bytes(), before);
    assert_eq!(agent.stop(), Some(0));
}

#[tokio::test]
async fn a_superseded_run_says_by_which() {
    let folder = tempfile::tempdir().unwrap();
    let mut store = Store::open(&folder.path().join("state")).unwrap();
    let text = "image: acme/api:1\ndatabase: off\n";
    let loaded = Loaded { config: config::parse(text).unwrap(), bytes: text.into() };
    let (first, second) = (RunId::random(1), RunId::random(2));
    let now = OffsetDateTime::now_utc().into();
    let run = supervise::new_run(&mut store, now, loaded.config.deadline, first.clone());
    let (redactor, clock) = (Redactor::default(), OffsetDateTime::now_utc);
    let run_dir = folder.path().join("run");
    let reporter = Reporter::start(&run_dir, redactor.clone(), run, Systemd::default(), clock);
    let (timings, endpoints) = (Timings::default(), Endpoints { imds: None, ssm: None, ecr: None });
    let mut agent = Agent::new(reporter, redactor, store, timings, endpoints);
    // The second configuration came at once.
    let (_cutter, cut) = watch::channel(Cut::Superseded(second.clone()));
    let ended = deploy::run(&mut agent, &loaded, first, Order::Once, cut).await;
    assert_eq!(ended.outcome, Outcome::Superseded);
    let status: Value = serde_json::from_slice(&fs::read(run_dir.join("status.json")).unwrap()).unwrap();
    assert_eq!(status["run"]["outcome"], "superseded", "{status}");
    assert_eq!(status["run"]["superseded_by"], second.as_str(), "{status}");
    assert!(status.get("fault").is_none(), "a newer wish is no fault: {status}");
}

#[test]
fn settings_of_aws_that_the_sdk_does_not_know_end_in_no_panic() {
    let mut world = World::new();
    world.set_env("AWS_RETRY_MODE", "legacy");
    world.set_env("AWS_MAX_ATTEMPTS", "0");
    world.run_once(&world.light("good", "", "")).is_ready();
    world.set_env("AWS_ENDPOINT_URL_SSM", "");
    let ran = world.run_once(&world.light("good", "", ""));
    assert!(ran.stderr.contains("AWS_ENDPOINT_URL_SSM is set and empty"), "{}", ran.stderr);
    assert!(!ran.stderr.contains("panicked"), "{}", ran.stderr);
}
