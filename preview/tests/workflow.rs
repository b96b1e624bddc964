//! The workflow as a caller meets it, run by act: which jobs an event starts, and what `preview` then makes
//! of an account and a pull request.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::exit)]

mod support;

use serde_json::json;
use support::account::{DB_GROUP, GROUP};
use support::act::{begins, happens, pull_request, schedule};
use support::github::HEAD;
use support::status::{document, failed, says};
use support::wait::{signal, until};
use support::world::{World, act_as_preview};

#[test]
fn preview() {
    act_as_preview();
}

/// A world whose agents say this of the pull request that they were launched for.
fn world(outcome: &'static str) -> World {
    let world = World::new();
    world.account.on_launch(move |id, inner| {
        let launched = inner.instances.iter().find(|instance| instance.id == id).unwrap();
        let number = launched.tags["PullRequest"].parse().unwrap();
        says(inner, number, &document(id, number, outcome));
    });
    world
}

#[track_caller]
fn nothing_is_left(world: &World, number: u64) {
    assert_eq!(world.account.alive().len(), 0);
    let rules = [world.account.rules(GROUP), world.account.rules(DB_GROUP)].concat();
    assert_eq!((rules, world.account.parameters()), (vec![], vec![]));
    let [comment] = world.github.comments(number).try_into().unwrap();
    assert!(comment.contains("The preview is gone"), "{comment}");
    let deployed = world.github.deployed(number);
    assert!(!deployed.is_empty() && deployed.iter().all(|state| state == "inactive"), "{deployed:?}");
}

#[test]
fn a_pull_request_gets_its_url_in_a_comment_and_leaves_nothing_when_it_closes() {
    let world = world("ready");
    let run = happens(&world, &pull_request("opened", 7), "");
    assert_eq!(run.went(true).jobs(), ["build", "up"], "{}", run.log);
    assert!(run.log.contains("Preview URL: http://127.0.0.1:8000"), "{}", run.log);
    assert!(!run.log.contains("canary-of"), "{}", run.log);
    let [comment] = world.github.comments(7).try_into().unwrap();
    assert!(comment.contains("http://127.0.0.1:8000"), "{comment}");
    assert_eq!((world.account.alive().len(), world.github.deployed(7)), (1, vec!["success".to_owned()]));

    let run = happens(&world, &pull_request("synchronize", 7), "");
    assert_eq!(run.went(true).jobs(), ["build", "up"]);
    assert_eq!((world.account.alive().len(), world.github.comments(7).len()), (1, 1));

    world.github.close(7);
    let run = happens(&world, &pull_request("closed", 7), "");
    assert_eq!(run.went(true).jobs(), ["down"]);
    nothing_is_left(&world, 7);
}

#[test]
fn a_close_while_the_preview_comes_up_ends_the_wait_and_leaves_nothing() {
    let world = world("in_progress");
    let going = begins(&world, &pull_request("opened", 7), "");
    until("an instance", || !world.account.alive().is_empty());
    world.github.close(7);
    // The run of the close waits for this one, which would wait for its 20 minutes.
    let run = going.ended();
    assert!(run.went(true).log.contains("was closed meanwhile"), "{}", run.log);
    nothing_is_left(&world, 7);
    assert_eq!(happens(&world, &pull_request("closed", 7), "").went(true).jobs(), ["down"]);
    nothing_is_left(&world, 7);
}

#[test]
fn of_two_pull_requests_the_newest_push_has_the_instance_until_its_own_close() {
    let world = world("ready");
    world.github.open(71);
    happens(&world, &pull_request("opened", 7), "").went(true);
    happens(&world, &pull_request("opened", 71), "").went(true);
    let [instance] = world.account.alive().try_into().unwrap();
    assert_eq!(instance.tags["PullRequest"], "71");
    let [comment] = world.github.comments(7).try_into().unwrap();
    assert!(comment.contains("#71 replaced"), "{comment}");

    world.github.close(7);
    assert_eq!(happens(&world, &pull_request("closed", 7), "").went(true).jobs(), ["down"]);
    let [left] = world.account.alive().try_into().unwrap();
    assert_eq!(left.id, instance.id);
    assert_eq!(
        world.account.rules(GROUP),
        ["8000 203.0.113.0/24 pr-preview viewers", "8000 127.0.0.1/32 pr-preview PR 71"]
    );
    assert_eq!(world.account.parameters(), ["/pr-preview/71/database-url", "/pr-preview/71/status"]);
    assert_eq!((world.github.deployed(7), world.github.deployed(71)), (inactive(), success()));

    world.github.close(71);
    happens(&world, &pull_request("closed", 71), "").went(true);
    nothing_is_left(&world, 71);
}

fn inactive() -> Vec<String> {
    vec!["inactive".to_owned()]
}

fn success() -> Vec<String> {
    vec!["success".to_owned()]
}

/// A job is cancelled by this signal while `preview` waits, and then the pull request is closed and its run
/// is cancelled, too: the sweep is all that is left.
fn cancelled_by(name: &str, told: &str) {
    let world = world("in_progress");
    let going = begins(&world, &pull_request("opened", 7), "");
    let step = going.step();
    until("a look at the status", || world.account.count("GetParameter") >= 3);
    signal(step, name);
    going.ended().went(false);
    let [comment] = world.github.comments(7).try_into().unwrap();
    assert!(comment.contains(told), "{comment}");
    assert_eq!((world.account.alive().len(), world.account.parameters().len()), (1, 2), "what it launched");

    let run = happens(&world, &schedule(), "");
    assert_eq!(run.went(true).jobs(), ["sweep"]);
    assert_eq!(world.account.alive().len(), 1, "its pull request is open");
    world.github.close(7);
    assert_eq!(happens(&world, &schedule(), "").went(true).jobs(), ["sweep"]);
    nothing_is_left(&world, 7);
}

#[test]
fn a_cancelled_job_says_so_and_what_it_leaves_is_swept_after_the_close() {
    cancelled_by("INT", "the preview goes on");
}

#[test]
fn a_job_that_is_killed_says_nothing_and_what_it_leaves_is_swept_after_the_close() {
    cancelled_by("KILL", "is being launched");
}

#[test]
fn a_failing_migration_is_a_red_check_with_its_log() {
    let world = World::new();
    world.account.on_launch(|id, inner| says(inner, 7, &failed(id, 7)));
    world.account.lock().log = "alembic: Can't locate revision identified by '0009'".to_owned();
    let run = happens(&world, &pull_request("opened", 7), "");
    assert_eq!(run.went(false).jobs(), ["build", "up"]);
    let [comment] = world.github.comments(7).try_into().unwrap();
    for words in ["migration_failed", "Correct the migration.", "Can't locate revision"] {
        assert!(comment.contains(words), "{words}: {comment}");
    }
}

#[test]
fn forks_dependabot_and_other_labels_start_nothing_that_has_rights() {
    let world = World::new();
    let mut fork = pull_request("opened", 7);
    fork["pull_request"]["head"]["repo"]["full_name"] = "eve/api".into();
    assert_eq!(happens(&world, &fork, "").went(true).jobs(), ["skipped"]);
    let mut dependabot = pull_request("opened", 7);
    dependabot["pull_request"]["user"]["login"] = "dependabot[bot]".into();
    assert_eq!(happens(&world, &dependabot, "").went(true).jobs(), ["skipped"]);
    let mut labeled = pull_request("labeled", 7);
    labeled["label"] = json!({ "name": "size/S" });
    assert_eq!(happens(&world, &labeled, "label: preview").went(true).jobs(), Vec::<&str>::new());
    assert_eq!(world.account.lock().seen.len(), 0);
}

#[test]
fn the_label_brings_it_up_its_removal_takes_it_down_and_a_reopened_one_is_as_a_new_one() {
    let world = world("ready");
    let with = "label: preview";
    let mut labeled = pull_request("labeled", 7);
    labeled["label"] = json!({ "name": "preview" });
    assert_eq!(happens(&world, &labeled, with).went(true).jobs(), ["build", "up"]);
    assert_eq!(world.account.alive().len(), 1);

    let mut unlabeled = pull_request("unlabeled", 7);
    unlabeled["label"] = json!({ "name": "preview" });
    unlabeled["pull_request"]["labels"] = json!([]);
    assert_eq!(happens(&world, &unlabeled, with).went(true).jobs(), ["down"]);
    nothing_is_left(&world, 7);

    assert_eq!(happens(&world, &pull_request("reopened", 7), with).went(true).jobs(), ["build", "up"]);
    let [instance] = world.account.alive().try_into().unwrap();
    assert_eq!((instance.tags["Commit"].as_str(), world.github.comments(7).len()), (HEAD, 1));
}

#[test]
fn the_schedule_takes_away_what_no_run_has_taken_down() {
    let world = world("ready");
    world.run(&["up", "7"]).ended(0);
    world.github.close(7);
    let run = happens(&world, &schedule(), "");
    assert_eq!(run.went(true).jobs(), ["sweep"], "{}", run.log);
    nothing_is_left(&world, 7);
}
