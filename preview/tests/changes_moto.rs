//! `preview changes` on the stack of our own instance, in moto's account: a peer that says little of changes.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::exit)]

mod support;

use std::process::Command;

use serde_json::Value;
use support::peers;
use support::world::{Ran, World, act_as_preview};

#[test]
fn preview() {
    act_as_preview();
}

/// What moto's account has: the answer of the `aws` client.
fn aws(endpoint: &str, arguments: &[&str]) -> Value {
    let mut command = Command::new(peers::get("PEERS_AWS"));
    command.args(arguments).args(["--endpoint-url", endpoint, "--region", "us-east-1", "--output", "json"]);
    command.env_clear().env("PATH", std::env::var("PATH").unwrap());
    command.envs(["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"].map(|name| (name, "test")));
    command.envs(["AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"].map(|name| (name, "/dev/null")));
    let output = command.output().unwrap();
    assert!(output.status.success(), "{output:?}");
    serde_json::from_slice(&output.stdout).unwrap()
}

fn changes(world: &World, arguments: &[&str]) -> Ran {
    world.run(&[&["changes"], arguments].concat())
}

#[test]
fn our_instance_is_made_and_neither_removed_nor_replaced_unasked() {
    let endpoint = peers::get("PEERS_SSM_ENDPOINT");
    let mut world = World::without_file();
    world.set("AWS_ENDPOINT_URL", &endpoint);
    world.set("AWS_REGION", "us-east-1");
    let subnet = &aws(&endpoint, &["ec2", "describe-subnets"])["Subnets"][0];
    let text = |name: &str| subnet[name].as_str().unwrap().to_owned();
    let stack = format!("s-{:016x}", fastrand::u64(..));
    let packaging = concat!(env!("CARGO_MANIFEST_DIR"), "/../packaging/cloudformation/instance.yaml");
    let vpc = format!("VpcId={}", text("VpcId"));
    let subnet = format!("SubnetId={}", text("SubnetId"));
    let mut create = vec!["create", &stack, "--template", packaging, "--capability", "CAPABILITY_IAM"];
    for set in ["PullRequest=42", &vpc, &subnet, "ViewerCidr=203.0.113.7/32", "UserData=IyEvYmluL3No"] {
        create.extend(["--set", set]);
    }
    let ran = changes(&world, &create);
    ran.ended(0).says("+ Instance  AWS::EC2::Instance  is made");
    let set = ran.value("change_set").unwrap();
    changes(&world, &["apply", &stack, set, "--yes"]).ended(0).says("CREATE_COMPLETE");
    // Without its instance.
    let template = std::fs::read_to_string(packaging).unwrap();
    let instance = template.find("\n  Instance:\n").unwrap();
    let end = template[instance + 3..].find("\n\n").map_or(template.len(), |end| instance + 3 + end);
    let outputs = template.find("\nOutputs:").unwrap_or(template.len());
    let without = format!("{}{}", &template[..instance + 1], &template[end.min(outputs)..outputs]);
    let path = world.path("template.yaml");
    std::fs::write(&path, without).unwrap();
    let ran = changes(&world, &["create", &stack, "--template", &path]);
    let set = ran.ended(0).value("change_set").unwrap();
    changes(&world, &["show", &stack, set]).ended(5).says("- Instance").says("refused: Instance");
    changes(&world, &["apply", &stack, set, "--yes"]).ended(5).says("--allow Instance");
}
