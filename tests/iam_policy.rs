//! `agent iam-policy`: what a configuration needs, all of it and nothing else.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use preview_agent::aws::iam_policy::{INLINE_LIMIT, Place, instance_policy};
use preview_agent::config;
use serde_json::Value;

const SMALLEST: &str = "image: ghcr.io/acme/api:1\ndatabase: off\n";

/// Everything that needs a permission, in every form it can be written in.
const FULLEST: &str = r#"
image: 123456789012.dkr.ecr.eu-central-1.amazonaws.com/acme/api:${instance.tag.Sha}
registries:
  ghcr.io: { username: octocat, password: { ssm: "/pr/ghcr:3" } }
  210987654321.dkr.ecr.us-east-1.amazonaws.com: { username: AWS, password: { file: /run/token } }
source: { repository: acme/api, ref: main, token: { secretsmanager: "github/token:AWSCURRENT" } }
database:
  host: { ssm: "arn:aws:ssm:eu-central-1:999999999999:parameter/shared/host:2" }
  name: app
  user: { secretsmanager: pr/database, key: user }
  password: { secretsmanager: "arn:aws:secretsmanager:eu-central-1:123456789012:secret:pr/db-AbC123", key: password }
jobs:
  - { name: a, image: "123456789012.dkr.ecr.${instance.region}.amazonaws.com/tools/psql:16" }
  - { name: b, image: "210987654321.dkr.ecr.us-east-1.amazonaws.com/has/its-own-login:1" }
  - { name: c, image: "123456789012.dkr.ecr.eu-central-1.amazonaws.com/team-${instance.tag.Team}/c:1" }
migrate: { image: "555555555555.dkr.ecr.eu-west-1.amazonaws.com/acme/migrate@sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa" }
app:
  env:
    A: { ssm: plain-name }
    B: { ssm: /aws/service/global-infrastructure/current-region, optional: true }
    C: { ssm: /aws/reference/secretsmanager/written-out }
    D: ${instance.id}
report: { parameter: "/pr/${instance.tag.Pr}/${instance.region}/status" }
"#;

fn place(region: &str, account: &str) -> Place {
    Place {
        partition: "aws".to_owned(),
        region: region.to_owned(),
        account: account.to_owned(),
        kms_keys: Vec::new(),
    }
}

fn policy(text: &str, place: &Place) -> Value {
    let config = config::parse(text).unwrap_or_else(|error| panic!("{error}"));
    serde_json::to_value(instance_policy(&config, place)).unwrap()
}

fn actions(policy: &Value) -> BTreeSet<String> {
    let statements = policy["Statement"].as_array().unwrap();
    let actions = statements.iter().flat_map(|statement| statement["Action"].as_array().unwrap());
    actions.map(|action| action.as_str().unwrap().to_owned()).collect()
}

/// The resources on which this action is allowed.
fn resources(policy: &Value, action: &str) -> Vec<String> {
    let statements = policy["Statement"].as_array().unwrap().iter();
    let fitting = statements.filter(|one| one["Action"].as_array().unwrap().contains(&action.into()));
    fitting
        .flat_map(|statement| statement["Resource"].as_array().unwrap())
        .map(|resource| resource.as_str().unwrap().to_owned())
        .collect()
}

fn root(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

fn agent(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_agent")).arg("iam-policy").args(args).output().unwrap()
}

#[test]
fn every_reference_of_the_fullest_configuration_is_covered_word_for_word() {
    let policy = policy(FULLEST, &place("eu-central-1", "123456789012"));
    insta::assert_snapshot!(serde_json::to_string_pretty(&policy).unwrap());
}

#[test]
fn the_smallest_configuration_leaves_the_ssm_agent_alone() {
    let policy = policy(SMALLEST, &place("*", "*"));
    let services: BTreeSet<String> =
        actions(&policy).iter().map(|action| action.split(':').next().unwrap().to_owned()).collect();
    assert_eq!(services, BTreeSet::from(["ec2messages", "ssm", "ssmmessages"].map(str::to_owned)));
    assert!(resources(&policy, "ssm:GetParameters").is_empty());
    assert!(resources(&policy, "ssm:PutParameter").is_empty());
}

#[test]
fn no_action_is_allowed_that_nobody_uses() {
    let used = "ssm:GetParameters ssm:PutParameter secretsmanager:GetSecretValue kms:Decrypt \
                ecr:GetAuthorizationToken ecr:BatchCheckLayerAvailability ecr:BatchGetImage \
                ecr:GetDownloadUrlForLayer ssm:UpdateInstanceInformation \
                ssmmessages:CreateControlChannel ssmmessages:CreateDataChannel \
                ssmmessages:OpenControlChannel ssmmessages:OpenDataChannel \
                ec2messages:AcknowledgeMessage ec2messages:DeleteMessage ec2messages:FailMessage \
                ec2messages:GetEndpoint ec2messages:GetMessages ec2messages:SendReply";
    let used: BTreeSet<String> = used.split(' ').map(str::to_owned).collect();
    let mut place = place("eu-central-1", "123456789012");
    place.kms_keys = vec!["arn:aws:kms:eu-central-1:123456789012:key/1".to_owned()];
    let policy = policy(FULLEST, &place);
    assert_eq!(actions(&policy), used);
    // On everything only what takes no resource, or what the SSM Agent says of the instance itself.
    for action in &used {
        let everything = resources(&policy, action).contains(&"*".to_owned());
        let allowed = ["ssmmessages:", "ec2messages:"].iter().any(|service| action.starts_with(service))
            || ["ecr:GetAuthorizationToken", "ssm:UpdateInstanceInformation"].contains(&action.as_str());
        assert_eq!(everything, allowed, "{action}");
    }
}

#[test]
fn a_key_is_used_through_the_stores_only() {
    let mut place = place("cn-north-1", "123456789012");
    place.partition = "aws-cn".to_owned();
    place.kms_keys = vec!["arn:aws-cn:kms:cn-north-1:123456789012:key/1".to_owned()];
    let policy = policy("image: x\ndatabase: {url: {ssm: /u}}\n", &place);
    assert_eq!(
        resources(&policy, "ssm:GetParameters"),
        ["arn:aws-cn:ssm:cn-north-1:123456789012:parameter/u"]
    );
    let statement = policy["Statement"].as_array().unwrap().iter().find(|one| one["Sid"] == "DecryptValues");
    assert_eq!(
        statement.unwrap()["Condition"]["StringLike"]["kms:ViaService"],
        serde_json::json!(["ssm.cn-north-1.amazonaws.com.cn"])
    );
}

#[test]
fn the_policy_in_packaging_is_that_of_the_example() {
    let example = root("packaging/config.example.yaml");
    let output = agent(&["--config", example.to_str().unwrap()]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let (printed, file) =
        (String::from_utf8(output.stdout).unwrap(), root("packaging/iam/instance-policy.json"));
    if std::env::var_os("UPDATE_README").is_some() {
        std::fs::write(&file, &printed).unwrap();
    }
    assert_eq!(printed, std::fs::read_to_string(file).unwrap(), "UPDATE_README=1 writes it anew");
    let config = config::load_for_another_host(&example).unwrap();
    let size = instance_policy(&config, &place("ap-northeast-1", "123456789012")).size();
    assert!(size < INLINE_LIMIT, "{size}");
}

#[test]
fn a_policy_beyond_the_limit_is_printed_with_a_warning() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("config.yaml");
    let env: String =
        (0..200).map(|n| format!("    V{n}: {{ ssm: /a/long/name/of/a/parameter/{n} }}\n")).collect();
    std::fs::write(&file, format!("image: x\ndatabase: off\napp:\n  env:\n{env}")).unwrap();
    let output = agent(&["--config", file.to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(0));
    assert!(serde_json::from_slice::<Value>(&output.stdout).is_ok());
    assert!(String::from_utf8(output.stderr).unwrap().contains("10240 at most"));
}

#[test]
fn a_bad_configuration_ends_as_it_does_for_check() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("config.yaml");
    std::fs::write(&file, "image: 'not an image'\ndatabase: off\nnope: 1\n").unwrap();
    for config in [file.to_str().unwrap(), "/nonexistent/config.yaml"] {
        let ours = agent(&["--config", config]);
        let check =
            Command::new(env!("CARGO_BIN_EXE_agent")).args(["check", "--config", config]).output().unwrap();
        assert_eq!((ours.status.code(), &ours.stderr), (Some(78), &check.stderr));
        assert_eq!(check.status.code(), Some(78));
        assert!(ours.stdout.is_empty());
    }
}

#[test]
fn a_place_that_cannot_be_is_refused() {
    for wrong in [
        ["--region", "Frankfurt"],
        ["--account", "1234"],
        ["--partition", "*"],
        ["--kms-key", "*"],
        ["--kms-key", "arn:aws:kms:eu-central-1:123456789012:key/*"],
        ["--kms-key", "arn:aws:iam::123456789012:role/x"],
    ] {
        let output = agent(&wrong);
        assert_eq!(output.status.code(), Some(2), "{wrong:?}");
    }
}
