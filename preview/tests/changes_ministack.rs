//! `preview changes` against ministack, which others have written: what the strict fake takes for granted holds
//! there, too.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::exit)]

mod support;

use serde_json::{Value, json};
use support::peers;
use support::world::{Ran, World, act_as_preview};

#[test]
fn preview() {
    act_as_preview();
}

/// The document's stack in small. Its names are the stack's own: tests share one account.
fn template(stack: &str) -> Value {
    let image = json!({ "Ref": "ContainerImage" });
    json!({
        "Parameters": {
            "Environment": { "Type": "String", "Default": "poc" },
            "ContainerImage": { "Type": "String" },
        },
        "Resources": {
            "Cluster": { "Type": "AWS::ECS::Cluster", "Properties": { "ClusterName": stack } },
            "Task": { "Type": "AWS::ECS::TaskDefinition", "Properties": {
                "Family": stack,
                "ContainerDefinitions": [
                    { "Name": "app", "Image": image, "Essential": true, "Memory": 128 },
                    { "Name": "xray-daemon", "Image": "public.ecr.aws/xray/aws-xray-daemon:latest", "Memory": 32 },
                ],
            } },
            "Mark": { "Type": "AWS::SSM::Parameter", "Properties": {
                "Type": "String", "Name": format!("/{stack}/environment"), "Value": { "Ref": "Environment" },
            } },
        },
    })
}

fn with(stack: &str, id: &str, resource: Value) -> Value {
    let mut template = template(stack);
    template["Resources"][id] = resource;
    template
}

fn table(name: &str) -> Value {
    json!({ "Type": "AWS::DynamoDB::Table", "Properties": {
        "TableName": name, "BillingMode": "PAY_PER_REQUEST",
        "AttributeDefinitions": [{ "AttributeName": "id", "AttributeType": "S" }],
        "KeySchema": [{ "AttributeName": "id", "KeyType": "HASH" }],
    } })
}

struct Stack {
    world: World,
    name: String,
}

impl Stack {
    /// A stack of a name of its own that is there, with this template.
    fn new(template: impl Fn(&str) -> Value) -> Self {
        let mut world = World::without_file();
        world.set("AWS_ENDPOINT_URL", &peers::get("PEERS_CLOUDFORMATION_ENDPOINT"));
        world.set("AWS_REGION", "us-east-1");
        let stack = Self { world, name: format!("s-{:016x}", fastrand::u64(..)) };
        let own = template(&stack.name);
        let set =
            stack.create(&own, &["--set", "Environment=prod", "--set", "ContainerImage=127.0.0.1:9/app:1"]);
        stack.run(&["apply", &stack.name, &set, "--yes"]).ended(0).says("CREATE_COMPLETE");
        stack
    }

    fn run(&self, arguments: &[&str]) -> Ran {
        self.world.run(&[&["changes"], arguments].concat())
    }

    fn try_to_create(&self, template: &Value, arguments: &[&str]) -> Ran {
        let path = self.world.path("template.json");
        std::fs::write(&path, template.to_string()).unwrap();
        self.run(&[&["create", &self.name, "--template", &path], arguments].concat())
    }

    fn create(&self, template: &Value, arguments: &[&str]) -> String {
        let ran = self.try_to_create(template, arguments);
        ran.ended(0).value("change_set").unwrap().to_owned()
    }

    fn apply(&self, set: &str, arguments: &[&str]) -> Ran {
        self.run(&[&["apply", &self.name, set, "--yes"], arguments].concat())
    }
}

#[test]
fn an_image_is_changed_and_all_else_stays() {
    let stack = Stack::new(template);
    let ran = stack.run(&["create", &stack.name, "--set", "ContainerImage=127.0.0.1:9/app:2"]);
    ran.ended(0).says("Task").says("because of ContainerImage").says("Environment = prod").says_not("Mark  ");
    let (set, reviewed) = (ran.value("change_set").unwrap(), ran.value("reviewed").unwrap());
    stack.run(&["show", &stack.name]).ended(0).says(reviewed);
    stack.apply(set, &["--reviewed", reviewed]).ended(0).says("UPDATE_COMPLETE");
    stack.apply(set, &[]).ended(0).says("applied already");
    let back = stack.run(&["rollback", &stack.name, "--steps", "1"]);
    back.ended(0).says("back to 127.0.0.1:9/app:1").says("ContainerImage = 127.0.0.1:9/app:1");
    stack.apply(back.value("change_set").unwrap(), &[]).ended(0);
    stack.run(&["history", &stack.name]).ended(0).says("now").says("--steps 2");
}

#[test]
fn nothing_to_change_leaves_nothing() {
    let stack = Stack::new(template);
    let ran = stack.run(&["create", &stack.name, "--set", "Environment=prod"]);
    assert_eq!(ran.ended(0).value("outcome"), Some("empty"));
    stack.run(&["show", &stack.name]).ended(1).says("no change set to review");
}

#[test]
fn a_removal_is_refused_until_it_is_allowed() {
    let stack = Stack::new(template);
    let mut without = template(&stack.name);
    without["Resources"].as_object_mut().unwrap().remove("Mark");
    let set = stack.create(&without, &[]);
    stack.run(&["show", &stack.name, &set]).ended(5).says("- Mark").says("is removed and deleted");
    stack.apply(&set, &[]).ended(5).says("--allow Mark");
    stack.apply(&set, &["--allow", "Mark"]).ended(0).says("UPDATE_COMPLETE");
    let ran = stack.try_to_create(&template(&stack.name), &[]);
    ran.ended(0).says("+ Mark");
}

#[test]
fn a_replacement_of_what_holds_data_is_refused_until_it_is_allowed() {
    let stack = Stack::new(|name| with(name, "Table", table(name)));
    let other = format!("{}-other", stack.name);
    let set = stack.create(&with(&stack.name, "Table", table(&other)), &[]);
    stack.run(&["show", &stack.name, &set]).ended(5).says("↻ Table").says("refused: Table");
    stack.apply(&set, &[]).ended(5);
    stack.apply(&set, &["--allow", "Table"]).ended(0);
}

#[test]
fn an_update_that_fails_tells_why_and_what_became_of_the_stack() {
    let stack = Stack::new(template);
    let taken = json!({ "Type": "AWS::SSM::Parameter", "Properties": {
        "Type": "String", "Name": format!("/{}/environment", stack.name), "Value": "x",
    } });
    let failing = with(&stack.name, "Taken", taken);
    let set = stack.create(&failing, &["--set", "ContainerImage=127.0.0.1:9/app:2"]);
    let ran = stack.apply(&set, &[]);
    ran.ended(1).says("UPDATE_ROLLBACK_COMPLETE: Taken (AWS::SSM::Parameter)");
    stack.run(&["watch", &stack.name]).ended(1).says("UPDATE_ROLLBACK_COMPLETE: Taken");
    stack.run(&["history", &stack.name]).ended(0).says("127.0.0.1:9/app:1").says_not("app:2");
    // Left as it is, where that is asked for.
    let set = stack.create(&failing, &["--set", "Environment=other"]);
    stack.apply(&set, &["--no-rollback"]).ended(1).says("UPDATE_FAILED").says("rollback-stack");
}

#[test]
fn what_does_not_exist_is_told() {
    let stack = Stack::new(template);
    stack.run(&["apply", &stack.name, "nothing", "--yes"]).ended(1).says("no change set nothing");
    stack.run(&["watch", "nothing"]).ended(1).says("no stack nothing");
    stack.try_to_create(&template(&stack.name), &["--set", "Nope=1"]).ended(1).says("no parameter Nope");
}
