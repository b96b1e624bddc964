//! The CloudFormation template: linted, created at the SSM peer's server, and
//! what came of it looked at. The peer reads less of an instance than AWS does,
//! so what the launch says is looked at in the launch template.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use std::collections::BTreeMap;
use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::Command;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use preview_agent::aws::iam_policy::{Place, instance_policy};
use preview_agent::config;
use serde_json::{Value, json};
use support::peers::{aws, peers};

const REGION: &str = "us-east-1";
const ACCOUNT: &str = "123456789012";

fn template() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("packaging/cloudformation/instance.yaml")
}

/// What the `aws` client answers.
fn answer(args: &[&str]) -> Value {
    let output = aws(args).output().unwrap();
    assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap_or(Value::Null)
}

/// A stack of this test, deleted when dropped.
struct Stack {
    name: String,
    resources: BTreeMap<String, String>,
}

impl Stack {
    fn create(parameters: &[(&str, &str)]) -> Self {
        let name = format!("test-{:08x}", fastrand::u32(..));
        let body = format!("file://{}", template().display());
        let given: Vec<Value> = parameters
            .iter()
            .map(|(key, value)| json!({"ParameterKey": key, "ParameterValue": value}))
            .collect();
        let given = json!(given).to_string();
        let mut stack = Self { name, resources: BTreeMap::new() };
        let create =
            ["cloudformation", "create-stack", "--stack-name", &stack.name, "--template-body", &body];
        answer(&[create.as_slice(), &["--capabilities", "CAPABILITY_IAM", "--parameters", &given]].concat());
        let made = answer(&["cloudformation", "describe-stack-resources", "--stack-name", &stack.name]);
        for resource in made["StackResources"].as_array().unwrap() {
            let text = |key: &str| resource[key].as_str().unwrap_or_default().to_owned();
            stack.resources.insert(text("LogicalResourceId"), text("PhysicalResourceId"));
        }
        stack
    }

    /// The role's policy. The peer hands it out as Python prints it, with holes for what
    /// `AWS::NoValue` takes away.
    fn policy(&self) -> Value {
        let role = &self.resources["Role"];
        let stored =
            answer(&["iam", "get-role-policy", "--role-name", role, "--policy-name", "preview-agent"]);
        let convert = "import ast, json, sys; print(json.dumps(ast.literal_eval(sys.argv[1])))";
        let stored = stored["PolicyDocument"].as_str().unwrap().to_owned();
        let output = Command::new(&peers().python).args(["-c", convert, &stored]).output().unwrap();
        let mut policy: Value = serde_json::from_slice(&output.stdout).unwrap();
        policy["Statement"].as_array_mut().unwrap().retain(|statement| !statement.is_null());
        policy
    }
}

impl Drop for Stack {
    fn drop(&mut self) {
        aws(&["cloudformation", "delete-stack", "--stack-name", &self.name]).output().ok();
    }
}

/// A VPC's id and that of one of its subnets.
fn network() -> (String, String) {
    let subnets = answer(&["ec2", "describe-subnets", "--filters", "Name=default-for-az,Values=true"]);
    let text = |key: &str| subnets["Subnets"][0][key].as_str().unwrap().to_owned();
    (text("VpcId"), text("SubnetId"))
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
fn the_template_is_free_of_what_a_linter_finds() {
    let cfn_lint = Path::new(&peers().python).with_file_name("cfn-lint");
    let output = Command::new(cfn_lint).arg(template()).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
}

#[test]
fn a_stack_is_one_locked_down_instance_with_its_user_data_byte_for_byte() {
    let user_data = "#!/bin/sh\n# ünïcode, \"quotes\" and $(dollars) stay as they are\necho ok\n".repeat(60);
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    gzip.write_all(user_data.as_bytes()).unwrap();
    let parameter = STANDARD.encode(gzip.finish().unwrap());
    assert!(user_data.len() > 4096 && parameter.len() < 4096);
    let (vpc, subnet) = network();
    let stack = Stack::create(&[
        ("PullRequest", "42"),
        ("VpcId", &vpc),
        ("SubnetId", &subnet),
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
    assert_eq!(pairs(&stack.policy()), printed(&example(), &[]));
}

#[test]
fn with_a_secret_a_key_and_ecr_the_role_is_what_iam_policy_prints() {
    let (vpc, subnet) = network();
    let key = "arn:aws:kms:us-east-1:123456789012:key/0b2c6c5e-0000-4000-8000-000000000000";
    let stack = Stack::create(&[
        ("PullRequest", "7"),
        ("ParameterPath", "/previews/acme"),
        ("SecretName", "previews/database"),
        ("KmsKeyArn", key),
        ("EcrRepositoryArn", "arn:aws:ecr:us-east-1:123456789012:repository/acme/api"),
        ("VpcId", &vpc),
        ("SubnetId", &subnet),
        ("ViewerCidr", "203.0.113.7/32"),
        ("UserData", "aGVsbG8K"),
    ]);
    let config = "image: 123456789012.dkr.ecr.us-east-1.amazonaws.com/acme/api:1\n\
        database: { host: db, name: n, user: u, password: { secretsmanager: previews/database, key: password } }\n\
        source: { repository: acme/api, ref: main, token: { ssm: /previews/acme/github-token } }\n\
        app:\n  env:\n    A: { ssm: /previews/acme/database-url }\n    B: { ssm: /previews/acme/ghcr-token }\n    \
        C: { ssm: /previews/acme/sentry-dsn }\n\
        report: { parameter: /previews/acme/7/status }\n";
    assert_eq!(pairs(&stack.policy()), printed(config, &[key]));
}
