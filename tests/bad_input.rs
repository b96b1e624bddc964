//! What cannot be used is said in a clear line of its own, and nothing is touched.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use std::fs;

use serde_json::Value;
use support::agent::{Ran, has};
use support::world::World;

/// What every configuration here begins with, and what would be fine by itself.
const GOOD: &str = "image: ghcr.io/acme/api:1\ndatabase: off\n";

/// The file is refused with this line by `check` and by `run`, and nothing is touched.
#[track_caller]
fn refused(config: &str, line: &str) {
    let world = World::new();
    world.write_config(config);
    let path = world.config_path();
    let path = path.to_str().unwrap();
    let expected = format!("{path}:{line}");

    let checked = world.command(&["check", "--config", path]).output().unwrap();
    let stderr = String::from_utf8(checked.stderr).unwrap();
    assert_eq!((checked.status.code(), stderr.trim_end()), (Some(78), expected.as_str()));
    assert!(!world.path("state").exists() && !world.path("run").exists(), "`check` leaves traces");

    let ran = world.run_once(config);
    assert_eq!(ran.code, Some(78), "{}", ran.stderr);
    assert!(ran.stderr.trim_end().ends_with(&expected), "{}", ran.stderr);
    let fault = &ran.status["fault"];
    assert_eq!((&fault["code"], &ran.status["run"]["outcome"]), (&"config_invalid".into(), &"failed".into()));
    assert!(fault["message"].as_str().unwrap().ends_with(line), "{fault}");
    untouched(&world);
}

/// Nothing of the agent's is in the engine, and its state says nothing but that it was started.
#[track_caller]
fn untouched(world: &World) {
    assert!(world.in_docker().is_empty(), "{:?}", world.in_docker());
    let state: Value = serde_json::from_slice(&fs::read(world.path("state/state.json")).unwrap()).unwrap();
    let nothing_else = serde_json::json!({"sequence": state["sequence"], "last_good": null, "tries": {}});
    assert_eq!(state, nothing_else);
    let mut files: Vec<_> =
        fs::read_dir(world.path("state")).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    files.sort_unstable();
    assert_eq!(files, ["lock", "spec.key", "state.json"]);
    assert!(world.imds.seen().is_empty() || world.status().unwrap()["fault"]["phase"] == "resolve");
}

/// A run with what cannot be resolved fails with this fault before anything is touched.
#[track_caller]
fn unresolved(world: &World, env: &str, code: &str) -> Ran {
    let app = world.app(&format!("    EXTRA: {env}\n"));
    let ran = world.run_once(&format!("{GOOD}report: {{ parameter: /test/status }}\n{app}"));
    assert_eq!(ran.failed_with(code)["phase"], "resolve");
    untouched(world);
    ran
}

#[test]
fn an_empty_file_is_refused() {
    refused("", "1:1: the file is empty; `image` and `database` are the least it says");
}

#[test]
fn what_is_not_yaml_is_refused() {
    refused(
        "image: [ghcr.io/acme/api:1\ndatabase: off\n",
        "2:9: not valid YAML: illegal placement of ':' indicator",
    );
}

#[test]
fn an_unknown_key_is_refused() {
    let known = "version, deployment, image, registries, source, database, jobs, migrate, app, health, deadline, \
                 deadlines, tries, report, sidecars";
    refused(&format!("{GOOD}imgae: x\n"), &format!("3:1: unknown key `imgae`; known here: {known}"));
}

#[test]
fn a_wrong_type_is_refused() {
    refused(
        &format!("{GOOD}app: {{ port: [8000] }}\n"),
        "3:14: app.port: expected a port from 1 to 65535, found a list",
    );
}

#[test]
fn a_missing_image_is_refused() {
    refused("database: off\n", "1:1: `image` is missing: the app's image, such as ghcr.io/acme/api:1.2");
}

#[test]
fn an_image_with_spaces_is_refused() {
    refused(
        "image: ghcr.io/acme/my api:1\ndatabase: off\n",
        "1:8: image: an image name has no spaces or line breaks",
    );
}

#[test]
fn a_database_url_with_an_unencoded_at_is_refused() {
    let config = "image: ghcr.io/acme/api:1\ndatabase: { url: \"postgresql://app:p@ss@db.example/app\" }\n";
    refused(config, "2:18: database.url: the user or password contains an unencoded `@`; write it as %40");
}

#[test]
fn an_unknown_value_source_is_refused() {
    let line = "3:22: app.env.KEY: unknown value source; known here: env, file, credential, ssm, secretsmanager, key, \
                optional";
    refused(&format!("{GOOD}app: {{ env: {{ KEY: {{ vault: secret/key }} }} }}\n"), line);
}

#[test]
fn a_parameter_name_that_aws_would_refuse_is_refused() {
    refused(
        &format!("{GOOD}report: {{ parameter: /aws/status }}\n"),
        "3:22: report.parameter: an SSM parameter's name does not begin with aws or ssm",
    );
}

#[test]
fn a_file_of_a_job_that_is_not_there_is_refused() {
    let jobs = "jobs: [{ name: seed, command: [sh], files: { /seed: /no/such/seed } }]\n";
    refused(&format!("{GOOD}{jobs}"), "3:53: jobs[0].files./seed: no such file on this host: /no/such/seed");
}

#[test]
fn an_upper_case_image_is_folded() {
    let world = World::new();
    let config = world.config("good", "").replace("acme/tasks-api", "ACME/Tasks-API");
    world.write_config(&config);
    let checked =
        world.command(&["check", "--config", world.config_path().to_str().unwrap()]).output().unwrap();
    assert!(String::from_utf8(checked.stdout).unwrap().contains("/acme/tasks-api:good"));
    let ran = world.run_once(&config).ready();
    assert!(ran.status["image"]["requested"].as_str().unwrap().ends_with("/acme/tasks-api:good"));
}

#[test]
fn a_file_that_is_not_there_is_refused() {
    let world = World::new();
    let ran = world.run_args(&["run", "--once", "--config", "/no/such/config.yaml"]);
    assert_eq!(ran.code, Some(78));
    assert!(ran.stderr.contains("/no/such/config.yaml: no such file"), "{}", ran.stderr);
    untouched(&world);
}

#[test]
fn a_missing_parameter_fails_before_anything_is_touched() {
    let ran = unresolved(&World::new(), "{ ssm: /test/none }", "parameter_missing");
    has(&ran.status["fault"]["message"], "app.env.EXTRA: there is no parameter /test/none");
}

#[test]
fn a_denied_parameter_is_named_and_does_not_hide_the_others() {
    let world = World::new();
    world.ssm.set("/test/denied", "a-value-that-is-denied");
    world.ssm.deny("/test/denied");
    let env = "{ ssm: /test/denied }\n    OTHER: { ssm: /test/none }";
    let ran = unresolved(&world, env, "parameter_denied");
    has(&ran.status["fault"]["message"], "/test/denied");
    has(&ran.status["fault"]["message"], "app.env.OTHER: there is no parameter /test/none");
    assert_eq!(ran.status["fault"]["class"], "iam");
}

#[test]
fn a_missing_credential_file_fails_before_anything_is_touched() {
    let world = World::new();
    let ran = unresolved(&world, "{ file: /no/such/secret }", "credential_missing");
    has(&ran.status["fault"]["message"], "app.env.EXTRA: /no/such/secret: No such file");
    let ran = unresolved(&world, "{ credential: token }", "credential_missing");
    has(&ran.status["fault"]["message"], "token");
}

#[test]
fn a_secret_without_the_field_fails_before_anything_is_touched() {
    let world = World::new();
    world.ssm.set_secret("prod/api", r#"{"user": "app"}"#);
    let ran = unresolved(&world, "{ secretsmanager: prod/api, key: password }", "secret_field_missing");
    has(&ran.status["fault"]["message"], "has no field password");
}

#[test]
fn a_resolved_database_url_with_an_unencoded_at_fails_before_anything_is_touched() {
    let mut world = World::new();
    world.secret("/test/url", "postgresql://app:hunter2@hunter3@db.example/app");
    let ran = world.run_once("image: ghcr.io/acme/api:1\ndatabase: { url: { ssm: /test/url } }\n");
    assert_eq!(ran.failed_with("database_url_invalid")["phase"], "resolve");
    assert!(!ran.stderr.contains("hunter"), "{}", ran.stderr);
    untouched(&world);
}
