//! `preview list` and `status`: every preview with its own status, wherever that is kept.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::exit)]

mod support;

use std::time::{Duration, Instant};

use preview_agent::status::Timestamp;
use serde_json::Value;
use support::account::Inner;
use support::calls::Trouble;
use support::ec2::Instance;
use support::github::BASE;
use support::ssm::Parameter;
use support::status::document;
use support::wait::until;
use support::world::{SETTINGS, World, act_as_preview};

#[test]
fn preview() {
    act_as_preview();
}

type Tags<'a> = [(&'a str, &'a str); 3];

/// The tags of pull request 7 of this repository.
fn tags(repository: &str) -> Tags<'_> {
    [("Purpose", "pr-preview-singleton"), ("Repository", repository), ("PullRequest", "7")]
}

/// A parameter with these tags.
fn put(inner: &mut Inner, name: &str, value: &str, tags: Tags<'_>) {
    let tags = tags.map(|(key, value)| (key.to_owned(), value.to_owned())).into();
    inner.parameters.insert(name.to_owned(), Parameter { value: value.to_owned(), secure: false, tags });
}

fn listed(world: &World) -> Vec<Value> {
    let ran = world.run(&["list", "--json"]);
    serde_json::from_str(&ran.ended(0).out).unwrap()
}

#[test]
fn each_repositorys_status_is_found_by_its_tags() {
    let world = World::new();
    let mut inner = world.account.lock();
    for (repository, path) in [("acme/api", "/pr-preview"), ("acme/web", "/web/previews")] {
        let id = format!("i-{}", &repository[5..]);
        inner.instances.push(Instance::running(&id, &tags(repository)));
        let status = document(&id, 7, "ready").to_string();
        put(&mut inner, &format!("{path}/7/status"), &status, tags(repository));
        put(&mut inner, &format!("{path}/7/database-url"), "secret", tags(repository));
    }
    drop(inner);
    let rows = listed(&world);
    for (row, id) in rows.iter().zip(["i-api", "i-web"]) {
        assert_eq!(row["verdict"], format!("ready: said by the agent of {id}"));
    }
    assert_eq!(rows.len(), 2);
}

#[test]
fn a_folder_that_has_changed_since_the_launch_hides_no_status() {
    let world = World::new();
    world.github.file(BASE, &format!("path: /elsewhere\n{SETTINGS}"));
    let mut inner = world.account.lock();
    inner.instances.push(Instance::running("i-7", &tags("acme/api")));
    inner.log = "a line of the log".to_owned();
    put(&mut inner, "/pr-preview/7/status", &document("i-7", 7, "ready").to_string(), tags("acme/api"));
    drop(inner);
    world.run(&["status", "7"]).ended(0).says("ready: said by the agent of i-7");
    world.run(&["logs", "7"]).ended(0).says("a line of the log");
}

/// Waits until this command says so.
#[track_caller]
fn says_in_time(world: &World, arguments: &[&str], words: &str) {
    let until = Instant::now() + Duration::from_secs(20);
    loop {
        let ran = world.run(arguments);
        if ran.ended(0).out.contains(words) {
            return;
        }
        assert!(Instant::now() < until, "never {words}: {ran:#?}");
    }
}

#[test]
fn a_launch_whose_run_was_killed_is_stale_and_its_comment_says_since_when() {
    let mut world = World::impatient();
    world.set("GITHUB_RUN_ID", "4711");
    world.account.trouble("RunInstances", 9, Trouble::Hang);
    let mut child = world.command(&["up", "7"]).spawn().unwrap();
    until("a launch", || world.account.count("RunInstances") >= 2);
    child.kill().unwrap();
    child.wait().unwrap();
    let [comment] = world.github.comments(7).try_into().unwrap();
    let year = Timestamp::from(std::time::SystemTime::now()).to_string()[..4].to_owned();
    assert!(comment.contains(&format!("since {year}-")), "{comment}");
    assert!(comment.contains("https://github.com/acme/api/actions/runs/4711"), "{comment}");
    says_in_time(&world, &["list"], "stale");
    says_in_time(&world, &["sweep", "--act"], "stale");
    let [row] = listed(&world).try_into().unwrap();
    assert_eq!((&row["number"], &row["stale"], &row["instance"]), (&7.into(), &true.into(), &Value::Null));
    // It is the pull request's own, which is open.
    assert_eq!(world.account.parameters(), ["/pr-preview/7/database-url", "/pr-preview/7/status"]);
}

#[test]
fn a_launch_that_goes_on_is_not_stale() {
    let world = World::new();
    world.account.trouble("RunInstances", 9, Trouble::Hang);
    let mut child = world.command(&["up", "7"]).spawn().unwrap();
    until("a launch", || world.account.count("RunInstances") >= 2);
    let [row] = listed(&world).try_into().unwrap();
    assert_eq!((&row["number"], &row["stale"]), (&7.into(), &false.into()));
    world.run(&["sweep"]).ended(0).says_not("stale");
    child.kill().unwrap();
    child.wait().unwrap();
}

#[test]
fn an_agent_that_no_longer_reports_or_never_did_is_stale() {
    let world = World::new();
    let mut inner = world.account.lock();
    for (repository, id) in [("acme/api", "i-dead"), ("acme/mute", "i-mute"), ("acme/web", "i-well")] {
        let mut instance = Instance::running(id, &tags(repository));
        instance.launched = "2020-11-29T10:00:00.000Z".to_owned();
        inner.instances.push(instance);
        let mut status = document(id, 7, "ready");
        if id == "i-dead" {
            status["expires_at"] = "2020-11-29T10:05:00Z".into();
        }
        if id != "i-mute" {
            put(&mut inner, &format!("/{id}/7/status"), &status.to_string(), tags(repository));
        }
    }
    drop(inner);
    let stale: Vec<bool> = listed(&world).iter().map(|row| row["stale"].as_bool().unwrap()).collect();
    assert_eq!(stale, [true, true, false]);
    world.run(&["list"]).ended(0).says("stale").says("ready: said by the agent of i-well");
    world.run(&["sweep", "--act"]).ended(0).says("#7").says("stale");
    assert_eq!(world.account.alive().len(), 3);
}

#[test]
fn a_pull_request_that_another_has_replaced_is_not_stale() {
    let world = World::new();
    let mut inner = world.account.lock();
    let of_9 = [("Purpose", "pr-preview-singleton"), ("Repository", "acme/api"), ("PullRequest", "9")];
    inner.instances.push(Instance::running("i-9", &of_9));
    put(&mut inner, "/pr-preview/9/status", &document("i-9", 9, "ready").to_string(), of_9);
    let mut before = document("i-7", 7, "ready");
    before["heartbeat_at"] = "2020-11-29T10:00:00Z".into();
    put(&mut inner, "/pr-preview/7/status", &before.to_string(), tags("acme/api"));
    drop(inner);
    world.github.open(9);
    assert_eq!(listed(&world).len(), 1);
    world.run(&["sweep"]).ended(0).says_not("stale");
}

#[test]
fn what_may_not_be_read_hides_no_other_and_stops_no_sweep() {
    let world = World::new();
    let mut inner = world.account.lock();
    for (number, id) in [("7", "i-7"), ("8", "i-8")] {
        let tags = [("Purpose", "pr-preview"), ("Repository", "acme/api"), ("PullRequest", number)];
        inner.instances.push(Instance::running(id, &tags));
        put(&mut inner, &format!("/pr-preview/{number}/status"), "{}", tags);
    }
    drop(inner);
    world.github.close(8);
    let denied =
        || Trouble::Error(400, "AccessDeniedException", "not authorized to perform: ssm:GetParameter");
    world.account.trouble("GetParameter", 99, denied());
    let rows = listed(&world);
    assert!(rows.len() == 2 && rows.iter().all(|row| row["stale"] == false), "{rows:?}");
    world.run(&["sweep", "--act"]).ended(0).says("ended i-8");
    world.account.trouble("DescribeParameters", 99, denied());
    assert_eq!(listed(&world).len(), 1);
}
