//! `preview down` and `preview sweep`: nothing is left behind, and nothing else is touched.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::exit)]

mod support;

use support::account::{DB_GROUP, GROUP};
use support::calls::Trouble;
use support::ec2::{Instance, Rule};
use support::github::Refusal;
use support::standing::has;
use support::status::{document, says};
use support::world::{World, act_as_preview};

#[test]
fn preview() {
    act_as_preview();
}

fn world() -> World {
    let mut world = World::new();
    world.set("DB_SG_ID", DB_GROUP);
    world
}

#[test]
fn a_close_takes_everything_of_the_pull_request_along() {
    let mut world = world();
    has(&world, 7);
    world.github.comment(7, Some(support::github::BOT), "<!-- preview-agent -->\n✅");
    world.github.close(7);
    world.pull_request("closed", 7);
    let ran = world.run(&["down"]);
    ran.ended(0).says("ended i-7");
    assert_eq!(ran.value("outcome"), Some("gone"));
    assert_eq!(world.account.alive().len(), 0);
    assert_eq!((world.account.rules(GROUP), world.account.rules(DB_GROUP)), (vec![], vec![]));
    assert_eq!(world.account.parameters(), Vec::<String>::new());
    let [comment] = world.github.comments(7).try_into().unwrap();
    assert!(comment.contains("The preview is gone"), "{comment}");
}

#[test]
fn one_that_closes_leaves_the_other_with_its_rules_and_its_viewers() {
    let mut world = world();
    // "PR 1" is a beginning of "PR 12".
    has(&world, 12);
    has(&world, 1);
    world.account.lock().instances.retain(|instance| instance.id == "i-12");
    world.github.open(12);
    world.github.close(1);
    world.pull_request("closed", 1);
    world.run(&["down"]).ended(0);
    let [left] = world.account.alive().try_into().unwrap();
    assert_eq!(left.id, "i-12");
    let rules = world.account.rules(GROUP);
    assert_eq!(
        rules,
        [
            "8000 192.0.2.12/32 pr-preview PR 12",
            "8000 198.51.100.12/32 pr-preview PR 12 runner",
            "8000 203.0.113.0/24 pr-preview viewers"
        ]
    );
    assert_eq!(world.account.parameters(), ["/pr-preview/12/database-url", "/pr-preview/12/status"]);
}

#[test]
fn the_instance_stays_while_another_pull_request_is_open() {
    let mut world = world();
    has(&world, 1);
    world.github.open(2);
    world.github.close(1);
    world.github.lock().pulls.remove(&7);
    world.pull_request("closed", 1);
    world.run(&["down"]).ended(0).says("i-1 stays while #2 is open");
    assert_eq!(
        (world.account.alive().len(), world.account.parameters()),
        (1, vec!["/pr-preview/1/status".to_owned()])
    );
    assert_eq!(world.account.rules(GROUP), ["8000 203.0.113.0/24 pr-preview viewers"]);
    world.github.close(2);
    world.pull_request("closed", 2);
    world.run(&["sweep", "--act"]).ended(0).says("ended i-1");
    assert_eq!((world.account.alive().len(), world.account.rules(GROUP)), (0, vec![]));
}

#[test]
fn the_last_close_takes_along_what_stayed_for_it() {
    let mut world = world();
    has(&world, 1);
    world.github.lock().pulls.remove(&7);
    world.github.open(2);
    world.github.close(1);
    world.pull_request("closed", 1);
    world.run(&["down"]).ended(0).says("i-1 stays while #2 is open");
    world.github.close(2);
    world.pull_request("closed", 2);
    world.run(&["down"]).ended(0).says("ended i-1");
    assert_eq!((world.account.alive().len(), world.account.rules(GROUP)), (0, vec![]));
    assert_eq!(world.account.parameters(), Vec::<String>::new());
    let [comment] = world.github.comments(1).try_into().unwrap();
    assert!(comment.contains("The preview is gone"), "{comment}");
    assert_eq!(world.github.comments(2).len(), 0, "it never had a preview");
}

#[test]
fn settings_that_are_wrong_leave_nothing_behind() {
    let mut world = world();
    has(&world, 7);
    world.github.file(support::github::BASE, "viewrs: []\n");
    world.github.close(7);
    world.pull_request("closed", 7);
    world.run(&["down"]).ended(0);
    assert_eq!((world.account.alive().len(), world.account.rules(DB_GROUP)), (0, vec![]));
    assert_eq!(world.account.parameters(), Vec::<String>::new());
}

#[test]
fn rules_that_were_made_by_hand_are_found_by_the_handbooks_description() {
    let mut world = world();
    has(&world, 7);
    world.account.lock().rules.iter_mut().for_each(|rule| rule.tags.clear());
    world.github.close(7);
    world.pull_request("closed", 7);
    world.run(&["down"]).ended(0);
    assert_eq!(
        (world.account.rules(GROUP), world.account.rules(DB_GROUP)),
        (vec!["8000 203.0.113.0/24 pr-preview viewers".to_owned()], vec![])
    );
}

#[test]
fn what_is_gone_already_is_no_failure() {
    // Of an instance that AWS does not know any more nothing is waited for long.
    let mut world = World::impatient();
    world.set("DB_SG_ID", DB_GROUP);
    world.github.close(7);
    world.pull_request("closed", 7);
    world.run(&["down"]).ended(0).says("there was nothing");
    assert_eq!(world.github.comments(7).len(), 0, "it never had a preview");
    has(&world, 7);
    let message = "The security group rule ID 'sgr-0' does not exist";
    world.account.trouble(
        "RevokeSecurityGroupIngress",
        1,
        Trouble::Error(400, "InvalidSecurityGroupRuleId.NotFound", message),
    );
    world.account.trouble("TerminateInstances", 1, Trouble::Error(400, "InvalidInstanceID.NotFound", "i-7"));
    world.run(&["down"]).ended(0);
}

#[test]
fn an_open_one_stays_whatever_an_old_event_says() {
    let mut world = world();
    has(&world, 7);
    world.pull_request("closed", 7);
    world.run(&["down"]).ended(0).says("#7 is open");
    assert_eq!(world.account.alive().len(), 1);
    world.run(&["down", "7", "--force"]).ended(0);
    assert_eq!(world.account.alive().len(), 0);
}

#[test]
fn a_label_that_is_taken_off_takes_the_preview_along() {
    let mut world = world();
    has(&world, 7);
    world.set("PREVIEW_LABEL", "preview");
    let head = serde_json::json!({ "sha": support::github::HEAD, "repo": { "full_name": "acme/api" } });
    let pull = serde_json::json!({ "number": 7, "state": "open", "head": head, "labels": [] });
    let event = |name: &str| serde_json::json!({ "action": "unlabeled", "label": { "name": name }, "pull_request": pull });
    world.event("pull_request", &event("size/S"));
    world.run(&["down"]).ended(0).says("skipped");
    assert_eq!(world.account.alive().len(), 1);
    world.event("pull_request", &event("preview"));
    world.run(&["down"]).ended(0).says("ended i-7");
}

#[test]
fn what_cannot_be_removed_is_named_and_the_rest_goes() {
    let mut world = world();
    has(&world, 7);
    world.github.close(7);
    world.pull_request("closed", 7);
    let message =
        "The instance 'i-7' may not be terminated. Modify its 'disableApiTermination' instance attribute";
    world.account.trouble("TerminateInstances", 1, Trouble::Error(400, "OperationNotPermitted", message));
    world.run(&["down"]).ended(1).says("OperationNotPermitted").says("protected");
    let [comment] = world.github.comments(7).try_into().unwrap();
    assert!(
        comment.contains("could not be removed") && comment.contains("OperationNotPermitted"),
        "{comment}"
    );
    assert_eq!(world.account.parameters(), Vec::<String>::new());
    assert!(!world.account.rules(GROUP).iter().any(|rule| rule.ends_with("PR 7")));
}

#[test]
fn a_sweep_looks_and_touches_nothing_until_it_may_act() {
    let mut world = world();
    has(&world, 7);
    has(&world, 8);
    world.account.lock().instances[0].tags.insert("Purpose".to_owned(), "pr-preview".to_owned());
    world.github.close(7);
    world.github.open(8);
    world.run(&["sweep"]).ended(0).says("#7 is closed").says("--act");
    assert_eq!(world.account.alive().len(), 2);
    world.event("schedule", &serde_json::json!({}));
    world.run(&["sweep"]).ended(0).says("ended i-7").says_not("i-8");
    assert_eq!(world.account.alive().len(), 1);
    world.run(&["sweep"]).ended(0).says("nothing is left over");
}

#[test]
fn a_sweep_finds_what_has_no_instance_any_more() {
    let world = world();
    has(&world, 7);
    world.github.close(7);
    world.account.lock().instances.clear();
    world.run(&["sweep", "--act"]).ended(0).says("swept");
    assert_eq!((world.account.rules(GROUP), world.account.parameters()), (vec![], vec![]));
}

#[test]
fn a_sweep_ends_nothing_on_an_answer_that_is_none() {
    let world = world();
    has(&world, 7);
    for refusal in
        [Refusal::new(502, "Bad Gateway"), Refusal::new(403, "Resource not accessible by integration")]
    {
        world.github.refuse("GET /repos/acme/api/pulls/7", 9, refusal);
        world.run(&["sweep", "--act"]).ended(0).says("#7 is left as it is");
        world.github.lock().refusals.clear();
        assert_eq!(world.account.alive().len(), 1);
    }
    // No such pull request, in a repository that can be seen.
    world.github.lock().pulls.clear();
    world.run(&["sweep", "--act"]).ended(0).says("ended i-7");
    // A repository that cannot be seen proves nothing.
    has(&world, 7);
    world.github.refuse("GET /repos/acme/api/pulls", 9, Refusal::new(404, "Not Found"));
    world.github.refuse("GET /repos/acme/api ", 9, Refusal::new(404, "Not Found"));
    world.github.refuse("GET /repos/acme/api/", 9, Refusal::new(404, "Not Found"));
    let ran = world.run(&["sweep", "--act"]);
    assert_eq!(world.account.alive().len(), 1, "{ran:?}");
}

#[test]
fn another_repositorys_previews_of_the_same_number_stay() {
    let mut world = world();
    let tags = [("Purpose", "pr-preview-singleton"), ("Repository", "acme/web"), ("PullRequest", "7")];
    let mut inner = world.account.lock();
    inner.instances.push(Instance::running("i-web", &tags));
    says(&mut inner, 7, &document("i-web", 7, "ready"));
    let tags = tags.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
    let rule = Rule {
        id: "sgr-web".to_owned(),
        group: GROUP.to_owned(),
        port: "8000".to_owned(),
        from: "192.0.2.99/32".to_owned(),
        description: "pr-preview PR 7".to_owned(),
        tags,
    };
    inner.rules.push(rule);
    drop(inner);
    world.github.close(7);
    world.pull_request("closed", 7);
    world.run(&["down"]).ended(0);
    world.run(&["sweep", "--act"]).ended(0).says("nothing is left over");
    assert_eq!((world.account.alive().len(), world.account.rules(GROUP).len()), (1, 1));
    assert_eq!(world.account.parameters(), ["/pr-preview/7/status"]);
}

#[test]
fn the_last_word_of_an_agent_that_ends_brings_nothing_back() {
    let mut world = world();
    has(&world, 7);
    world.account.lock().ending = 4;
    world.account.on_end(|id, inner| says(inner, 7, &document(id, 7, "ready")));
    world.github.close(7);
    world.pull_request("closed", 7);
    world.run(&["down"]).ended(0);
    assert_eq!(world.account.parameters(), Vec::<String>::new());
}

#[test]
fn an_outsiders_pull_request_keeps_no_instance() {
    let mut world = world();
    has(&world, 7);
    world.github.close(7);
    world.github.open(9);
    world.github.lock().forks.push(9);
    world.pull_request("closed", 7);
    world.run(&["down"]).ended(0).says("ended i-7");
}

#[test]
fn a_label_that_is_back_keeps_the_preview_when_an_old_run_is_run_again() {
    let mut world = world();
    has(&world, 7);
    world.set("PREVIEW_LABEL", "preview");
    let head = serde_json::json!({ "sha": support::github::HEAD, "repo": { "full_name": "acme/api" } });
    let pull = serde_json::json!({ "number": 7, "state": "open", "head": head, "labels": [] });
    let event =
        serde_json::json!({ "action": "unlabeled", "label": { "name": "preview" }, "pull_request": pull });
    world.event("pull_request", &event);
    world.github.lock().labels.push((7, "preview".to_owned()));
    world.run(&["down"]).ended(0).says("#7 is open");
    assert_eq!(world.account.alive().len(), 1);
}

#[test]
fn force_ends_the_shared_instance_even_while_another_pull_request_is_open() {
    let world = World::new();
    world.account.on_launch(|id, inner| says(inner, 7, &document(id, 7, "ready")));
    world.run(&["up", "7"]).ended(0);
    world.github.open(8);
    world.run(&["down", "7", "--force"]).ended(0);
    assert_eq!((world.account.alive().len(), world.account.rules(GROUP)), (0, vec![]));
    assert_eq!(world.account.parameters(), Vec::<String>::new());
}
