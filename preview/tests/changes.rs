//! `preview changes` against a CloudFormation that is strict: made, shown, refused, applied, followed.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::exit)]

mod support;

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use support::calls::Trouble;
use support::templates::{database, service, with};
use support::world::{Ran, World, act_as_preview};

#[test]
fn preview() {
    act_as_preview();
}

const STACK: &str = "xray-poc-compute";
/// In a registry that nobody answers for.
const OURS: [(&str, &str); 3] =
    [("Environment", "prod"), ("ContainerImage", "127.0.0.1:9/app:1"), ("DatabaseStackName", "db-of-ours")];

/// A stack of the document's, with values that are not the defaults.
fn world() -> World {
    let world = World::without_file();
    world.account.lock().stacks.add(STACK, &service(), &OURS);
    world
}

fn template(world: &World, template: &Value) -> String {
    let path = world.path("template.json");
    std::fs::write(&path, template.to_string()).unwrap();
    path
}

fn changes(world: &World, arguments: &[&str]) -> Ran {
    world.run(&[&["changes"], arguments].concat())
}

/// A change set of this: its ARN and its fingerprint.
fn created(world: &World, arguments: &[&str]) -> (String, String) {
    let ran = changes(world, &[&["create", STACK], arguments].concat());
    ran.ended(0);
    assert_eq!(ran.value("outcome"), Some("created"), "{ran:#?}");
    (ran.value("change_set").unwrap().to_owned(), ran.value("reviewed").unwrap().to_owned())
}

fn parameters(world: &World) -> Vec<(String, String)> {
    world.account.lock().stacks.stack(STACK).unwrap().parameters.clone().into_iter().collect()
}

fn status(world: &World) -> String {
    world.account.lock().stacks.stack(STACK).unwrap().status.clone()
}

/// What may be executed now.
fn sets(world: &World) -> usize {
    world.account.lock().stacks.stack(STACK).map_or(0, |stack| stack.sets.len())
}

fn wait_until(holds: impl Fn() -> bool) {
    let until = Instant::now() + Duration::from_secs(20);
    while !holds() {
        assert!(Instant::now() < until, "it never came");
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn an_image_is_changed_reviewed_and_applied_and_all_else_stays() {
    let world = world();
    let ran = changes(&world, &["create", STACK, "--set", "ContainerImage=127.0.0.1:9/app:2"]);
    ran.ended(0)
        .says("↻ Task")
        .says("127.0.0.1:9/app:1 → 127.0.0.1:9/app:2")
        .says("because of ContainerImage");
    assert_eq!(world.account.count("ExecuteChangeSet"), 0);
    assert_eq!(status(&world), "CREATE_COMPLETE");
    let (id, reviewed) = (ran.value("change_set").unwrap(), ran.value("reviewed").unwrap());
    changes(&world, &["show", STACK, id]).ended(0).says(reviewed);
    let ran = changes(&world, &["apply", STACK, id, "--reviewed", reviewed, "--yes"]);
    ran.ended(0).says("UPDATE_IN_PROGRESS").says("UPDATE_COMPLETE_CLEANUP_IN_PROGRESS");
    assert_eq!(
        parameters(&world),
        [
            ("ContainerImage", "127.0.0.1:9/app:2"),
            ("DatabaseStackName", "db-of-ours"),
            ("Environment", "prod")
        ]
        .map(|(key, value)| (key.to_owned(), value.to_owned()))
    );
}

#[test]
fn a_stack_that_is_not_there_is_made_and_one_under_review_takes_another_set() {
    let world = World::without_file();
    let path = template(&world, &service());
    changes(&world, &["create", STACK]).ended(1).says("--template");
    changes(&world, &["create", STACK, "--template", &path]).ended(1).says("--set ContainerImage=VALUE");
    assert_eq!(world.account.count("CreateChangeSet"), 0);
    created(&world, &["--template", &path, "--set", "ContainerImage=127.0.0.1:9/app:1"]);
    assert_eq!(status(&world), "REVIEW_IN_PROGRESS");
    let (id, _) = created(&world, &["--template", &path, "--set", "ContainerImage=127.0.0.1:9/app:1"]);
    let kinds: Vec<_> =
        world.account.calls("CreateChangeSet").iter().map(|it| it["ChangeSetType"].clone()).collect();
    assert_eq!(kinds, ["CREATE", "CREATE"]);
    changes(&world, &["apply", STACK, &id, "--yes"]).ended(0).says("CREATE_COMPLETE");
    assert_eq!(parameters(&world)[1].1, "xray-poc-database");
}

#[test]
fn states_in_which_nothing_can_be_changed_are_told_with_the_way_out() {
    for (state, code, words) in [
        ("UPDATE_IN_PROGRESS", 3, "preview changes watch"),
        ("UPDATE_COMPLETE_CLEANUP_IN_PROGRESS", 3, "preview changes watch"),
        ("ROLLBACK_COMPLETE", 1, "delete-stack"),
        ("ROLLBACK_FAILED", 1, "delete-stack"),
        ("UPDATE_ROLLBACK_FAILED", 1, "continue-update-rollback"),
    ] {
        let world = world();
        state.clone_into(&mut world.account.lock().stacks.stack(STACK).unwrap().status);
        changes(&world, &["create", STACK, "--set", "ContainerImage=127.0.0.1:9/app:2"])
            .ended(code)
            .says(state)
            .says(words);
        assert_eq!(world.account.count("CreateChangeSet") + world.account.count("DeleteStack"), 0);
    }
    for state in ["UPDATE_ROLLBACK_COMPLETE", "UPDATE_FAILED", "UPDATE_COMPLETE"] {
        let world = world();
        state.clone_into(&mut world.account.lock().stacks.stack(STACK).unwrap().status);
        created(&world, &["--set", "ContainerImage=127.0.0.1:9/app:2"]);
    }
}

#[test]
fn unknown_parameters_are_refused_before_anything_is_asked_for() {
    let world = world();
    let ran = changes(&world, &["create", STACK, "--set", "Image=app:2", "--set", "Enviroment=x"]);
    ran.ended(1).says("no parameter Image").says("no parameter Enviroment").says("ContainerImage");
    assert_eq!(world.account.count("CreateChangeSet"), 0);
}

#[test]
fn a_new_template_may_bring_a_parameter_and_drop_another() {
    let world = world();
    let mut new = service();
    new["Parameters"]["Cpu"] = json!({ "Type": "String", "Default": "256" });
    new["Parameters"].as_object_mut().unwrap().remove("DatabaseStackName");
    new["Resources"]["Service"]["Properties"]["Database"] = json!({ "Ref": "Cpu" });
    let path = template(&world, &new);
    let ran = changes(&world, &["create", STACK, "--template", &path]);
    ran.ended(0).says("no parameter DatabaseStackName any more");
    changes(&world, &["apply", STACK, ran.value("change_set").unwrap(), "--yes"]).ended(0);
    let kept: Vec<String> = parameters(&world).into_iter().map(|(_, value)| value).collect();
    assert_eq!(kept, ["127.0.0.1:9/app:1", "256", "prod"]);
}

#[test]
fn nothing_to_change_is_a_success_that_leaves_no_set() {
    for other_words in [false, true] {
        let world = world();
        world.account.lock().stacks.other_words = other_words;
        let ran = changes(&world, &["create", STACK, "--set", "Environment=prod"]);
        ran.ended(0).says("nothing to change");
        assert_eq!((ran.value("outcome"), ran.value("change_set")), (Some("empty"), Some("")));
        assert_eq!(sets(&world), 0);
    }
}

#[test]
fn a_set_that_is_not_valid_is_told_by_path_and_leaves_no_set() {
    let world = world();
    let mut new = service();
    new["Resources"]["Service"]["Properties"]["DesiredCount"] = "invalid: expected a number".into();
    new["Resources"]["Service"]["Properties"]["LaunchType"] = "invalid: no such type".into();
    let path = template(&world, &new);
    let ran = changes(&world, &["create", STACK, "--template", &path]);
    ran.ended(1).says("/Resources/Service/Properties/DesiredCount: expected a number");
    ran.says("/Resources/Service/Properties/LaunchType: no such type");
    assert_eq!(sets(&world), 0);
    // Without the right to ask, the set's own reason is what is told.
    let denied = "User: x is not authorized to perform: cloudformation:DescribeEvents on resource: y";
    world.account.trouble("DescribeEvents", 1, Trouble::Error(403, "AccessDenied", denied));
    let ran = changes(&world, &["create", STACK, "--template", &path]);
    ran.ended(1)
        .says("the change set could not be made: The following hook(s)")
        .says("cloudformation:DescribeEvents");
    assert_eq!(sets(&world), 0);
}

#[test]
fn names_are_never_used_twice_and_a_lost_answer_makes_no_second_set() {
    let world = world();
    world.account.trouble("CreateChangeSet", 1, Trouble::Lost);
    created(&world, &["--set", "ContainerImage=127.0.0.1:9/app:2"]);
    assert_eq!((sets(&world), world.account.count("CreateChangeSet")), (1, 2));
    created(&world, &["--set", "ContainerImage=127.0.0.1:9/app:2"]);
    assert_eq!(sets(&world), 2);
}

#[test]
fn a_set_that_takes_its_time_is_waited_for_through_throttling() {
    let world = world();
    world.account.lock().stacks.slow = 4;
    world.account.trouble("DescribeChangeSet", 5, Trouble::Error(400, "Throttling", "Rate exceeded"));
    created(&world, &["--set", "ContainerImage=127.0.0.1:9/app:2"]);
}

#[test]
fn roles_are_made_only_when_that_is_said() {
    let world = world();
    let path = template(&world, &with("Role", &json!({ "Type": "AWS::IAM::Role", "Properties": {} })));
    changes(&world, &["create", STACK, "--template", &path]).ended(1).says("--capability CAPABILITY_IAM");
    let (id, _) = created(&world, &["--template", &path, "--capability", "CAPABILITY_IAM"]);
    changes(&world, &["apply", STACK, &id, "--yes"]).ended(0);
    // What the stack was allowed once it stays allowed.
    created(&world, &["--set", "ContainerImage=127.0.0.1:9/app:2"]);
}

#[test]
fn tags_of_the_stack_stay() {
    let world = world();
    world.account.lock().stacks.stack(STACK).unwrap().tags.insert("Team".to_owned(), "blue".to_owned());
    let (id, _) = created(&world, &["--set", "ContainerImage=127.0.0.1:9/app:2"]);
    changes(&world, &["apply", STACK, &id, "--yes"]).ended(0);
    assert_eq!(world.account.lock().stacks.stack(STACK).unwrap().tags["Team"], "blue");
}

#[test]
fn what_is_removed_is_refused_until_it_is_allowed_by_name() {
    let world = world();
    world.account.lock().stacks.all.clear();
    let queue = json!({ "Type": "AWS::SNS::Topic", "Properties": {} });
    world.account.lock().stacks.add(STACK, &with("Topic", &queue), &OURS);
    let path = template(&world, &service());
    let (id, _) = created(&world, &["--template", &path]);
    changes(&world, &["show", STACK, &id]).ended(5).says("- Topic").says("refused: Topic");
    changes(&world, &["show", STACK, &id, "--allow", "Topic"]).ended(0).says_not("refused");
    changes(&world, &["apply", STACK, &id, "--yes"]).ended(5).says("--allow Topic");
    changes(&world, &["apply", STACK, &id, "--yes", "--allow", "Other"]).ended(5);
    assert_eq!(world.account.count("ExecuteChangeSet"), 0);
    changes(&world, &["apply", STACK, &id, "--yes", "--allow", "Topic"]).ended(0).says("DELETE_COMPLETE");
}

#[test]
fn a_database_that_would_be_replaced_is_refused_and_the_documents_own_update_is_not() {
    let world = world();
    world.account.lock().stacks.all.clear();
    world.account.lock().stacks.add(STACK, &with("Database", &database("mysql")), &OURS);
    let path = template(&world, &with("Database", &database("postgres")));
    let (id, _) = created(&world, &["--template", &path, "--set", "ContainerImage=127.0.0.1:9/app:2"]);
    let ran = changes(&world, &["show", STACK, &id]);
    ran.ended(5).says("↻ Task").says("refused: Database").says_not("refused: Task");
    changes(&world, &["apply", STACK, &id, "--yes"]).ended(5);
    assert_eq!(world.account.count("ExecuteChangeSet"), 0);
    changes(&world, &["apply", STACK, &id, "--yes", "--allow", "Database"]).ended(0);
}

#[test]
fn what_may_be_replaced_is_refused_too() {
    let world = world();
    world.account.lock().stacks.all.clear();
    let instance =
        |kind: &str| json!({ "Type": "AWS::EC2::Instance", "Properties": { "InstanceType": kind } });
    world.account.lock().stacks.add(STACK, &with("Instance", &instance("t3.small")), &OURS);
    let path = template(&world, &with("Instance", &instance("t3.large")));
    let (id, _) = created(&world, &["--template", &path]);
    changes(&world, &["show", STACK, &id]).ended(5).says("may be replaced");
}

#[test]
fn what_changes_in_a_nested_stack_is_seen_or_refused() {
    let world = world();
    let nested = json!({ "Type": "AWS::CloudFormation::Stack", "Properties": { "Url": "1" } });
    world.account.lock().stacks.all.clear();
    world.account.lock().stacks.add(STACK, &with("Nested", &nested), &OURS);
    let path =
        template(&world, &with("Nested", &json!({ "Type": nested["Type"], "Properties": { "Url": "2" } })));
    let (id, _) = created(&world, &["--template", &path]);
    changes(&world, &["show", STACK, &id]).ended(5).says("nested stack whose changes are not shown");
    // AWS made a set for it, too, which removes something.
    world.account.lock().stacks.add("inner", &with("Topic", &json!({ "Type": "AWS::SNS::Topic" })), &OURS);
    let body = template(&world, &service());
    let ran = changes(&world, &["create", "inner", "--template", &body]);
    let inner = ran.ended(0).value("change_set").unwrap().to_owned();
    world.account.lock().stacks.stack(STACK).unwrap().sets[0].changes[0].nested = inner;
    changes(&world, &["show", STACK, &id]).ended(5).says("- Nested/Topic").says("--allow Nested/Topic");
    changes(&world, &["show", STACK, &id, "--allow", "Topic"]).ended(5);
    changes(&world, &["show", STACK, &id, "--allow", "Nested/Topic"]).ended(0);
}

#[test]
fn all_pages_of_a_set_are_read() {
    let world = world();
    let mut new = service();
    for i in 0..25 {
        new["Resources"][format!("Topic{i:02}")] = json!({ "Type": "AWS::SNS::Topic", "Properties": {} });
    }
    world.account.lock().stacks.page = Some(10);
    let path = template(&world, &new);
    let (id, _) = created(&world, &["--template", &path]);
    let ran = changes(&world, &["show", STACK, &id, "--json"]);
    let shown: Value = serde_json::from_str(&ran.ended(0).out).unwrap();
    assert_eq!(shown["review"]["changes"].as_array().unwrap().len(), 25);
    changes(&world, &["apply", STACK, &id, "--yes"]).ended(0).says("Topic24");
}

#[test]
fn nothing_is_applied_but_what_was_reviewed() {
    let world = world();
    let (first, reviewed) = created(&world, &["--set", "ContainerImage=127.0.0.1:9/app:2"]);
    let (other, _) = created(&world, &["--set", "ContainerImage=127.0.0.1:9/app:3"]);
    let ran = changes(&world, &["apply", STACK, &other, "--reviewed", &reviewed, "--yes"]);
    ran.ended(1).says("not what was reviewed");
    // Somebody deletes the set and gives its name to another.
    let name = first.split('/').nth(1).unwrap().to_owned();
    let mut inner = world.account.lock();
    let stack = inner.stacks.stack(STACK).unwrap();
    stack.sets.remove(0);
    stack.sets[0].name.clone_from(&name);
    drop(inner);
    changes(&world, &["apply", STACK, &name, "--reviewed", &reviewed, "--yes"]).ended(1);
    changes(&world, &["apply", STACK, &first, "--reviewed", &reviewed, "--yes"])
        .ended(1)
        .says("no change set");
    assert_eq!(world.account.count("ExecuteChangeSet"), 0);
}

#[test]
fn nobody_to_be_asked_is_no_yes() {
    let world = world();
    let (id, _) = created(&world, &["--set", "ContainerImage=127.0.0.1:9/app:2"]);
    changes(&world, &["apply", STACK, &id]).ended(1).says("--yes");
    assert_eq!(world.account.count("ExecuteChangeSet"), 0);
}

#[test]
fn a_person_types_the_stacks_name() {
    let world = world();
    let (id, _) = created(&world, &["--set", "ContainerImage=127.0.0.1:9/app:2"]);
    for typed in ["yes", "", "xray-poc"] {
        world.run_and_type(&["changes", "apply", STACK, &id], typed).ended(1).says("nothing is applied");
    }
    assert_eq!(world.account.count("ExecuteChangeSet"), 0);
    let ran = world.run_and_type(&["changes", "apply", STACK, &id], STACK);
    ran.ended(0).says("UPDATE_COMPLETE");
}

#[test]
fn what_changes_while_somebody_reads_is_not_applied() {
    let world = world();
    let (id, _) = created(&world, &["--set", "ContainerImage=127.0.0.1:9/app:2"]);
    // At the second look it is another.
    let mut inner = world.account.lock();
    inner.on_change_set = Some(Box::new(|looks, stacks| {
        if looks == 3 {
            stacks.stack(STACK).unwrap().sets[0]
                .parameters
                .insert("Environment".to_owned(), "evil".to_owned());
        }
    }));
    drop(inner);
    changes(&world, &["apply", STACK, &id, "--yes"]).ended(1).says("no longer what was shown");
    assert_eq!(world.account.count("ExecuteChangeSet"), 0);
}

#[test]
fn a_set_of_another_stack_is_not_taken() {
    let world = world();
    world.account.lock().stacks.add("other", &service(), &OURS);
    let (id, _) = created(&world, &["--set", "ContainerImage=127.0.0.1:9/app:2"]);
    changes(&world, &["apply", "other", &id, "--yes"]).ended(1).says("is of the stack");
    assert_eq!(world.account.count("ExecuteChangeSet"), 0);
}

#[test]
fn a_set_that_another_one_has_overtaken_is_not_applied() {
    let world = world();
    world.account.lock().stacks.keeps = true;
    let (old, _) = created(&world, &["--set", "ContainerImage=127.0.0.1:9/app:2"]);
    let (new, _) = created(&world, &["--set", "ContainerImage=127.0.0.1:9/app:3"]);
    changes(&world, &["apply", STACK, &new, "--yes"]).ended(0);
    changes(&world, &["apply", STACK, &old, "--yes"]).ended(1).says("obsolete");
    changes(&world, &["show", STACK, &old]).ended(5).says("obsolete");
    changes(&world, &["show", STACK, &new]).ended(0);
    changes(&world, &["apply", STACK, &new, "--yes"]).ended(0).says("applied already");
    assert_eq!(world.account.count("ExecuteChangeSet"), 1);
    assert_eq!(parameters(&world)[0].1, "127.0.0.1:9/app:3");
}

#[test]
fn a_failed_update_tells_the_first_cause_and_what_to_do_about_it() {
    let world = world();
    let failing = "ContainerImage=fails: CannotPullContainerError: pull image manifest has been retried";
    let (id, _) = created(&world, &["--set", failing]);
    let ran = changes(&world, &["apply", STACK, &id, "--yes"]);
    ran.ended(1)
        .says("UPDATE_ROLLBACK_COMPLETE: Task (AWS::ECS::TaskDefinition) UPDATE_FAILED")
        .says("push it");
    assert_eq!(parameters(&world)[0].1, "127.0.0.1:9/app:1");
    let ran = changes(&world, &["watch", STACK]);
    ran.ended(1).says("CannotPullContainerError").says("push it");
}

#[test]
fn a_service_that_does_not_come_up_is_explained_by_what_it_says() {
    let world = world();
    let unable = "(service s) was unable to start: CannotPullContainerError: manifest unknown";
    let at = |minute: u64| 1_767_268_800 + 60 * minute;
    world.account.lock().service_says =
        vec![(at(59), unable.to_owned()), (at(0) - 86_400, "(service s) of yesterday".to_owned())];
    let mut new = service();
    new["Resources"]["Service"]["Properties"]["DesiredCount"] = "fails: Exceeded attempts to wait".into();
    let path = template(&world, &new);
    let (id, _) = created(&world, &["--template", &path]);
    let ran = changes(&world, &["apply", STACK, &id, "--yes"]);
    ran.ended(1).says("Exceeded attempts to wait").says(unable).says("push it").says_not("of yesterday");
    // Who may not ask is told of the cause all the same.
    let denied = "User: x is not authorized to perform: ecs:DescribeServices on resource: y";
    world.account.trouble("DescribeServices", 1, Trouble::Error(400, "AccessDeniedException", denied));
    changes(&world, &["watch", STACK])
        .ended(1)
        .says("Exceeded attempts to wait")
        .says("ecs:DescribeServices");
}

#[test]
fn what_fails_is_left_as_it_is_when_that_is_said() {
    let world = world();
    let (id, _) = created(&world, &["--set", "ContainerImage=fails: no"]);
    let ran = changes(&world, &["apply", STACK, &id, "--yes", "--no-rollback"]);
    ran.ended(1).says("UPDATE_FAILED").says("rollback-stack");
}

#[test]
fn a_failed_creation_says_that_the_stack_has_to_go_first() {
    let world = World::without_file();
    let path = template(&world, &service());
    let (id, _) = created(&world, &["--template", &path, "--set", "ContainerImage=fails: no"]);
    changes(&world, &["apply", STACK, &id, "--yes"]).ended(1).says("ROLLBACK_COMPLETE").says("delete-stack");
}

#[test]
fn events_are_told_once_the_oldest_first_over_pages_and_cuts() {
    let world = world();
    let mut new = service();
    for i in 0..30 {
        new["Resources"][format!("Topic{i:02}")] = json!({ "Type": "AWS::SNS::Topic", "Properties": {} });
    }
    let path = template(&world, &new);
    let (id, _) = created(&world, &["--template", &path]);
    {
        let mut inner = world.account.lock();
        (inner.stacks.page, inner.stacks.step) = (Some(7), 20);
    }
    let throttled = Trouble::Error(400, "Throttling", "Rate exceeded");
    let ran = std::thread::scope(|scope| {
        let ran = scope.spawn(|| changes(&world, &["apply", STACK, &id, "--yes"]));
        wait_until(|| world.account.count("ExecuteChangeSet") == 1);
        for _ in 0..2 {
            world.account.trouble("DescribeStackEvents", 1, Trouble::Cut);
            world.account.trouble("DescribeStackEvents", 4, throttled.clone());
        }
        ran.join().unwrap()
    });
    ran.ended(0);
    let told: Vec<&str> = ran.out.lines().filter(|line| line.contains("CREATE_COMPLETE  Topic")).collect();
    assert_eq!(told.len(), 30, "{told:#?}");
    assert!(told.is_sorted(), "{told:#?}");
    assert!(ran.out.lines().filter(|line| line.starts_with("12:")).count() > 60);
}

#[test]
fn two_who_apply_the_same_execute_it_once_and_both_see_its_end() {
    let world = world();
    let (id, _) = created(&world, &["--set", "ContainerImage=127.0.0.1:9/app:2"]);
    // The first is heard, and whoever asks again is not answered either.
    world.account.trouble("ExecuteChangeSet", 9, Trouble::Lost);
    std::thread::scope(|scope| {
        let both = [(); 2].map(|()| scope.spawn(|| changes(&world, &["apply", STACK, &id, "--yes"])));
        for ran in both {
            ran.join().unwrap().ended(0);
        }
    });
    assert_eq!(world.account.lock().stacks.stack(STACK).unwrap().executed.len(), 1);
}

#[test]
fn a_stack_that_is_not_there_is_named() {
    let world = world();
    for command in ["watch", "show"] {
        changes(&world, &[command, "nothing-of-this-name"]).ended(1).says("nothing-of-this-name");
    }
    changes(&world, &["watch", ""]).ended(2).says("which stack");
}

#[test]
fn secrets_are_shown_nowhere() {
    let mut world = world();
    let mut new = service();
    new["Parameters"]["DbPassword"] = json!({ "Type": "String", "NoEcho": true });
    new["Resources"]["Task"]["Properties"]["ContainerDefinitions"][0]["Secret"] =
        json!({ "Ref": "DbPassword" });
    new["Resources"]["Task"]["Properties"]["ContainerDefinitions"][0]["Address"] =
        json!({ "Ref": "DbPassword" });
    new["Resources"]["Task"]["Properties"]["Url"] = "postgresql://app:canary@db/app".into();
    new["Resources"]["Task"]["Properties"]["ApiToken"] = "canary-of-a-token".into();
    let path = template(&world, &new);
    // `World::ran` fails where a canary is told.
    let (id, _) = created(&world, &["--template", &path, "--set", "DbPassword=canary-of-a-parameter"]);
    for form in ["--markdown", "--json"] {
        changes(&world, &["show", STACK, &id, form]).ended(0).says("****");
    }
    changes(&world, &["apply", STACK, &id, "--yes"]).ended(0);
    world.set("DB_PASSWORD", "canary-of-a-variable");
    created(&world, &["--set-from", "DbPassword=DB_PASSWORD"]);
    assert!(format!("{:?}", world.account.calls("CreateChangeSet")).contains("canary-of-a-variable"));
    changes(&world, &["create", STACK, "--set-from", "DbPassword=NO_SUCH"]).ended(2).says("NO_SUCH");
    changes(&world, &["create", STACK, "--set", "canary-without-its-name"]).ended(2);
    // The value that it has is the stack's, and unknown here.
    created(&world, &["--set", "ContainerImage=127.0.0.1:9/app:2"]);
}

#[test]
fn an_entry_of_an_environment_is_judged_by_the_name_beside_it() {
    let world = world();
    let mut new = service();
    new["Resources"]["Task"]["Properties"]["ContainerDefinitions"][0]["Environment"] = json!([{ "Name": "MODE", "Value": "fast" }, { "Name": "DB_PASSWORD", "Value": "canary-of-an-entry" }]);
    let path = template(&world, &new);
    let (id, _) = created(&world, &["--template", &path]);
    for form in ["--markdown", "--json"] {
        changes(&world, &["show", STACK, &id, form]).ended(0).says("****").says("fast").says("DB_PASSWORD");
    }
}

#[test]
fn a_review_for_a_pull_request_cannot_leave_its_fence() {
    let world = world();
    let (id, _) =
        created(&world, &["--set", "ContainerImage=127.0.0.1:9/app:2\n```\n# free <img> @everyone"]);
    let ran = changes(&world, &["show", STACK, &id, "--markdown"]);
    let fences = ran.ended(0).out.lines().filter(|line| line.starts_with("```")).count();
    assert_eq!(fences, 2, "{}", ran.out);
    assert!(ran.out.starts_with("### "));
}
