//! AWS denies, throttles or does not get its answer across, at each action that `up` and `down` ask for: one
//! line that names it, an exit code, and nothing that nobody finds again.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::exit)]

mod support;

use std::collections::BTreeSet;

use support::account::{DB_GROUP, GROUP};
use support::calls::Trouble;
use support::standing::has;
use support::status::{document, failed, says};
use support::world::{Ran, World, act_as_preview};

#[test]
fn preview() {
    act_as_preview();
}

/// All that `up` asks for where an older instance is in its way; with `?`, its rehearsal.
const UP: [&str; 17] = [
    "AddTagsToResource",
    "AuthorizeSecurityGroupIngress",
    "DescribeImages",
    "DescribeInstanceTypes",
    "DescribeInstances",
    "DescribeParameters",
    "DescribeSecurityGroupRules",
    "DescribeSecurityGroups",
    "DescribeSubnets",
    "GetParameter",
    "GetParametersByPath",
    "PutParameter",
    "RevokeSecurityGroupIngress",
    "RunInstances",
    "RunInstances?",
    "TerminateInstances",
    "DeleteParameters",
];

/// All that `down` asks for.
const DOWN: [&str; 6] = [
    "DeleteParameters",
    "DescribeInstances",
    "DescribeParameters",
    "DescribeSecurityGroupRules",
    "RevokeSecurityGroupIngress",
    "TerminateInstances",
];

/// What a failure is explained with.
const EVIDENCE: [&str; 3] = ["GetCommandInvocation", "GetConsoleOutput", "SendCommand"];

/// A pull request whose preview is up.
fn standing() -> World {
    let mut world = World::new();
    world.set("DB_SG_ID", DB_GROUP);
    has(&world, 7);
    world.account.on_launch(|id, inner| says(inner, 7, &document(id, 7, "ready")));
    world
}

/// One that was pushed to.
fn pushed() -> World {
    let world = standing();
    // A secret that nobody has set: what was there goes.
    for commit in [support::github::BASE, support::github::HEAD] {
        let optional = "secrets: { dsn: { env: STG_SENTRY_DSN, optional: true }, database-url:";
        world.github.file(commit, &support::world::SETTINGS.replace("secrets: { database-url:", optional));
    }
    world
}

/// One that was closed.
fn closed() -> World {
    let world = standing();
    world.github.close(7);
    world
}

/// Worlds in which the command runs at once: most of the time goes into waits.
const AT_ONCE: usize = 6;

/// Runs the command for each of these actions in a world of its own where this action has this trouble.
fn each(
    make: fn() -> World,
    command: &str,
    actions: &[&'static str],
    trouble: impl Fn(&str) -> (usize, Trouble),
    check: impl Fn(&'static str, &World, &Ran),
) {
    for some in actions.chunks(AT_ONCE) {
        let begun = some.iter().map(|action| {
            let world = make();
            let (times, trouble) = trouble(action.trim_end_matches('?'));
            world.account.trouble(action, times, trouble);
            let child = world.command(&[command, "7"]).spawn().unwrap();
            (*action, world, child)
        });
        for (action, world, child) in begun.collect::<Vec<_>>() {
            let ran = world.ran(child);
            check(action, &world, &ran);
        }
    }
}

/// As IAM spells it.
fn full(action: &str) -> String {
    let ssm = ["Parameter", "AddTags", "Command"].iter().any(|word| action.contains(word));
    format!("{}:{}", if ssm { "ssm" } else { "ec2" }, action.trim_end_matches('?'))
}

fn denied(action: &str) -> (usize, Trouble) {
    let message = format!(
        "User: arn:aws:sts::123456789012:assumed-role/previews/x is not authorized to perform: {} on resource: \
         arn:aws:x because no identity-based policy allows it",
        full(action)
    );
    let (status, code) = match full(action).starts_with("ec2") {
        true => (403, "UnauthorizedOperation"),
        false => (400, "AccessDeniedException"),
    };
    (usize::MAX, Trouble::Error(status, code, message.leak()))
}

fn throttled(action: &str) -> Trouble {
    match full(action).starts_with("ec2") {
        true => Trouble::Error(503, "RequestLimitExceeded", "Request limit exceeded."),
        false => Trouble::Error(400, "ThrottlingException", "Rate exceeded"),
    }
}

/// What the account has of #7 and around it.
fn has_now(world: &World) -> (usize, Vec<String>, Vec<String>, Vec<String>) {
    let account = &world.account;
    (account.alive().len(), account.rules(GROUP), account.rules(DB_GROUP), account.parameters())
}

#[track_caller]
fn is_up(action: &str, world: &World, ran: &Ran) {
    assert_eq!(ran.code, Some(0), "{action}: {ran:#?}");
    let own = "8000 127.0.0.1/32 pr-preview PR 7".to_owned();
    let viewers = "8000 203.0.113.0/24 pr-preview viewers".to_owned();
    let parameters = ["/pr-preview/7/database-url", "/pr-preview/7/status"].map(str::to_owned).to_vec();
    let database = vec!["5432 127.0.0.1/32 pr-preview PR 7".to_owned()];
    assert_eq!(has_now(world), (1, vec![viewers, own], database, parameters), "{action}");
    assert_eq!((world.github.comments(7).len(), world.github.deployed(7)), (1, vec!["success".to_owned()]));
}

#[track_caller]
fn nothing_is_left(action: &str, world: &World, ran: &Ran) {
    assert_eq!(ran.code, Some(0), "{action}: {ran:#?}");
    assert_eq!(has_now(world), (0, vec![], vec![], vec![]), "{action}");
}

#[test]
fn these_are_all_actions_and_the_policy_has_them() {
    let asked = |world: &World| -> BTreeSet<String> {
        let seen = world.account.lock().seen.clone();
        let is_dry = |fields: &support::calls::Fields| fields.get("DryRun").is_some_and(|it| it == "true");
        seen.into_iter().map(|it| if is_dry(&it.fields) { it.action + "?" } else { it.action }).collect()
    };
    let all = |actions: &[&str]| actions.iter().map(|action| (*action).to_owned()).collect::<BTreeSet<_>>();
    let world = pushed();
    is_up("none", &world, &world.run(&["up", "7"]));
    assert_eq!(asked(&world), all(&UP));
    let world = closed();
    nothing_is_left("none", &world, &world.run(&["down", "7"]));
    assert_eq!(asked(&world), all(&DOWN));
    let policy = world.run(&["iam-policy"]).out;
    for action in [&UP[..], &DOWN, &EVIDENCE].concat() {
        assert!(policy.contains(&format!("\"{}\"", full(action))), "{action}");
    }
}

#[test]
fn what_up_is_denied_is_named_and_once_it_is_allowed_the_preview_comes_up() {
    each(pushed, "up", &UP, denied, |action, world, ran| {
        let line = format!("{} is denied on arn:aws:x", full(action));
        ran.ended(77).says(&line).says("preview iam-policy");
        let [comment] = world.github.comments(7).try_into().unwrap();
        assert!(comment.contains("There is no preview") && comment.contains(&line), "{action}: {comment}");
        assert_eq!(world.github.deployed(7).last().map(String::as_str), Some("failure"), "{action}");
        assert!(world.account.alive().len() <= 1, "{action}");
        world.account.lock().troubles = support::calls::Troubles::default();
        let ran = world.run(&["up", "7"]);
        world.github.lock().deployments.remove(0);
        is_up(action, world, &ran);
    });
}

#[test]
fn what_down_is_denied_is_named_and_the_rest_goes() {
    each(closed, "down", &DOWN, denied, |action, world, ran| {
        let line = format!("{} is denied on arn:aws:x", full(action));
        ran.ended(77).says(&line);
        let [comment] = world.github.comments(7).try_into().unwrap();
        assert!(comment.contains("could not be removed"), "{action}: {comment}");
        assert_eq!(comment.matches(&line).count(), 1, "{action}: {comment}");
        let (instances, rules, _, parameters) = has_now(world);
        let own_rules = rules.iter().filter(|rule| rule.contains("PR 7")).count();
        let left = (instances == 1, own_rules == 2, parameters.len() == 2);
        let is_of = |part: &str| action.contains(part);
        assert_eq!(left, (is_of("Instances"), is_of("SecurityGroup"), is_of("Parameters")), "{action}");
        world.account.lock().troubles = support::calls::Troubles::default();
        nothing_is_left(action, world, &world.run(&["down", "7"]));
    });
}

#[test]
fn a_role_that_may_not_be_handed_over_is_what_is_named() {
    let world = World::new();
    let message = "You are not authorized to perform this operation. User: arn:aws:sts::123456789012:assumed-role/x/y \
                   is not authorized to perform: iam:PassRole on resource: arn:aws:iam::123456789012:role/preview";
    world.account.trouble("RunInstances?", 1, Trouble::Error(403, "UnauthorizedOperation", message));
    let line = "iam:PassRole is denied on arn:aws:iam::123456789012:role/preview";
    world.run(&["up", "7"]).ended(77).says(line).says("Allow iam:PassRole");
}

#[test]
fn a_status_that_may_not_be_read_is_said_and_the_instance_goes_on() {
    let world = World::new();
    world
        .account
        .on_launch(|_, inner| inner.troubles.add("GetParameter", usize::MAX, denied("GetParameter").1));
    world.run(&["up", "7", "--minutes", "1"]).ended(77);
    let [comment] = world.github.comments(7).try_into().unwrap();
    assert!(comment.contains("ssm:GetParameter is denied") && comment.contains("goes on"), "{comment}");
    assert_eq!(world.account.alive().len(), 1);
}

#[test]
fn evidence_that_is_denied_hides_no_failure() {
    let make = || {
        let world = World::new();
        world.account.on_launch(|id, inner| says(inner, 7, &failed(id, 7)));
        world
    };
    each(make, "up", &EVIDENCE, denied, |action, world, ran| {
        ran.ended(1).says(&format!("{} is denied", full(action)));
        let [comment] = world.github.comments(7).try_into().unwrap();
        assert!(comment.contains("Correct the migration."), "{action}: {comment}");
    });
}

#[test]
fn throttled_for_a_moment_all_comes_to_the_same() {
    each(pushed, "up", &UP, |action| (2, throttled(action)), is_up);
    each(closed, "down", &DOWN, |action| (2, throttled(action)), nothing_is_left);
}

#[test]
fn throttled_for_good_is_said_and_may_work_later() {
    let always = |action: &str| (usize::MAX, throttled(action));
    each(pushed, "up", &UP, always, |action, world, ran| {
        ran.ended(75).says(&format!("{}: throttled", full(action)));
        let [comment] = world.github.comments(7).try_into().unwrap();
        assert!(comment.contains("throttled"), "{action}: {comment}");
    });
    each(closed, "down", &DOWN, always, |action, world, ran| {
        ran.ended(75).says(&format!("{}: throttled", full(action)));
        world.account.lock().troubles = support::calls::Troubles::default();
        nothing_is_left(action, world, &world.run(&["down", "7"]));
    });
}

#[test]
fn an_answer_that_is_cut_off_is_asked_for_again() {
    for trouble in [Trouble::Cut, Trouble::Lost] {
        each(pushed, "up", &UP, |_| (1, trouble.clone()), is_up);
        each(closed, "down", &DOWN, |_| (1, trouble.clone()), nothing_is_left);
    }
}

#[test]
fn answers_that_are_always_cut_off_are_said_and_may_come_later() {
    let always = |_: &str| (usize::MAX, Trouble::Cut);
    each(pushed, "up", &UP, always, |action, world, ran| {
        ran.ended(75).says(&format!("{}: ", full(action)));
        let [comment] = world.github.comments(7).try_into().unwrap();
        assert!(comment.contains("There is no preview"), "{action}: {comment}");
    });
    each(closed, "down", &DOWN, always, |action, world, ran| {
        ran.ended(75).says(&format!("{}: ", full(action)));
        world.account.lock().troubles = support::calls::Troubles::default();
        nothing_is_left(action, world, &world.run(&["down", "7"]));
    });
}

#[test]
fn an_answer_that_never_comes_is_asked_for_again() {
    each(pushed, "up", &["DescribeInstances", "PutParameter"], |_| (1, Trouble::Hang), is_up);
}
