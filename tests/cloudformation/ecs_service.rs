//! The service's template: the peer makes what it describes and keeps the containers
//! as they are given to ECS. It forgets their roles and the deployment's rules, which
//! are looked at in the template's text.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};

use crate::support::engine::docker;
use crate::support::peers::{aws, peers};
use crate::support::postgres::Database;
use crate::support::stack::{self, Stack, answer, network};
use crate::support::wait::until;
use crate::{ACCOUNT, REGION, pairs};

/// What the three stacks export that the service stands on, all in one stack, and the secret with the
/// login of the peers' database.
struct Surroundings {
    exports: Stack,
    secret: String,
    subnets: Vec<String>,
}

impl Surroundings {
    fn new() -> Self {
        let peers = peers();
        let login = json!({"username": peers.postgres_user, "password": peers.postgres_password}).to_string();
        let name = format!("test-{:08x}", fastrand::u32(..));
        let made = answer(&["secretsmanager", "create-secret", "--name", &name, "--secret-string", &login]);
        let secret = made["ARN"].as_str().unwrap().to_owned();
        let (vpc, subnets) = network();
        let group = |text: &str| {
            json!({"Type": "AWS::EC2::SecurityGroup",
                "Properties": {"GroupDescription": text, "VpcId": vpc}})
        };
        let exports = [
            ("VpcId", json!(vpc)),
            ("PublicSubnet1a", json!(subnets[0])),
            ("PublicSubnet1c", json!(subnets[1])),
            ("AlbSecurityGroup", json!({"Ref": "Alb"})),
            ("EcsSecurityGroup", json!({"Ref": "Ecs"})),
            ("EcsTaskRoleArn", json!("arn:aws:iam::123456789012:role/task")),
            ("RdsEndpoint", json!(peers.postgres_host)),
            ("RdsPort", json!(peers.postgres_port.to_string())),
            ("DbSecretArn", json!(secret)),
        ];
        let export = |(name, value): &(&str, Value)| {
            let named = json!({"Name": {"Fn::Sub": format!("${{AWS::StackName}}-{name}")}});
            ((*name).to_owned(), json!({"Value": value, "Export": named}))
        };
        let outputs: serde_json::Map<String, Value> = exports.iter().map(export).collect();
        let template =
            json!({"Resources": {"Alb": group("alb"), "Ecs": group("ecs")}, "Outputs": outputs}).to_string();
        Self { exports: Stack::create(&template, &[]), secret, subnets }
    }

    /// The service's stack, with this image and a database of this name.
    fn service(&self, image: &str, database: &str) -> Stack {
        let exports = self.exports.name.as_str();
        let parameters = [
            ("Environment", "production"),
            ("BaseStackName", exports),
            ("SecurityStackName", exports),
            ("DatabaseStackName", exports),
            ("ContainerImage", image),
            ("DatabaseName", database),
        ];
        Stack::create(&format!("file://{}", stack::template("ecs-service.yaml").display()), &parameters)
    }
}

impl Drop for Surroundings {
    fn drop(&mut self) {
        let delete = ["secretsmanager", "delete-secret", "--force-delete-without-recovery", "--secret-id"];
        aws(&[delete.as_slice(), &[&self.secret]].concat()).output().ok();
    }
}

/// The containers of the stack's task definition.
fn containers(stack: &Stack) -> Vec<Value> {
    let definition = &stack.resources["EcsTaskDefinition"];
    let described = answer(&["ecs", "describe-task-definition", "--task-definition", definition]);
    described["taskDefinition"]["containerDefinitions"].as_array().unwrap().clone()
}

#[test]
fn a_service_is_the_application_with_the_daemon_behind_a_load_balancer_that_asks_health() {
    let image = "123456789012.dkr.ecr.us-east-1.amazonaws.com/xray-poc-compute-app:1.0.0";
    let around = Surroundings::new();
    let stack = around.service(image, "tasks");

    let containers = containers(&stack);
    let [app, daemon] = containers.as_slice() else { panic!("{containers:?}") };
    assert_eq!(
        (&app["name"], &app["image"], &app["essential"]),
        (&json!("app"), &json!(image), &json!(true))
    );
    assert_eq!((&daemon["name"], &daemon["essential"]), (&json!("xray-daemon"), &json!(false)));
    assert!(!daemon["image"].as_str().unwrap().ends_with(":latest"));
    assert_eq!(daemon["portMappings"][0], json!({"containerPort": 2000, "protocol": "udp"}));
    // What anybody may read who may read a task definition holds no login.
    let text = app["environment"].to_string();
    assert!(!text.contains(&peers().postgres_password) && !text.contains('@'), "{text}");
    let traces = json!({"name": "AWS_XRAY_DAEMON_ADDRESS", "value": "127.0.0.1:2000"});
    assert!(app["environment"].as_array().unwrap().contains(&traces));
    for container in &containers {
        let log = &container["logConfiguration"]["options"];
        assert_eq!(log["awslogs-group"], format!("/ecs/{}", stack.name));
        assert_eq!(log["awslogs-stream-prefix"], container["name"]);
    }

    let groups = answer(&[
        "elbv2",
        "describe-target-groups",
        "--target-group-arns",
        &stack.resources["AlbTargetGroup"],
    ]);
    let group = &groups["TargetGroups"][0];
    assert_eq!(
        (&group["HealthCheckPath"], &group["Port"]),
        (&json!("/health"), &app["portMappings"][0]["containerPort"])
    );
    assert_eq!(group["LoadBalancerArns"], json!([stack.resources["Alb"]]));
    let balancers =
        answer(&["elbv2", "describe-load-balancers", "--load-balancer-arns", &stack.resources["Alb"]]);
    let zones = balancers["LoadBalancers"][0]["AvailabilityZones"].as_array().unwrap();
    let subnets: BTreeSet<&str> = zones.iter().map(|zone| zone["SubnetId"].as_str().unwrap()).collect();
    assert_eq!(subnets, around.subnets[..2].iter().map(String::as_str).collect());

    // ECS reads this secret and writes to this log, and to no other.
    let policy = stack.policy("EcsExecutionRole", "start-tasks");
    let allowed = pairs(&policy);
    let of = |action: &str| -> Vec<&str> {
        allowed.iter().filter(|pair| pair.0 == action).map(|pair| pair.1.as_str()).collect()
    };
    assert_eq!(of("secretsmanager:GetSecretValue"), [around.secret.as_str()]);
    // AWS has `:*` behind it, as this action wants it.
    let log = format!("arn:aws:logs:{REGION}:{ACCOUNT}:log-group:/ecs/{}", stack.name);
    assert_eq!(of("logs:PutLogEvents"), [log]);
    let everywhere = allowed.iter().filter(|pair| pair.1 == "*").map(|pair| pair.0.as_str());
    assert_eq!(everywhere.collect::<Vec<_>>(), ["ecr:GetAuthorizationToken"]);
}

#[test]
fn no_parameter_that_says_where_or_what_goes_back_to_a_default() {
    let template = stack::read("ecs-service.yaml");
    let parameters = template["Parameters"].as_object().unwrap();
    let without: BTreeSet<&str> = parameters
        .iter()
        .filter(|(_, parameter)| parameter.get("Default").is_none())
        .map(|(name, _)| name.as_str())
        .collect();
    let named = ["BaseStackName", "ContainerImage", "DatabaseStackName", "Environment", "SecurityStackName"];
    assert_eq!(without, named.into());

    let page = include_str!("../../docs/changes.md");
    let set = page.split("--set ").skip(1).filter_map(|rest| rest.split_once('=')).map(|(name, _)| name);
    let set: BTreeSet<&str> = set.collect();
    assert!(set.is_superset(&without), "{set:?}");
    assert!(set.iter().all(|name| parameters.contains_key(*name)), "{set:?}");
}

/// What the template imports of other stacks, without their names.
fn imports(value: &Value, found: &mut BTreeSet<String>) {
    match value {
        Value::Object(map) => {
            if let Some(import) = map.get("Fn::ImportValue") {
                let (_, name) = import["Fn::Sub"].as_str().unwrap().split_once("}-").unwrap();
                found.insert(name.to_owned());
            }
            map.values().for_each(|value| imports(value, found));
        }
        Value::Array(items) => items.iter().for_each(|item| imports(item, found)),
        _ => {}
    }
}

#[test]
fn the_page_has_each_export_that_the_service_wants() {
    let mut wanted = BTreeSet::new();
    imports(&stack::read("ecs-service.yaml"), &mut wanted);
    let page = include_str!("../../docs/changes.md");
    let (_, told) = page.split_once("## What the template wants of the other stacks").unwrap();
    let told = told.split('`').skip(1).step_by(2).map(str::to_owned);
    assert_eq!(wanted.difference(&told.collect()).next(), None);
    assert!(wanted.len() > 5, "{wanted:?}");
}

#[test]
fn what_does_not_come_up_fails_while_the_old_task_serves_and_the_roles_are_two() {
    let template = stack::read("ecs-service.yaml");
    let properties = |name: &str| &template["Resources"][name]["Properties"];
    let task = properties("EcsTaskDefinition");
    assert_eq!(
        task["TaskRoleArn"],
        json!({"Fn::ImportValue": {"Fn::Sub": "${SecurityStackName}-EcsTaskRoleArn"}})
    );
    assert_eq!(task["ExecutionRoleArn"], json!({"Fn::GetAtt": ["EcsExecutionRole", "Arn"]}));
    assert_eq!(task["ContainerDefinitions"][0]["Image"], json!({"Ref": "ContainerImage"}));
    let service = properties("EcsService");
    let deployment = &service["DeploymentConfiguration"];
    assert_eq!(deployment["DeploymentCircuitBreaker"], json!({"Enable": true, "Rollback": true}));
    assert_eq!(deployment["MinimumHealthyPercent"], 100);
    assert_eq!(service["HealthCheckGracePeriodSeconds"], json!({"Ref": "GracePeriodSeconds"}));
    assert_eq!(template["Parameters"]["GracePeriodSeconds"]["Default"], 120);
    assert_eq!(service["LoadBalancers"][0]["ContainerName"], "app");
}

/// A container, removed when dropped.
struct Container(String);

impl Drop for Container {
    fn drop(&mut self) {
        Command::new("docker").args(["rm", "-f", "-v", &self.0]).output().ok();
    }
}

/// A secret of a task definition, as ECS resolves `ARN:KEY::`.
fn resolved(value_from: &str) -> String {
    let (secret, key) = value_from.strip_suffix("::").unwrap().rsplit_once(':').unwrap();
    let found = answer(&["secretsmanager", "get-secret-value", "--secret-id", secret]);
    let login: Value = serde_json::from_str(found["SecretString"].as_str().unwrap()).unwrap();
    login[key].as_str().unwrap().to_owned()
}

#[test]
fn with_its_environment_the_sample_finds_a_database_whose_password_no_url_could_hold_as_it_is() {
    assert!(peers().postgres_password.contains(['@', ':', '/', '%']));
    let database = Database::new();
    database.sql(include_str!("../../examples/tasks-api/init.sql"));
    let image = format!("{}/acme/tasks-api:good", peers().registry);
    let around = Surroundings::new();
    let stack = around.service(&image, &database.name);
    let app = containers(&stack).swap_remove(0);

    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let mut variables = Vec::new();
    for variable in app["environment"].as_array().unwrap() {
        variables.push(format!("{}={}", text(&variable["name"]), text(&variable["value"])));
    }
    for secret in app["secrets"].as_array().unwrap() {
        variables.push(format!("{}={}", text(&secret["name"]), resolved(&text(&secret["valueFrom"]))));
    }
    let config = Path::new(env!("CARGO_MANIFEST_DIR")).join(".cache/peers/docker-config");
    let mut run = vec!["--config", config.to_str().unwrap(), "run", "-d", "-p", "127.0.0.1::8000"];
    run.extend(variables.iter().flat_map(|variable| ["-e", variable.as_str()]));
    let container = Container(docker(&[run.as_slice(), &[text(&app["image"]).as_str()]].concat()));
    let address = docker(&["port", &container.0, "8000/tcp"]);
    let ask = |path: &str| -> Option<Value> {
        let output =
            Command::new("curl").args(["-sf", "-m", "10", &format!("http://{address}{path}")]).output();
        serde_json::from_slice(&output.unwrap().stdout).ok()
    };
    let health = until(|| docker(&["logs", &container.0]), || ask("/health"));
    let expected = json!({"status": "healthy", "database": "connected", "environment": "production",
        "version": "1.0.0"});
    assert_eq!(health, expected);
    assert_eq!(ask("/tasks").unwrap().as_array().unwrap().len(), 4);
}
