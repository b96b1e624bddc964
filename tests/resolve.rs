//! Values are fetched from where they live, by the real binary: what is
//! missing is all named at once, and nothing is asked that is not needed.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use support::agent::Ran;
use support::docker::{FakeDocker, refusal};
use support::engine::inspect;
use support::imds::{ACCOUNT, REGION};
use support::world::World;

/// An image nobody serves, tried once: a run with it ends in the image phase,
/// right after everything was resolved.
const NOWHERE: &str = "127.0.0.1:9/acme/api:1";

fn config(world: &World, image: &str, env: &[(&str, &str)], more: &str) -> String {
    let env: String = env.iter().map(|(name, value)| format!("    {name}: {value}\n")).collect();
    let env = if env.is_empty() { env } else { format!("  env:\n{env}") };
    format!(
        "image: {image}\ndatabase: off\nmigrate: off\ntries: {{ pull: 1 }}\n\
         app:\n  publish: \"127.0.0.1:{}\"\n{env}{more}\n",
        world.port
    )
}

/// Everything was resolved, and only then the image could not be had.
fn assert_resolved(ran: &Ran) {
    assert_eq!(ran.phase("resolve"), "done", "{}", ran.stderr);
    assert_eq!(ran.status["fault"]["code"], "registry_unreachable", "{}", ran.stderr);
}

fn notes(ran: &Ran) -> String {
    ran.status["notes"].to_string()
}

/// Keys of a person instead of a role, and a region, as outside EC2.
fn outside_ec2(world: &mut World) {
    world.set_env("AWS_EC2_METADATA_DISABLED", "true");
    world.set_env("AWS_ACCESS_KEY_ID", "AKIAOFAPERSON");
    world.set_env("AWS_SECRET_ACCESS_KEY", "secret-key-of-a-person");
    world.set_env("AWS_REGION", "us-west-2");
}

#[test]
fn all_that_is_missing_or_denied_is_named_at_once() {
    let world = World::new();
    world.ssm.set("/test/denied", "denied-to-the-role");
    world.ssm.deny("/test/denied");
    world.ssm.set_secret("test/json", "{\"user\": \"app\"}");
    let env = [
        ("ABSENT", "{ ssm: /test/absent }"),
        ("DENIED", "{ ssm: /test/denied }"),
        ("FIELD", "{ secretsmanager: test/json, key: password }"),
        ("VARIABLE", "{ env: NO_SUCH_VARIABLE }"),
        ("FILE", "{ file: /nowhere/secret }"),
        ("CREDENTIAL", "{ credential: token }"),
        ("MAYBE", "{ ssm: /test/absent, optional: true }"),
        ("GOOD", "{ ssm: /test/dsn }"),
    ];
    let ran = world.run_once(&config(&world, NOWHERE, &env, ""));
    assert_eq!(ran.code, Some(1), "{}", ran.stderr);
    assert_eq!(ran.status["fault"]["phase"], "resolve");
    let message = ran.status["fault"]["message"].as_str().unwrap();
    for name in ["ABSENT", "DENIED", "FIELD", "VARIABLE", "FILE", "CREDENTIAL"] {
        assert!(message.contains(&format!("app.env.{name}")), "no {name} in {message}");
    }
    for name in ["MAYBE", "GOOD"] {
        assert!(!message.contains(name), "{name} in {message}");
    }
    assert!(message.contains("ssm:GetParameter") && message.contains("/test/denied"), "{message}");
    assert!(world.containers("app").is_empty());
}

#[test]
fn what_is_missing_has_the_code_of_its_kind() {
    let world = World::new();
    world.ssm.set("/test/denied", "denied-to-the-role");
    world.ssm.deny("/test/denied");
    world.ssm.set_secret("test/text", "no json");
    for (value, code) in [
        ("{ ssm: /test/absent }", "parameter_missing"),
        ("{ ssm: /test/denied }", "parameter_denied"),
        ("{ secretsmanager: test/absent }", "parameter_missing"),
        ("{ secretsmanager: test/text, key: password }", "secret_field_missing"),
        ("{ env: NO_SUCH_VARIABLE }", "credential_missing"),
        ("{ file: /nowhere/secret }", "credential_missing"),
        // Absence may be allowed, a denial is none.
        ("{ ssm: /test/denied, optional: true }", "parameter_denied"),
    ] {
        let ran = world.run_once(&config(&world, NOWHERE, &[("VALUE", value)], ""));
        assert_eq!(ran.status["fault"]["code"], code, "{value}: {}", ran.stderr);
    }
}

#[test]
fn values_of_every_source_reach_the_application_as_they_are() {
    let mut world = World::new();
    let given = world.path("given");
    std::fs::create_dir(&given).unwrap();
    std::fs::write(given.join("token"), "from-a-credential\n").unwrap();
    world.set_env("CREDENTIALS_DIRECTORY", given.to_str().unwrap());
    world.set_env("GIVEN", "from-the-environment");
    world.imds.set_tag("pr", "42");
    world.ssm.set_secret("test/json", "{\"n\": 5432, \"s\": \"from a \\\"secret\\\"\"}");
    world.ssm.set("/test/empty", "");
    world.ssm.remove("/test/dsn");
    let app = format!(
        "{}    LITERAL: \"${{instance.id}} in ${{instance.region}}, pr ${{instance.tag.pr}}\"\n    \
         KEPT: \"\"\n    EMPTY: {{ ssm: /test/empty }}\n    CREDENTIAL: {{ credential: token }}\n    \
         VARIABLE: {{ env: GIVEN }}\n    NUMBER: {{ secretsmanager: test/json, key: n }}\n    \
         TEXT: {{ secretsmanager: test/json, key: s }}\n",
        world.app("")
    );
    world.run_once(&world.config("good", &app)).is_ready();
    let container = world.containers("app").remove(0);
    let env = inspect(&container, "{{json .Config.Env}}");
    let env: Vec<String> = serde_json::from_str(&env).unwrap();
    let value = |name: &str| env.iter().find_map(|pair| pair.strip_prefix(&format!("{name}=")));
    assert_eq!(value("LITERAL"), Some("i-0abc123def4567890 in eu-central-1, pr 42"));
    assert_eq!(value("KEPT"), Some(""));
    assert_eq!(value("EMPTY"), None);
    assert_eq!(value("SENTRY_DSN"), None);
    assert_eq!(value("CREDENTIAL"), Some("from-a-credential"));
    assert_eq!(value("VARIABLE"), Some("from-the-environment"));
    assert_eq!(value("NUMBER"), Some("5432"));
    assert_eq!(value("TEXT"), Some("from a \"secret\""));
    // The peers' password has every character that a URL reserves.
    let url = url::Url::parse(value("DATABASE_URL").unwrap()).unwrap();
    let password = percent_encoding::percent_decode_str(url.password().unwrap()).decode_utf8().unwrap();
    assert_eq!(password, support::peers::peers().postgres_password);
    assert_eq!(url.path(), format!("/{}", world.database));
}

/// An engine that refuses every pull, and where `DOCKER_HOST` finds it.
fn refusing(world: &mut World) -> FakeDocker {
    let fake = FakeDocker::start(|_, path| {
        path.starts_with("/images/create").then(|| refusal(500, "no basic auth credentials"))
    });
    world.set_env("DOCKER_HOST", &fake.host());
    fake
}

fn ecr_image() -> String {
    format!("{ACCOUNT}.dkr.ecr.{REGION}.amazonaws.com/api:1")
}

#[test]
fn an_ecr_image_is_pulled_with_the_instances_role_and_nothing_is_written() {
    let mut world = World::new();
    let fake = refusing(&mut world);
    world.ssm.set_ecr_password("ecr/token+of-the-role");
    world.secret("/test/unused", "ecr/token+of-the-role");
    let home = world.path("home");
    std::fs::create_dir(&home).unwrap();
    world.set_env("HOME", home.to_str().unwrap());
    let ran = world.run_once(&config(&world, &ecr_image(), &[], ""));
    assert_eq!(ran.status["fault"]["code"], "registry_denied", "{}", ran.stderr);
    let logins = fake.logins();
    let login = logins[0].as_ref().unwrap();
    assert_eq!(login["username"], "AWS");
    assert_eq!(login["password"], "ecr/token+of-the-role");
    assert_eq!(login["serveraddress"], format!("{ACCOUNT}.dkr.ecr.{REGION}.amazonaws.com"));
    assert_eq!(std::fs::read_dir(&home).unwrap().count(), 0);
}

#[test]
fn a_role_without_access_to_ecr_is_told_with_the_action() {
    let mut world = World::new();
    let fake = refusing(&mut world);
    let ran = world.run_once(&config(&world, &ecr_image(), &[], ""));
    assert_eq!(ran.status["fault"]["code"], "registry_denied", "{}", ran.stderr);
    assert!(ran.status["fault"]["message"].as_str().unwrap().contains("ecr:GetAuthorizationToken"));
    assert!(fake.logins().is_empty());
}

#[test]
fn a_metadata_service_in_trouble_matters_only_where_it_is_needed() {
    type Trouble = fn(&mut World);
    let troubles: [(Trouble, &str, &str); 3] = [
        (|world| world.imds.forbid(), "imds_forbidden", "403"),
        (|world| world.imds.lose_tokens(), "imds_unreachable", "hop limit"),
        (
            |world| world.set_env("AWS_EC2_METADATA_SERVICE_ENDPOINT", "http://127.0.0.1:9"),
            "imds_unreachable",
            "127.0.0.1:9",
        ),
    ];
    for (trouble, code, words) in troubles {
        let mut world = World::new();
        trouble(&mut world);
        let needed = world.run_once(&config(&world, NOWHERE, &[("ID", "${instance.id}")], ""));
        let fault = &needed.status["fault"];
        assert_eq!(fault["code"], code, "{}", needed.stderr);
        let message = fault["message"].as_str().unwrap();
        assert!(message.contains("app.env.ID") && message.contains(words), "{message}");
        let unneeded = world.run_once(&config(&world, NOWHERE, &[("ID", "none")], ""));
        assert_resolved(&unneeded);
    }
}

#[test]
fn a_region_nobody_tells_is_the_metadata_services_fault() {
    let world = World::new();
    world.imds.forbid();
    let ran = world.run_once(&config(&world, NOWHERE, &[("DSN", "{ ssm: /test/dsn }")], ""));
    assert_eq!(ran.status["fault"]["code"], "imds_forbidden", "{}", ran.stderr);
    assert!(world.ssm.calls().is_empty());
}

#[test]
fn outside_ec2_an_application_that_asks_for_nothing_runs() {
    let mut world = World::new();
    world.set_env("AWS_EC2_METADATA_DISABLED", "true");
    world.set_env("PASSWORD", &support::peers::peers().postgres_password);
    world.set_env("REGISTRY_PASSWORD", &support::peers::peers().registry_password);
    let database = world.database_block().replace("ssm: /test/database-password", "env: PASSWORD");
    let app = format!("app:\n  publish: \"127.0.0.1:{}\"\n", world.port);
    let config = world
        .config("good", &format!("{database}{app}"))
        .replace("ssm: /test/registry-password", "env: REGISTRY_PASSWORD")
        .replace("report: { parameter: /test/status }\n", "");
    world.run_once(&config).is_ready();
    assert!(world.imds.seen().is_empty());
    assert!(world.ssm.calls().is_empty());
}

#[test]
fn outside_ec2_region_and_keys_come_from_the_environment() {
    let mut world = World::new();
    outside_ec2(&mut world);
    let ran = world.run_once(&config(&world, NOWHERE, &[("DSN", "{ ssm: /test/dsn }")], ""));
    assert_resolved(&ran);
    let call = &world.ssm.calls()[0];
    assert_eq!((call.region.as_str(), call.access_key.as_str()), ("us-west-2", "AKIAOFAPERSON"));
}

#[test]
fn a_status_parameter_that_cannot_be_named_does_not_fail_the_run() {
    let mut world = World::new();
    outside_ec2(&mut world);
    let more = "report: { parameter: \"/test/${instance.id}/status\" }\n";
    let ran = world.run_once(&config(&world, NOWHERE, &[], more));
    assert_resolved(&ran);
    assert!(notes(&ran).contains("no status parameter"), "{}", notes(&ran));
}

#[test]
fn an_instance_tag_stands_where_it_is_named_and_an_absent_one_is_told() {
    let world = World::new();
    world.imds.set_tag("commit", "3f2a9c1");
    let ran = world.run_once(&config(&world, "127.0.0.1:9/acme/api:${instance.tag.commit}", &[], ""));
    assert_resolved(&ran);
    assert_eq!(ran.status["image"]["requested"], "127.0.0.1:9/acme/api:3f2a9c1");
    let ran = world.run_once(&config(&world, "127.0.0.1:9/acme/api:${instance.tag.absent}", &[], ""));
    let message = ran.status["fault"]["message"].as_str().unwrap();
    assert!(message.contains("image:") && message.contains("absent"), "{message}");
}

#[test]
fn an_empty_registry_password_means_anonymous_and_a_short_secret_is_warned_about() {
    let mut world = World::new();
    let fake = refusing(&mut world);
    world.ssm.set("/test/empty", "");
    world.ssm.set("/test/short", "abc");
    let more = "registries:\n  ghcr.io: { username: octocat, password: { ssm: /test/empty } }\n";
    let env = [("SHORT", "{ ssm: /test/short }")];
    let ran = world.run_once(&config(&world, "ghcr.io/acme/api:1", &env, more));
    assert_eq!(fake.logins(), [None], "{}", ran.stderr);
    assert!(notes(&ran).contains("ghcr.io: no user name or password, so anonymous"), "{}", notes(&ran));
    assert!(notes(&ran).contains("app.env.SHORT is shorter than 6 characters"), "{}", notes(&ran));
}
