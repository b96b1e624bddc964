//! An account and a repository with far more in them than fits on a page: what is ours is found on each page,
//! and nothing else is touched.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::exit)]

mod support;

use std::collections::{BTreeMap, BTreeSet};

use serde_json::json;
use support::account::{GROUP, Inner};
use support::ec2::{Instance, Rule};
use support::github::{BASE, BOT, HEAD};
use support::ssm::Parameter;
use support::status::{document, says};
use support::world::{SETTINGS, World, act_as_preview};

#[test]
fn preview() {
    act_as_preview();
}

const MARKER: &str = "<!-- preview-agent -->";

fn tags(of: &[(&str, &str)]) -> BTreeMap<String, String> {
    of.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
}

/// Tags of a preview with an instance of its own.
fn of<'a>(repository: &'a str, number: &'a str) -> [(&'static str, &'a str); 3] {
    [("Purpose", "pr-preview"), ("Repository", repository), ("PullRequest", number)]
}

fn rule(inner: &mut Inner, id: &str, description: &str, of: &[(&str, &str)]) {
    let from = format!("10.0.{}.0/24", inner.rules.len());
    let (id, group, port) = (id.to_owned(), GROUP.to_owned(), "8000".to_owned());
    inner.rules.push(Rule { id, group, port, from, description: description.to_owned(), tags: tags(of) });
}

fn parameter(inner: &mut Inner, name: String, of: &[(&str, &str)]) {
    inner.parameters.insert(name, Parameter { value: "x".to_owned(), secure: true, tags: tags(of) });
}

/// 300 instances, 200 rules, 240 parameters and 120 deployments of others, among which #7 has two of each, on the
/// first page and on the last; and 120 comments of others before its own.
fn crowd() -> World {
    let world = World::new();
    for commit in [BASE, HEAD] {
        world.github.file(commit, &SETTINGS.replace("viewers:", "scope: pull-request\nviewers:"));
    }
    world.account.on_launch(|id, inner| says(inner, 7, &document(id, 7, "ready")));
    let mut inner = world.account.lock();
    inner.page = Some(25);
    ours(&mut inner, "first");
    for i in 0..300 {
        // "7" is their beginning.
        let number = (700 + i).to_string();
        let other: &[(&str, &str)] = match i % 5 {
            0 => &of("acme/web", "7"),
            1 => &of("acme/api", &number),
            2 => &[("Purpose", "production"), ("Repository", "acme/api"), ("PullRequest", "7")],
            3 => &[("Purpose", "pr-preview"), ("PullRequest", "7")],
            _ => &[],
        };
        inner.instances.push(Instance::running(&format!("i-other-{i}"), other));
        if i < 200 {
            let (description, other) = match i % 2 {
                0 => ("pr-preview PR 7".to_owned(), of("acme/web", "7")),
                _ => (format!("pr-preview PR {number}"), of("acme/api", &number)),
            };
            rule(&mut inner, &format!("sgr-other-{i}"), &description, &other);
        }
        if i < 120 {
            parameter(&mut inner, format!("/pr-preview/{number}/status"), &of("acme/api", &number));
            parameter(&mut inner, format!("/pr-preview-web/7/secret-{i}"), &of("acme/web", "7"));
        }
    }
    ours(&mut inner, "last");
    drop(inner);
    deployed(&world, 7);
    for i in 0..120 {
        world.github.open(700 + i);
        world.github.comment(7, Some("octocat"), &format!("comment {i}"));
        deployed(&world, 700 + i);
    }
    deployed(&world, 7);
    world.github.comment(7, Some(BOT), &format!("{MARKER}\nold"));
    world
}

/// An instance, a rule and a parameter of #7.
fn ours(inner: &mut Inner, place: &str) {
    inner.instances.push(Instance::running(&format!("i-ours-{place}"), &of("acme/api", "7")));
    rule(inner, &format!("sgr-ours-{place}"), "pr-preview PR 7", &of("acme/api", "7"));
    parameter(inner, format!("/pr-preview/7/{place}"), &of("acme/api", "7"));
}

fn deployed(world: &World, number: u64) {
    let mut inner = world.github.lock();
    let id = inner.deployments.len() + 1;
    inner.deployments.push(json!({ "id": id, "payload": { "pull_request": number }, "sha": HEAD }));
}

/// What others have, as far as anybody could touch it.
fn of_others(world: &World) -> BTreeSet<String> {
    let inner = world.account.lock();
    let instances = inner.instances.iter().filter(|it| it.id.contains("other"));
    let mut all: BTreeSet<String> = instances.map(|it| format!("{} {}", it.id, it.state)).collect();
    all.extend(inner.rules.iter().map(|it| it.id.clone()).filter(|id| id.contains("other")));
    let names = inner.parameters.iter().filter(|(name, _)| !name.starts_with("/pr-preview/7/"));
    all.extend(names.map(|(name, it)| format!("{name} {} {:?}", it.value, it.tags)));
    drop(inner);
    all.extend(world.github.comments(7).into_iter().filter(|comment| !comment.starts_with(MARKER)));
    all.extend((700..820).map(|number| format!("{number} {:?}", world.github.deployed(number))));
    all
}

#[track_caller]
fn are_untouched(before: &BTreeSet<String>, world: &World) {
    let now = of_others(world);
    assert_eq!(before.symmetric_difference(&now).collect::<Vec<_>>(), Vec::<&String>::new());
}

/// Ids of our instances that are alive, of our rules, and names of our parameters.
fn of_ours(world: &World) -> Vec<String> {
    let alive = world.account.alive();
    let mut all: Vec<String> = alive.into_iter().map(|it| it.id).filter(|id| !id.contains("other")).collect();
    let inner = world.account.lock();
    let rules = inner.rules.iter().filter(|it| !it.id.contains("other"));
    all.extend(rules.map(|it| it.description.clone()));
    all.extend(inner.parameters.keys().filter(|name| name.starts_with("/pr-preview/7/")).cloned());
    all
}

#[test]
fn a_close_finds_all_that_is_ours_and_touches_nothing_else() {
    let world = crowd();
    let before = of_others(&world);
    assert!(before.len() > 800, "{}", before.len());
    world.github.close(7);
    world.run(&["down", "7"]).ended(0).says("2 rules, 2 instances and 2 parameters removed");
    assert_eq!(of_ours(&world), Vec::<String>::new());
    are_untouched(&before, &world);
    assert_eq!(world.github.deployed(7), ["inactive", "inactive"]);
    let comments = world.github.comments(7).into_iter().filter(|comment| comment.starts_with(MARKER));
    let [comment] = comments.collect::<Vec<_>>().try_into().unwrap();
    assert!(comment.contains("The preview is gone"), "{comment}");
}

#[test]
fn a_push_takes_the_place_of_all_that_is_ours_and_touches_nothing_else() {
    let world = crowd();
    let before = of_others(&world);
    world.run(&["up", "7"]).ended(0);
    let launched = world.account.lock().instances.last().unwrap().id.clone();
    let rules = ["pr-preview PR 7", "pr-preview viewers"].map(str::to_owned);
    let parameters = ["database-url", "first", "last", "status"].map(|name| format!("/pr-preview/7/{name}"));
    assert_eq!(of_ours(&world), [&[launched][..], &rules, &parameters].concat());
    are_untouched(&before, &world);
    assert_eq!(world.github.deployed(7), ["inactive", "inactive", "success"]);
    assert_eq!(world.github.comments(7).len(), 121);
}

#[test]
fn a_sweep_finds_the_one_that_is_closed_and_touches_no_other() {
    let world = crowd();
    for i in 0..300 {
        world.github.open(700 + i);
    }
    let before = of_others(&world);
    world.github.close(7);
    world.run(&["sweep", "--act"]).ended(0).says("#7 is closed");
    assert_eq!(of_ours(&world), Vec::<String>::new());
    are_untouched(&before, &world);
}

#[test]
fn an_open_pull_request_on_the_last_page_keeps_the_instance() {
    let world = World::new();
    support::standing::has(&world, 7);
    world.github.close(7);
    for number in 100..220 {
        world.github.open(number);
        world.github.lock().forks.push(number);
    }
    world.github.open(300);
    world.run(&["down", "7"]).ended(0).says("i-7 stays while #300 is open");
    assert_eq!(world.account.alive().len(), 1);
    world.github.close(300);
    world.run(&["down", "7"]).ended(0).says("ended i-7");
}

#[test]
fn another_repositorys_secret_on_the_last_page_is_not_overwritten() {
    let world = World::new();
    let mut inner = world.account.lock();
    inner.page = Some(10);
    for i in 0..120 {
        parameter(&mut inner, format!("/pr-preview/7/a-{i}"), &of("acme/api", "7"));
    }
    parameter(&mut inner, "/pr-preview/7/database-url".to_owned(), &of("acme/web", "7"));
    drop(inner);
    world.run(&["up", "7"]).ended(78).says("/pr-preview/7/database-url exists and is not");
    assert_eq!(world.account.lock().parameters["/pr-preview/7/database-url"].value, "x");
}
