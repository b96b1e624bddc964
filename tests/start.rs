//! From a created container to one that is proven healthy, and every way that fails.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use std::net::TcpListener;
use std::time::{Duration, Instant};

use serde_json::json;
use support::agent::{Ran, has};
use support::engine::inspect;
use support::world::World;

/// Answers each path as its argument says: a status and a body; one body never ends, one tells a secret.
const SERVER: &str = r#"
import http.server, json, os, signal, sys
signal.signal(signal.SIGTERM, lambda *_: sys.exit())
ANSWERS = json.loads(sys.argv[1])
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        status, body = ANSWERS.get(self.path, [404, "not here"])
        self.send_response(status)
        self.end_headers()
        if body == "secret":
            body = "x" * 190 + os.environ["SENTRY_DSN"]
        self.wfile.write(body.encode())
        while body == "endless":
            self.wfile.write(b"x" * 65536)
http.server.ThreadingHTTPServer(("", 8000), Handler).serve_forever()
"#;

/// The sample's image with another command, no database, five seconds to get healthy.
fn with_command(world: &World, command: &[&str], more: &str) -> String {
    let command = serde_json::to_string(command).unwrap();
    let app = world.app(&format!("  command: {command}\n"));
    world.config("good", &format!("database: off\n{app}deadlines: {{ health: 5s }}\n{more}"))
}

fn serving(world: &World, answers: serde_json::Value, more: &str) -> Ran {
    world.run_once(&with_command(world, &["python3", "-c", SERVER, &answers.to_string()], more))
}

#[test]
fn a_port_that_a_container_holds_is_told_with_the_containers_name() {
    let first = World::new();
    serving(&first, json!({"/docs": [200, ""]}), "").is_ready();
    let mut second = World::new();
    second.port = first.port;
    let ran = serving(&second, json!({"/docs": [200, ""]}), "");
    let fault = ran.failed_with("port_in_use");
    let holder = inspect(&first.containers("app")[0], "{{.Name}}");
    assert_eq!(fault["phase"], "start");
    has(&fault["message"], &format!("port {} is held by the container {}", first.port, &holder[1..]));
}

#[test]
fn a_port_that_another_process_holds_is_told_so() {
    let world = World::new();
    let _holder = TcpListener::bind(("127.0.0.1", world.port)).unwrap();
    let ran = serving(&world, json!({"/docs": [200, ""]}), "");
    has(&ran.failed_with("port_in_use")["message"], "is held by a process outside Docker");
}

#[test]
fn an_application_that_exits_is_caught_at_once_with_its_code_and_last_output() {
    let world = World::new();
    let begun = Instant::now();
    let ran = world.run_once(&world.config("exits", "database: off\n"));
    assert!(begun.elapsed() < Duration::from_secs(60), "only at the deadline of 120 s");
    let fault = ran.failed_with("app_exited");
    has(&fault["message"], "exit code 3: ModuleNotFoundError: No module named 'app.settings'");
    assert!(fault["tail"].as_str().unwrap().starts_with("Traceback"), "{fault}");
    assert_eq!((&fault["phase"], &ran.status["service"]["state"]), (&"health".into(), &"down".into()));
}

#[test]
fn a_command_that_is_not_in_the_image_is_told() {
    let world = World::new();
    let ran = world.run_once(&with_command(&world, &["uvikorn"], ""));
    has(&ran.failed_with("app_exited")["message"], "uvikorn");
}

#[test]
fn an_application_beyond_its_memory_limit_is_told_as_that() {
    let world = World::new();
    let eats = "held = []\nwhile True: held.append(bytearray(1 << 20))";
    let app = world.app(&format!("  memory: 32m\n  command: [python3, -c, {}]\n", json!(eats)));
    let ran = world.run_once(&world.config("good", &format!("database: off\n{app}")));
    has(&ran.failed_with("app_oom_killed")["message"], "exit code 137, out of memory");
}

#[test]
fn an_application_that_does_not_listen_is_told_at_the_tcp_stage() {
    let world = World::new();
    let idle = "trap exit TERM; sleep 600 & wait";
    let ran = world.run_once(&with_command(&world, &["sh", "-c", idle], ""));
    has(&ran.failed_with("health_timeout")["message"], "not healthy within 5 s");
    let stages = ran.status["health"].as_array().unwrap();
    assert_eq!((stages.len(), &stages[0]["stage"], &stages[0]["ok"]), (1, &"tcp".into(), &false.into()));
}

#[test]
fn a_written_stage_is_strict_about_its_status() {
    let world = World::new();
    let begun = Instant::now();
    let ran =
        serving(&world, json!({"/docs": [200, ""]}), "health: [tcp, { http: /docs }, { http: /readyz }]\n");
    let fault = ran.failed_with("health_status");
    has(&fault["message"], "not healthy within 5 s: /readyz answered 404 not here");
    assert!(fault["tail"].as_str().unwrap().contains("GET /readyz"), "{fault}");
    let took = begun.elapsed().as_secs();
    assert!((3..60).contains(&took), "given up after {took} s");
}

#[test]
fn without_written_stages_a_404_is_skipped_and_said() {
    let world = World::new();
    let ran = serving(&world, json!({"/docs": [200, ""]}), "").ready();
    let shown: Vec<_> = ran.status["health"]
        .as_array()
        .unwrap()
        .iter()
        .map(|stage| (stage["stage"].as_str().unwrap(), stage["skipped"] == true, stage["status"].as_u64()))
        .collect();
    let expected = [
        ("tcp", false, None),
        ("/docs", false, Some(200)),
        ("/readyz", true, Some(404)),
        ("/health/db", true, Some(404)),
    ];
    assert_eq!(shown, expected);
}

#[test]
fn an_application_that_serves_none_of_the_usual_paths_is_told_what_to_do() {
    let world = World::new();
    let ran = serving(&world, json!({}), "");
    has(&ran.failed_with("health_status")["message"], "name a path under `health`");
}

#[test]
fn an_answer_that_lacks_the_expected_field_is_shown() {
    let world = World::new();
    let answers = json!({"/health": [503, "{\"status\": \"unhealthy\", \"database\": \"disconnected\"}"]});
    let ran = serving(&world, answers, "health: [{ http: /health, json: { status: healthy } }]\n");
    let fault = ran.failed_with("health_unhealthy");
    has(&fault["message"], r#"/health answered 503 {"status": "unhealthy", "database": "disconnected"}"#);
}

#[test]
fn the_expected_fields_hold_whatever_else_the_answer_says() {
    let world = World::new();
    let answers =
        json!({"/health": [200, "{\"status\": \"healthy\", \"uptime\": 3, \"checks\": {\"db\": true}}"]});
    let health = "health: [{ http: /health, json: { status: healthy, uptime: 3 } }]\n";
    serving(&world, answers, health).is_ready();
}

#[test]
fn an_answer_without_end_is_read_no_further_than_needed() {
    let world = World::new();
    serving(&world, json!({"/docs": [200, "endless"]}), "health: [{ http: /docs }]\n").is_ready();
}

#[test]
fn a_secret_in_an_unhealthy_answer_is_masked_before_it_is_cut() {
    let world = World::new();
    // The cut at 200 bytes falls into the secret.
    let ran = serving(&world, json!({"/health": [500, "secret"]}), "health: [{ http: /health }]\n");
    let fault = ran.failed_with("health_status");
    assert!(!fault["message"].as_str().unwrap().contains("https://"), "{fault}");
}

#[test]
fn an_empty_value_is_left_out_and_a_literal_empty_one_is_kept() {
    let mut world = World::new();
    world.set_env("NOT_SET_HERE", "");
    let prints = "import os, sys; sys.exit(repr(sorted(k for k in os.environ if k.endswith('_OF_TEST'))))";
    let env = "    A_OF_TEST: { env: NOT_SET_HERE }\n    B_OF_TEST: \"\"\n    C_OF_TEST: { ssm: /test/absent, optional: true }\n    D_OF_TEST: d\n";
    let app = world.app(&format!("{env}  command: [python3, -c, {}]\n", json!(prints)));
    let ran = world.run_once(&world.config("good", &format!("database: off\n{app}")));
    assert_eq!(ran.failed_with("app_exited")["tail"], "['B_OF_TEST', 'D_OF_TEST']");
}

#[test]
fn the_sample_starts_with_an_empty_dsn_parameter_and_not_with_a_literal_empty_one() {
    let mut world = World::new();
    world.set_env("DSN", "");
    let dsn = |value: &str| world.app("").replace("{ ssm: /test/dsn, optional: true }", value);
    world.run_once(&world.config("good", &dsn("{ env: DSN }"))).is_ready();
    let ran = world.run_once(&world.config("good", &dsn("\"\"")));
    has(&ran.failed_with("app_exited")["message"], "BadDsn: Unsupported scheme");
    assert_eq!(ran.status["service"]["state"], "up", "the one before serves again");
}

#[test]
fn a_proven_application_restarts_by_itself_has_bounded_logs_and_its_limit() {
    let world = World::new();
    let app = world.app(&format!(
        "  memory: 64m\n  command: [python3, -c, {}, {}]\n",
        json!(SERVER),
        json!(json!({"/docs": [200, ""]}).to_string())
    ));
    world.run_once(&world.config("good", &format!("database: off\n{app}"))).is_ready();
    let format = "{{.HostConfig.RestartPolicy.Name}} {{.HostConfig.LogConfig.Config}} {{.HostConfig.Memory}}";
    let made = inspect(&world.containers("app")[0], format);
    assert_eq!(made, "unless-stopped map[max-file:3 max-size:10m] 67108864");
}
