//! What goes wrong with the second document's four scripts, done their way with the `aws` client, and does not
//! go wrong with `preview changes`.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::exit)]

mod support;

use std::process::Command;

use serde_json::{Value, json};
use support::peers;
use support::templates::{database, service, with};
use support::world::{Ran, World, act_as_preview};

#[test]
fn preview() {
    act_as_preview();
}

const STACK: &str = "xray-poc-compute";
const IMAGE: &str = "127.0.0.1:9/app:1";
const OURS: [(&str, &str); 3] =
    [("Environment", "prod"), ("ContainerImage", IMAGE), ("DatabaseStackName", "db-of-ours")];

fn world(template: &Value) -> World {
    let world = World::without_file();
    world.account.lock().stacks.add(STACK, template, &OURS);
    world
}

/// The `aws` client's answer, and whether it was content.
fn aws(world: &World, arguments: &[&str]) -> (bool, String) {
    let mut command = Command::new(peers::get("PEERS_AWS"));
    command.arg("cloudformation").args(arguments);
    command.env_clear().env("PATH", std::env::var("PATH").unwrap()).env("AWS_PAGER", "");
    command.env("AWS_DEFAULT_REGION", world.get("AWS_REGION"));
    for name in [
        "AWS_ENDPOINT_URL",
        "AWS_ACCESS_KEY_ID",
        "AWS_SECRET_ACCESS_KEY",
        "AWS_CONFIG_FILE",
        "AWS_SHARED_CREDENTIALS_FILE",
        "AWS_EC2_METADATA_DISABLED",
    ] {
        command.env(name, world.get(name));
    }
    let output = command.output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap() + &String::from_utf8(output.stderr).unwrap();
    (output.status.success(), text)
}

fn file(world: &World, template: &Value) -> String {
    let path = world.path("03-compute.json");
    std::fs::write(&path, template.to_string()).unwrap();
    path
}

/// create-changeset.sh and rollback.sh: both name two of the parameters, and the working tree's template.
fn their_create(world: &World, name: &str, template: &Value, image: &str) {
    let body = format!("file://{}", file(world, template));
    let image = format!("ParameterKey=ContainerImage,ParameterValue={image}");
    let (content, text) = aws(
        world,
        &[
            "create-change-set",
            "--stack-name",
            STACK,
            "--change-set-name",
            name,
            "--template-body",
            &body,
            "--parameters",
            "ParameterKey=Environment,UsePreviousValue=true",
            &image,
            "--capabilities",
            "CAPABILITY_IAM",
        ],
    );
    assert!(content, "{text}");
}

/// describe-changeset.sh.
fn their_table(world: &World, name: &str) -> String {
    let query =
        "Changes[*].[ResourceChange.Action,ResourceChange.LogicalResourceId,ResourceChange.ResourceType]";
    let named = ["--stack-name", STACK, "--change-set-name", name];
    aws(world, &[&["describe-change-set"], &named[..], &["--query", query, "--output", "table"]].concat()).1
}

/// execute-changeset.sh, after its yes.
fn their_execute(world: &World, name: &str) -> (bool, String) {
    aws(world, &["execute-change-set", "--change-set-name", name, "--stack-name", STACK])
}

fn ours(world: &World, arguments: &[&str]) -> Ran {
    world.run(&[&["changes"], arguments].concat())
}

fn our_set(world: &World, arguments: &[&str]) -> String {
    let ran = ours(world, &[&["create", STACK], arguments].concat());
    ran.ended(0).value("change_set").unwrap().to_owned()
}

fn parameter(world: &World, name: &str) -> String {
    world.account.lock().stacks.stack(STACK).unwrap().parameters[name].clone()
}

/// What is executed happens at once.
fn all_happens(world: &World) {
    let mut inner = world.account.lock();
    inner.stacks.step = 1000;
    inner.stacks.tick(STACK);
}

#[test]
fn their_checklist_looks_for_a_word_that_never_comes() {
    let world = world(&with("Topic", &json!({ "Type": "AWS::SNS::Topic", "Properties": {} })));
    their_create(&world, "deploy-1", &service(), IMAGE);
    let table = their_table(&world, "deploy-1");
    assert!(table.contains("Topic") && !table.contains("Delete"), "{table}");
    let set = our_set(&world, &["--template", &file(&world, &service())]);
    ours(&world, &["show", STACK, &set]).ended(5).says("- Topic").says("is removed and deleted");
}

#[test]
fn their_table_hides_that_the_database_is_replaced() {
    let world = world(&with("Database", &database("mysql")));
    let new = with("Database", &database("postgres"));
    their_create(&world, "deploy-1", &new, IMAGE);
    let table = their_table(&world, "deploy-1");
    assert!(table.contains("Database") && !table.contains("True") && !table.contains("Replace"), "{table}");
    let set = our_set(&world, &["--template", &file(&world, &new)]);
    ours(&world, &["show", STACK, &set])
        .ended(5)
        .says("↻ Database")
        .says("is replaced; the old one is deleted");
}

#[test]
fn their_sets_put_parameters_back_to_their_defaults() {
    let world = world(&service());
    their_create(&world, "deploy-1", &service(), "127.0.0.1:9/app:2");
    their_table(&world, "deploy-1");
    assert!(their_execute(&world, "deploy-1").0);
    assert_eq!(parameter(&world, "DatabaseStackName"), "xray-poc-database");
    let other = self::world(&service());
    let set = our_set(&other, &["--set", "ContainerImage=127.0.0.1:9/app:2"]);
    ours(&other, &["apply", STACK, &set, "--yes"]).ended(0);
    assert_eq!(parameter(&other, "DatabaseStackName"), "db-of-ours");
    assert_eq!(parameter(&other, "Environment"), "prod");
}

#[test]
fn their_latest_is_no_change() {
    let world = world(&service());
    world
        .account
        .lock()
        .stacks
        .stack(STACK)
        .unwrap()
        .parameters
        .insert("DatabaseStackName".to_owned(), "xray-poc-database".to_owned());
    their_create(&world, "deploy-1", &service(), IMAGE);
    let (_, text) =
        aws(&world, &["describe-change-set", "--stack-name", STACK, "--change-set-name", "deploy-1"]);
    assert!(text.contains("FAILED") && text.contains("didn't contain changes"), "{text}");
    // Ours is refused where nobody can tell, and is a digest where the registry does: changes_history.rs.
    ours(&world, &["create", STACK, "--set", &format!("ContainerImage={IMAGE}")]).ended(1).says("sha256");
}

#[test]
fn their_way_back_takes_the_working_trees_template_along() {
    let world = world(&service());
    let tree = with("Unfinished", &json!({ "Type": "AWS::SNS::Topic", "Properties": {} }));
    their_create(&world, "rollback-1", &tree, "127.0.0.1:9/app:0");
    assert!(their_table(&world, "rollback-1").contains("Unfinished"));
    file(&world, &tree);
    ours(&world, &["rollback", STACK, "--to", "127.0.0.1:9/app:0"])
        .ended(0)
        .says("Task")
        .says_not("Unfinished");
}

#[test]
fn their_name_may_stand_for_another_set_by_the_time_it_is_executed() {
    let world = world(&service());
    their_create(&world, "deploy-1", &service(), "127.0.0.1:9/app:2");
    their_table(&world, "deploy-1");
    let set = our_set(&world, &["--set", "ContainerImage=127.0.0.1:9/app:2"]);
    // Reviewed; then somebody else makes their own of these names.
    let name = set.split('/').nth(1).unwrap().to_owned();
    for name in ["deploy-1", &name] {
        aws(&world, &["delete-change-set", "--stack-name", STACK, "--change-set-name", name]);
        their_create(&world, name, &service(), "127.0.0.1:9/app:evil");
        their_table(&world, name);
    }
    ours(&world, &["apply", STACK, &set, "--yes"]).ended(1).says("no change set");
    assert_eq!(parameter(&world, "ContainerImage"), IMAGE);
    assert!(their_execute(&world, "deploy-1").0);
    assert_eq!(parameter(&world, "ContainerImage"), "127.0.0.1:9/app:evil");
}

#[test]
fn their_execution_is_content_with_an_update_that_fails() {
    let world = world(&service());
    let failing = "fails: CannotPullContainerError";
    their_create(&world, "deploy-1", &service(), failing);
    their_table(&world, "deploy-1");
    let (content, text) = their_execute(&world, "deploy-1");
    assert!(content && !text.contains("CannotPull"), "{text}");
    all_happens(&world);
    let set = our_set(&world, &["--set", &format!("ContainerImage={failing}")]);
    ours(&world, &["apply", STACK, &set, "--yes"]).ended(1).says("CannotPullContainerError").says("push it");
}
