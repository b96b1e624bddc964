//! The report to the pull request: comment and deployment, also where GitHub refuses them.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::exit)]

mod support;

use std::collections::BTreeSet;

use support::github::{BASE, BOT, HEAD, Refusal};
use support::status::{document, failed, says};
use support::world::{World, act_as_preview};

#[test]
fn preview() {
    act_as_preview();
}

fn ready() -> World {
    let world = World::new();
    world.account.on_launch(|id, inner| says(inner, 7, &document(id, 7, "ready")));
    world
}

#[test]
fn the_comment_is_found_on_a_later_page_and_kept_one() {
    let world = ready();
    for i in 0..120 {
        world.github.comment(7, Some("octocat"), &format!("comment {i}"));
    }
    world.run(&["up", "7"]).ended(0);
    world.run(&["up", "7"]).ended(0);
    let ours =
        world.github.comments(7).into_iter().filter(|comment| comment.starts_with("<!-- preview-agent -->"));
    assert_eq!(ours.count(), 1);
}

#[test]
fn a_strangers_comment_with_our_marker_is_left_alone() {
    let world = ready();
    let marked = "<!-- preview-agent -->\nI am the preview";
    world.github.comment(7, Some("eve"), marked);
    world.github.comment(7, None, marked);
    world.run(&["up", "7"]).ended(0);
    let comments = world.github.comments(7);
    assert_eq!(comments.iter().filter(|comment| *comment == marked).count(), 2);
    assert_eq!(comments.len(), 3);
}

#[test]
fn a_comment_that_is_gone_is_written_anew() {
    let world = ready();
    world.github.comment(7, Some(BOT), "<!-- preview-agent -->\nold");
    world.github.refuse("PATCH", 1, Refusal::new(404, "Not Found"));
    world.run(&["up", "7"]).ended(0);
    assert!(world.github.comments(7).iter().any(|comment| comment.contains("ready")));
}

#[test]
fn where_github_says_no_the_preview_stands_and_the_permission_is_named() {
    let world = ready();
    let headers = vec![("x-accepted-github-permissions", "pull_requests=write".to_owned())];
    let refusal = Refusal { headers, ..Refusal::new(403, "Resource not accessible by integration") };
    world.github.refuse("/comments", 99, refusal.clone());
    world.github.refuse("POST /repos/acme/api/deployments", 99, refusal);
    world.run(&["up", "7"]).ended(0).says("pull_requests=write").says("pull-requests: write");
    assert_eq!(world.account.alive().len(), 1);
}

#[test]
fn a_locked_conversation_is_said_as_such() {
    let world = ready();
    world.github.refuse(
        "POST /repos/acme/api/issues",
        99,
        Refusal::new(403, "Unable to create comment because issue is locked."),
    );
    world.run(&["up", "7"]).ended(0).says("the conversation is locked").says_not("pull-requests: write");
}

#[test]
fn a_rate_limit_is_waited_for_where_that_is_short() {
    let world = ready();
    let headers = vec![("retry-after", "1".to_owned())];
    let refusal = Refusal { headers, ..Refusal::new(403, "You have exceeded a secondary rate limit.") };
    world.github.refuse("POST /repos/acme/api/issues", 1, refusal);
    world.run(&["up", "7"]).ended(0);
    assert_eq!(world.github.comments(7).len(), 1);
    let refusal =
        Refusal { headers: vec![("retry-after", "3600".to_owned())], ..Refusal::new(429, "Too many") };
    world.github.refuse("PATCH", 99, refusal);
    world.run(&["up", "7"]).ended(0).says("rate limit is reached for another 3600 s");
}

/// Runs the command once for each of its requests to GitHub, in a world of its own where the first answer to this
/// one breaks off after the deed; all at once, since most of the time goes into waits.
fn each_answer_lost(make: fn() -> World, command: &str, check: impl Fn(&str, &World)) {
    let world = make();
    world.github.lock().seen.clear();
    world.run(&[command, "7"]).ended(0);
    let requests: BTreeSet<String> = world.github.lock().seen.iter().cloned().collect();
    let begun = requests.into_iter().map(|request| {
        let world = make();
        world.github.refuse(request.clone().leak(), 1, Refusal::lost());
        let child = world.command(&[command, "7"]).spawn().unwrap();
        (request, world, child)
    });
    for (request, world, child) in begun.collect::<Vec<_>>() {
        world.ran(child).ended(0);
        check(&request, &world);
    }
}

#[test]
fn what_github_did_without_getting_its_answer_across_is_not_done_twice() {
    each_answer_lost(ready, "up", |request, world| {
        let [comment] = world.github.comments(7).try_into().unwrap();
        assert!(comment.contains("The preview is ready"), "{request}: {comment}");
        assert_eq!(world.github.lock().deployments.len(), 1, "{request}");
    });
    let closed = || {
        let world = ready();
        world.run(&["up", "7"]).ended(0);
        world.github.close(7);
        world
    };
    each_answer_lost(closed, "down", |request, world| {
        let [comment] = world.github.comments(7).try_into().unwrap();
        assert!(comment.contains("The preview is gone"), "{request}: {comment}");
        assert_eq!((world.account.alive().len(), world.github.deployed(7)), (0, vec!["inactive".to_owned()]));
    });
}

#[test]
fn a_deployment_that_is_refused_is_a_warning() {
    for refusal in
        [Refusal::new(409, "Conflict merging main into it"), Refusal::new(422, "Validation Failed")]
    {
        let world = ready();
        let message = refusal.message;
        world.github.refuse("POST /repos/acme/api/deployments", 1, refusal);
        world.run(&["up", "7"]).ended(0).says("warning:").says(message);
        assert_eq!(world.github.deployed(7), Vec::<String>::new());
    }
}

#[test]
fn deployments_of_other_pull_requests_stay_as_they_are() {
    let mut world = ready();
    world.github.open(8);
    world.run(&["up", "7"]).ended(0);
    world.github.close(8);
    world.pull_request("closed", 8);
    world.run(&["down"]).ended(0);
    assert_eq!(world.github.deployed(7), ["success"]);
    world.github.close(7);
    world.pull_request("closed", 7);
    world.run(&["down"]).ended(0);
    assert_eq!(world.github.deployed(7), ["inactive"]);
}

#[test]
fn without_a_token_the_preview_comes_up_and_nothing_is_written() {
    let mut world = ready();
    world.set("GITHUB_TOKEN", "");
    world.run(&["up", "7", "--sha", support::github::HEAD]).ended(0).says("Preview URL");
    world.run(&["up", "7"]).ended(1).says("--sha");
    world.run(&["down", "7"]).ended(1).says("--force");
    assert_eq!(world.account.alive().len(), 1);
    assert_eq!(world.github.lock().seen.len(), 0);
}

#[test]
fn as_json_there_is_one_document() {
    let world = ready();
    let ran = world.run(&["up", "7", "--json"]);
    let document: serde_json::Value = serde_json::from_str(&ran.ended(0).out).unwrap();
    assert_eq!((&document["outcome"], &document["url"]), (&"ready".into(), &"http://127.0.0.1:8000".into()));
    let ran = world.run(&["list", "--json"]);
    let list: serde_json::Value = serde_json::from_str(&ran.ended(0).out).unwrap();
    assert_eq!((&list[0]["number"], &list[0]["repository"]), (&7.into(), &"acme/api".into()));
    world.run(&["status", "7"]).ended(0).says("ready: said by the agent");
    world.run(&["status", "9"]).ended(4).says("#9 has no preview");
}

/// A comment as it is, in a quotation, with the time that it was written at.
fn quoted(comment: &str) -> String {
    let lines = comment.lines().skip(1).map(|line| match line.split_once(", as of ") {
        Some((before, _)) => format!("{before}, as of 2026-11-29T10:06:12Z."),
        None => line.to_owned(),
    });
    lines.map(|line| format!("> {line}").trim_end().to_owned() + "\n").collect()
}

#[test]
fn the_page_in_the_docs_shows_a_real_comment() {
    let world = World::new();
    world.account.on_launch(|id, inner| {
        let mut document = failed(id, 7);
        document["verdict"] =
            "failed in migrate: migration_failed (migration): alembic ended with 1. Correct the \
                               migration."
                .into();
        document["fault"]["tail"] = "sqlalchemy.exc.ProgrammingError: column \"due\" does not exist".into();
        document["run"]["finished"] = "2026-11-29T10:00:21Z".into();
        document["phases"] = serde_json::json!([
            { "name": "resolve", "state": "done", "start_ms": 10, "ms": 40 },
            { "name": "image", "state": "done", "start_ms": 50, "ms": 16200 },
            { "name": "database", "state": "done", "start_ms": 50, "ms": 30 },
            { "name": "migrate", "state": "failed", "start_ms": 16250, "ms": 4300 },
        ]);
        says(inner, 7, &document);
    });
    world.account.lock().log = "INFO  [alembic.runtime.migration] Running upgrade 0002 -> 0003, add due\n\
                                sqlalchemy.exc.ProgrammingError: column \"due\" does not exist\n"
        .to_owned();
    world.run(&["up", "7"]).ended(1);
    let [comment] = world.github.comments(7).try_into().unwrap();
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/previews.md");
    let page = std::fs::read_to_string(&path).unwrap();
    let (before, rest) = page.split_once("<!-- comment -->\n").unwrap();
    let (shown, after) = rest.split_once("<!-- /comment -->").unwrap();
    let real = quoted(&comment);
    if std::env::var_os("UPDATE_README").is_some() {
        std::fs::write(&path, format!("{before}<!-- comment -->\n{real}<!-- /comment -->{after}")).unwrap();
    } else {
        assert_eq!(shown, real, "UPDATE_README=1 writes it");
    }
}

#[test]
fn a_region_that_is_missing_is_said_in_the_comment() {
    let mut world = World::new();
    world.set("AWS_REGION", "");
    let ran = world.run(&["up", "7"]);
    ran.ended(1).says("AWS_REGION");
    let [comment] = world.github.comments(7).try_into().unwrap();
    assert!(comment.contains("There is no preview") && comment.contains("AWS_REGION"), "{comment}");
    assert_eq!(
        comment.matches("AWS_REGION").count(),
        ran.err.matches("AWS_REGION").count(),
        "once each: {comment}"
    );
    assert_eq!(world.github.deployed(7), ["failure"]);
    assert!(ran.summary.contains("AWS_REGION"), "{}", ran.summary);
    // The pull request is closed, and what it has stays.
    world.github.close(7);
    world.run(&["up", "7"]).ended(0);
    world.run(&["down", "7"]).ended(1);
    let [comment] = world.github.comments(7).try_into().unwrap();
    assert!(comment.contains("could not be removed") && comment.contains("AWS_REGION"), "{comment}");
    for arguments in [&["check", "7"][..], &["list"], &["status", "7"], &["sweep"], &["wait", "7"]] {
        world.run(arguments).ended(1).says("AWS_REGION");
    }
    assert_eq!(world.account.lock().seen.len(), 0);
}

/// The comments with our marker.
fn ours(world: &World) -> Vec<String> {
    let all = world.github.comments(7).into_iter();
    all.filter(|comment| comment.starts_with("<!-- preview-agent -->")).collect()
}

#[test]
fn another_owner_of_the_token_goes_on_with_the_same_comment() {
    // The workflow's own token, and somebody's own.
    for owners in [[None, Some("octocat")], [Some("octocat"), None]] {
        let world = ready();
        for (login, commit) in owners.into_iter().zip([HEAD, BASE]) {
            world.github.push(7, commit);
            world.github.lock().login = login.map(str::to_owned);
            world.run(&["up", "7"]).ended(0).says_not("warning");
            let [comment] = ours(&world).try_into().unwrap();
            assert!(comment.contains(commit) && comment.contains("ready"), "{login:?}: {comment}");
        }
    }
}

#[test]
fn a_comment_that_the_new_owner_may_not_change_is_replaced() {
    let denied = || Refusal::new(403, "You cannot update this issue comment.");
    let world = ready();
    world.github.comment(7, Some(BOT), "<!-- preview-agent -->\nold");
    world.github.lock().login = Some("octocat".to_owned());
    world.github.refuse("PATCH", 1, denied());
    world.run(&["up", "7"]).ended(0).says_not("warning");
    let [comment] = ours(&world).try_into().unwrap();
    assert!(comment.contains("ready"), "{comment}");
    // One that may not be removed either stays, and the new one is kept current.
    let world = ready();
    world.github.comment(7, Some(BOT), "<!-- preview-agent -->\nold");
    let old = world.github.lock().comments[0].1["id"].as_u64().unwrap();
    world.github.lock().login = Some("octocat".to_owned());
    let line: &'static str = format!("/issues/comments/{old}").leak();
    world.github.refuse(line, 999, denied());
    for _ in 0..2 {
        world.run(&["up", "7"]).ended(0).says_not("warning");
    }
    let current = ours(&world).into_iter().filter(|comment| comment.contains("ready"));
    assert_eq!((current.count(), ours(&world).len()), (1, 2));
}

#[test]
fn a_comment_of_somebody_who_belongs_to_the_repository_is_ours_and_a_strangers_is_not() {
    for (association, is_ours) in
        [("OWNER", true), ("MEMBER", true), ("COLLABORATOR", true), ("CONTRIBUTOR", false), ("NONE", false)]
    {
        let world = ready();
        world.github.comment(7, Some("octocat"), "<!-- preview-agent -->\nold");
        world.github.lock().comments[0].1["author_association"] = association.into();
        world.run(&["up", "7"]).ended(0);
        assert_eq!(ours(&world).len(), if is_ours { 1 } else { 2 }, "{association}");
    }
}
