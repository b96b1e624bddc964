//! `preview check`: what would fail later is said now, and nothing is changed.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::exit)]

mod support;

use serde_json::Value;
use support::account::{DB_GROUP, GROUP};
use support::calls::Trouble;
use support::ec2::Instance;
use support::github::{BASE, HEAD};
use support::status::{document, says};
use support::world::{SETTINGS, World, act_as_preview};

#[test]
fn preview() {
    act_as_preview();
}

/// These settings in base and head.
fn with(settings: &str) -> World {
    let world = World::new();
    for commit in [BASE, HEAD] {
        world.github.file(commit, settings);
    }
    world
}

#[test]
fn a_database_url_that_fails_on_the_instance_is_refused_before_a_launch() {
    for (url, words) in [
        ("postgresql://app:canary@of@db/app", "unencoded `@`"),
        ("postgresql://app:canary/of@db/app", "unencoded `/`"),
        ("postgres://app:canary@db/app", "write postgresql://"),
        ("postgresq://app:canary@db/app", "postgresql://"),
        ("postgresq+psycopg://app:canary@db:5432/app", "postgresql://"),
        ("postgresql://app:canary@db/app?sslmode=canary", "verify-full"),
        ("postgresql://app:canary@localhost/app", "loopback"),
        ("canary", "postgresql+psycopg://"),
    ] {
        let mut world = World::new();
        world.set("STG_DATABASE_URL", url);
        world.run(&["check", "7"]).ended(78).says("STG_DATABASE_URL").says(words);
        world.run(&["up", "7"]).ended(78).says("STG_DATABASE_URL").says(words);
        assert_eq!((world.account.count("RunInstances"), world.account.parameters().len()), (0, 0));
        let [comment] = world.github.comments(7).try_into().unwrap();
        assert!(comment.contains("STG_DATABASE_URL") && !comment.contains("canary"), "{comment}");
    }
}

#[test]
fn a_database_url_that_the_agent_takes_is_taken() {
    let mut world = World::new();
    for url in [
        "postgresql+psycopg://app:canary%40of@db:6432/app?sslmode=verify-full&sslrootcert=/etc/ssl/ca.pem",
        "postgresql+asyncpg://app:canary@db/app?ssl=require",
        "mysql+pymysql://app:canary@db/app?sslmode=any",
        "clickhouse://app:canary@db:9000/app",
    ] {
        world.set("STG_DATABASE_URL", url);
        world.run(&["check", "7"]).ended(0);
    }
}

#[test]
fn other_secrets_may_look_like_anything() {
    let mut world = with(&SETTINGS.replace("STG_DATABASE_URL", "STG_DATABASE_URL, key: MY_KEY"));
    world.set("MY_KEY", "postgresq://canary@@");
    world.run(&["check", "7"]).ended(0);
}

#[test]
fn viewers_of_a_port_on_the_loopback_address_are_said_to_be_shut_out() {
    for ip in ["127.0.0.1", "[::1]"] {
        let world = with(
            &SETTINGS.replace("  database", &format!("  app: {{ publish: \"{ip}:8000\" }}\n  database")),
        );
        world.account.on_launch(|id, inner| says(inner, 7, &document(id, 7, "ready")));
        world.run(&["check", "7"]).ended(0).says("nobody outside the instance");
        world.run(&["up", "7"]).ended(0);
        let [comment] = world.github.comments(7).try_into().unwrap();
        assert!(!comment.contains("203.0.113.0/24") && comment.contains("app.publish"), "{comment}");
    }
    World::new().run(&["check", "7"]).ended(0).says_not("nobody outside the instance");
}

#[test]
fn an_image_parameter_of_ones_own_is_named_with_what_its_permission_takes() {
    let world = with(&format!("instance: {{ ami: \"resolve:ssm:/my/own/ami\" }}\n{SETTINGS}"));
    let arn = "arn:aws:ssm:eu-central-1:123456789012:parameter/my/own/ami";
    let message = "User: arn:aws:sts::123456789012:assumed-role/previews/x is not authorized to perform: ssm:GetParameter \
                   on resource: arn:aws:ssm:eu-central-1:123456789012:parameter/my/own/ami because no policy allows it";
    world.account.trouble("GetParameter", 1, Trouble::Error(400, "AccessDeniedException", message));
    world
        .run(&["check", "7"])
        .ended(77)
        .says(&format!("ssm:GetParameter is denied on {arn}"))
        .says("ImageParameter=/my/own/ami")
        .says("--image-parameter /my/own/ami");
    let ran = world.run(&["iam-policy", "--image-parameter", "/my/own/ami"]);
    let policy: Value = serde_json::from_str(&ran.ended(0).out).unwrap();
    let own: Vec<&Value> = policy["Statement"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|statement| statement["Resource"].to_string().contains("parameter/my/own/ami\""))
        .collect();
    assert_eq!((own.len(), &own[0]["Action"]), (1, &serde_json::json!(["ssm:GetParameter"])));
    let sid = own[0]["Sid"].as_str().unwrap();
    assert!(
        include_str!("../../packaging/cloudformation/github-role.yaml").contains(&format!("Sid: {sid}\n"))
    );
    world.run(&["iam-policy"]).ended(0).says_not(sid);
    world.run(&["iam-policy", "--image-parameter", "my own"]).ended(2);
}

/// Denies these actions, as AWS does; `?` stands for the rehearsal.
fn deny(world: &World, actions: &[&str]) {
    for action in actions {
        let (status, code) = if action.starts_with("ssm:") {
            (400, "AccessDeniedException")
        } else {
            (403, "UnauthorizedOperation")
        };
        let message = "You are not authorized to perform this operation.";
        world.account.trouble(
            action.split(':').next_back().unwrap(),
            9,
            Trouble::Error(status, code, message),
        );
    }
}

#[test]
fn every_permission_that_can_be_asked_for_is_asked_for_at_once_and_nothing_is_changed() {
    let mut world = World::new();
    world.set("DB_SG_ID", DB_GROUP);
    let tags = [("Purpose", "pr-preview-singleton"), ("Repository", "acme/api"), ("PullRequest", "7")];
    world.account.lock().instances.push(Instance::running("i-7", &tags));
    let denied = [
        "ec2:RunInstances?",
        "ec2:AuthorizeSecurityGroupIngress?",
        "ec2:RevokeSecurityGroupIngress?",
        "ec2:TerminateInstances?",
        "ec2:GetConsoleOutput",
        "ec2:DescribeSecurityGroupRules",
        "ssm:DescribeParameters",
        "ssm:GetParametersByPath",
        "ssm:GetCommandInvocation",
    ];
    world.run(&["check", "7"]).ended(0).says("ssm:PutParameter").says_not("denied");
    deny(&world, &denied);
    let ran = world.run(&["check", "7"]);
    ran.ended(77).says(&format!("ec2:AuthorizeSecurityGroupIngress is denied on {GROUP}"));
    ran.says(&format!("ec2:RevokeSecurityGroupIngress is denied on {DB_GROUP}"));
    for action in denied {
        ran.says(&format!("{} is denied", action.trim_end_matches('?')));
    }
    // What cannot be asked for is named.
    for action in ["ssm:PutParameter", "ssm:AddTagsToResource", "ssm:DeleteParameters", "ssm:SendCommand"] {
        ran.says(action);
    }
    assert_eq!((world.account.alive().len(), world.account.rules(GROUP)), (1, vec![]));
    let inner = world.account.lock();
    let changes = ["Run", "Authorize", "Revoke", "Terminate", "Put", "Delete", "Add", "Send", "Create"];
    let changes: Vec<_> =
        inner.seen.iter().filter(|seen| changes.iter().any(|it| seen.action.starts_with(it))).collect();
    assert!(changes.len() > 8 && changes.iter().all(|seen| seen.fields["DryRun"] == "true"), "{changes:?}");
}

#[test]
fn an_instance_that_cannot_be_found_is_asked_nothing_and_said_so() {
    let world = World::new();
    world.run(&["check", "7"]).ended(0).says("ec2:TerminateInstances").says("ec2:GetConsoleOutput");
    deny(&world, &["ec2:DescribeInstances"]);
    world
        .run(&["check", "7"])
        .ended(77)
        .says("ec2:DescribeInstances is denied")
        .says("ec2:TerminateInstances");
    assert_eq!(world.account.count("TerminateInstances"), 0);
}

#[test]
fn a_secret_that_the_file_itself_holds_is_refused_before_a_launch() {
    let world = World::new();
    for (agent, field) in [
        ("database: { url: 'postgresql://app:canary-in-the-file@db/app' }", "agent.database.url"),
        (
            "database: { host: db, name: app, user: app, password: canary-in-the-file }",
            "agent.database.password",
        ),
        (
            "database: { url: { ssm: /x } }\n  registries: { ghcr.io: { username: a, password: canary-in-the-file } }",
            "agent.registries.ghcr.io.password",
        ),
    ] {
        let settings = format!("agent:\n  image: ghcr.io/acme/api:v1\n  {agent}\n");
        world.github.file(BASE, &settings);
        world.github.file(HEAD, &settings);
        world.run(&["check", "7"]).ended(78).says(field).says_not("canary-in-the-file");
        world.run(&["up", "7"]).ended(78).says_not("canary-in-the-file");
    }
    assert_eq!(world.account.count("RunInstances"), 0);
}

#[test]
fn a_line_of_more_secrets_without_a_name_is_refused_by_its_number() {
    let mut world = World::new();
    world.set("PREVIEW_SECRETS", "A=1\n\nEXTRA: canary-of-a-line\n");
    world.run(&["check", "7"]).ended(78).says("PREVIEW_SECRETS, line 3").says_not("canary-of-a-line");
}
