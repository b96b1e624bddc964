//! The CloudFormation templates: linted, created at the SSM peer's server, and
//! what came of them looked at. The peer reads less of an instance than AWS does,
//! so what the launch says is looked at in the launch template.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod ecs_service;
mod github_policy;
mod github_role;
mod judge;
#[path = "../support/mod.rs"]
mod support;

use std::io::{Read as _, Write as _};
use std::path::Path;
use std::process::Command;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use preview_agent::aws::iam_policy::{Place, instance_policy};
use preview_agent::config;
use serde_json::{Value, json};
use support::peers::peers;
use support::stack::{self, Stack, answer, network};

const REGION: &str = "us-east-1";
const ACCOUNT: &str = "123456789012";

/// A stack of the instance's template.
fn instance(parameters: &[(&str, &str)]) -> Stack {
    Stack::create(&format!("file://{}", stack::template("instance.yaml").display()), parameters)
}

/// Statements of several policies in one form: allowed pairs of action and resource, and their condition.
fn pairs(policy: &Value) -> Vec<(String, String, String)> {
    let list = |value: &Value| match value {
        Value::Array(items) => items.iter().map(|item| item.as_str().unwrap().to_owned()).collect(),
        one => vec![one.as_str().unwrap().to_owned()],
    };
    let mut pairs = Vec::new();
    for statement in policy["Statement"].as_array().unwrap() {
        assert_eq!(statement["Effect"], "Allow");
        assert!(statement["Sid"].is_string());
        for action in list(&statement["Action"]) {
            for resource in list(&statement["Resource"]) {
                let condition = statement.get("Condition").unwrap_or(&Value::Null).to_string();
                pairs.push((action.clone(), resource, condition));
            }
        }
    }
    pairs.sort();
    pairs
}

fn printed(text: &str, kms_keys: &[&str]) -> Vec<(String, String, String)> {
    let place = Place {
        partition: "aws".to_owned(),
        region: REGION.to_owned(),
        account: ACCOUNT.to_owned(),
        kms_keys: kms_keys.iter().map(|key| (*key).to_owned()).collect(),
    };
    pairs(&serde_json::to_value(instance_policy(&config::parse(text).unwrap(), &place)).unwrap())
}

fn example() -> String {
    std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("packaging/config.example.yaml"))
        .unwrap()
}

#[test]
fn the_templates_are_free_of_what_a_linter_finds() {
    let cfn_lint = Path::new(&peers().python).with_file_name("cfn-lint");
    let folder = std::fs::read_dir(stack::template("")).unwrap();
    let templates: Vec<_> = folder.map(|entry| entry.unwrap().path()).collect();
    assert!(templates.contains(&stack::template("ecs-service.yaml")));
    let output = Command::new(cfn_lint).args(templates).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
}

#[test]
fn a_stack_is_one_locked_down_instance_with_its_user_data_byte_for_byte() {
    let user_data = "#!/bin/sh\n# ünïcode, \"quotes\" and $(dollars) stay as they are\necho ok\n".repeat(60);
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    gzip.write_all(user_data.as_bytes()).unwrap();
    let parameter = STANDARD.encode(gzip.finish().unwrap());
    assert!(user_data.len() > 4096 && parameter.len() < 4096);
    let (vpc, subnets) = network();
    let stack = instance(&[
        ("PullRequest", "42"),
        ("VpcId", &vpc),
        ("SubnetId", &subnets[0]),
        ("ViewerCidr", "203.0.113.7/32"),
        ("UserData", &parameter),
    ]);

    let launch = &answer(&[
        "ec2",
        "describe-launch-template-versions",
        "--launch-template-id",
        &stack.resources["LaunchTemplate"],
    ])["LaunchTemplateVersions"][0]["LaunchTemplateData"];
    let metadata = &launch["MetadataOptions"];
    assert_eq!(metadata["HttpTokens"], "required");
    assert_eq!(metadata["HttpPutResponseHopLimit"], 1);
    assert_eq!(metadata["InstanceMetadataTags"], "enabled");
    assert_eq!(launch["InstanceInitiatedShutdownBehavior"], "terminate");
    let disk = &launch["BlockDeviceMappings"][0]["Ebs"];
    assert_eq!((&disk["Encrypted"], &disk["VolumeType"]), (&json!(true), &json!("gp3")));
    assert!(launch["IamInstanceProfile"]["Arn"].as_str().unwrap().contains("instance-profile/"));
    assert_eq!(launch.get("KeyName"), None);
    let mut unpacked = String::new();
    let stored = STANDARD.decode(launch["UserData"].as_str().unwrap()).unwrap();
    flate2::read::GzDecoder::new(stored.as_slice()).read_to_string(&mut unpacked).unwrap();
    assert_eq!(unpacked, user_data);

    let group = &stack.resources["SecurityGroup"];
    assert_eq!(launch["NetworkInterfaces"][0]["Groups"], json!([group]));
    let group = &answer(&["ec2", "describe-security-groups", "--group-ids", group])["SecurityGroups"][0];
    let rules = group["IpPermissions"].as_array().unwrap();
    assert_eq!(rules.len(), 1, "{group}");
    assert_eq!((&rules[0]["FromPort"], &rules[0]["ToPort"]), (&json!(8000), &json!(8000)));
    assert_eq!(rules[0]["IpRanges"][0]["CidrIp"], "203.0.113.7/32");
    assert_eq!(rules[0]["IpRanges"].as_array().unwrap().len(), 1);

    let found = answer(&["ec2", "describe-instances", "--instance-ids", &stack.resources["Instance"]]);
    let instance = &found["Reservations"][0]["Instances"][0];
    assert_eq!(instance["State"]["Name"], "running");
    let tags = instance["Tags"].as_array().unwrap();
    for (key, value) in
        [("Purpose", "pr-preview-singleton"), ("PullRequest", "42"), ("Name", "pr-preview-42")]
    {
        assert!(tags.contains(&json!({"Key": key, "Value": value})), "{key}: {tags:?}");
    }
    assert_eq!(pairs(&stack.policy("Role", "preview-agent")), printed(&example(), &[]));
}

#[test]
fn with_a_secret_a_key_and_ecr_the_role_is_what_iam_policy_prints() {
    let (vpc, subnets) = network();
    let key = "arn:aws:kms:us-east-1:123456789012:key/0b2c6c5e-0000-4000-8000-000000000000";
    let stack = instance(&[
        ("PullRequest", "7"),
        ("ParameterPath", "/previews/acme"),
        ("SecretName", "previews/database"),
        ("KmsKeyArn", key),
        ("EcrRepositoryArn", "arn:aws:ecr:us-east-1:123456789012:repository/acme/api"),
        ("VpcId", &vpc),
        ("SubnetId", &subnets[0]),
        ("ViewerCidr", "203.0.113.7/32"),
        ("UserData", "aGVsbG8K"),
    ]);
    let config = "image: 123456789012.dkr.ecr.us-east-1.amazonaws.com/acme/api:1\n\
        database: { host: db, name: n, user: u, password: { secretsmanager: previews/database, key: password } }\n\
        source: { repository: acme/api, ref: main, token: { ssm: /previews/acme/github-token } }\n\
        app:\n  env:\n    A: { ssm: /previews/acme/database-url }\n    B: { ssm: /previews/acme/ghcr-token }\n    \
        C: { ssm: /previews/acme/sentry-dsn }\n\
        report: { parameter: /previews/acme/7/status }\n";
    assert_eq!(pairs(&stack.policy("Role", "preview-agent")), printed(config, &[key]));
}
