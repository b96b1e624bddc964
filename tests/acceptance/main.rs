//! The handbook's acceptance list, from a push to a URL that opens and to nothing left: the workflow run by act,
//! `preview` as it is, EC2 and Parameter Store by moto behind a strict front, and for each instance that is
//! launched a booted one, with the User Data of the request and the static agent.
//!
//! What differs against AWS and GitHub: the variables below, stubs for the actions of others, and in the instance
//! the address of Parameter Store and a registry without TLS under the name ghcr.io.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stdout, clippy::print_stderr)]

mod actions;
mod commands;
#[path = "../../preview/tests/support/cut.rs"]
mod cut;
mod front;
#[allow(dead_code)]
#[path = "../../preview/tests/support/github.rs"]
mod github;
mod moto;
mod region;
mod repository;
mod scene;
#[path = "../support/mod.rs"]
mod support;

// What the fake GitHub stands on.
use support::server;

use scene::Scene;

/// A row of the handbook's section 11 that was shown.
fn held(row: &str, what: &str) {
    println!("acceptance {row} held: {what}");
}

/// A push, then the end of the pull request: each row of the handbook's list.
#[test]
fn a_pull_request_gets_a_url_that_opens_and_leaves_nothing_when_it_closes() {
    let scene = Scene::new();
    let sha = scene.repository.head();
    scene.push(7, &sha);
    let run = scene.happens("opened", 7);
    run.went(true);

    // 2: the URL leads to the application, and the pull request has it.
    let instance = scene.region.instance().expect("an instance runs");
    let url = format!("http://{}:8000", instance.address);
    run.says(&format!("Preview URL: {url}"));
    run.says("/docs answers 200");
    let [comment] = scene.github.comments(7).try_into().unwrap();
    assert!(comment.contains(&url) && comment.contains(&sha), "{comment}");
    assert_eq!(scene.github.deployed(7), ["success"]);
    assert_eq!(scene.get(&instance.address, "/docs"), 200);
    assert_eq!(scene.database.sql("SELECT count(*) FROM tasks"), "4", "migrated");
    held("2", &format!("{url}/docs answers 200, and the comment names the URL"));
    // 1: who is let in, and by which words the rule is found again.
    let own = format!("8000 {}/32 pr-preview PR 7", instance.address);
    let viewers = "8000 203.0.113.0/24 pr-preview viewers".to_owned();
    let mut rules = [viewers, own];
    rules.sort();
    assert_eq!(scene.region.rules(&scene.group), rules, "no rule of the runner stays");
    assert_eq!(
        scene.region.rules(&scene.database_group),
        [format!("5432 {}/32 pr-preview PR 7", instance.address)]
    );
    held("1", "8000/tcp is open for the instance's /32 as \"pr-preview PR 7\", 5432/tcp of the database too");
    // From a laptop.
    let list: serde_json::Value = serde_json::from_str(&scene.preview(&["list", "--json"]).unwrap()).unwrap();
    assert_eq!(list[0]["url"], url, "{list}");
    assert!(scene.preview(&["status", "7"]).unwrap().contains("ready"));
    assert!(scene.preview(&["logs", "7", "app"]).unwrap().contains("Uvicorn running"));

    // 3: no open pull request, no instance and no rule.
    scene.github.close(7);
    scene.happens("closed", 7).went(true);
    assert!(scene.region.instance().is_none());
    assert_eq!(scene.region.rules(&scene.group), Vec::<String>::new());
    assert_eq!(scene.region.rules(&scene.database_group), Vec::<String>::new());
    assert_eq!(scene.region.parameters(), Vec::<String>::new());
    assert_eq!(scene.github.deployed(7), ["inactive"]);
    held("3", "the instance is terminated, its rules are revoked, and no parameter is left");
    scene.happens("closed", 7).went(true);
    held("4", "what was closed already is no failure");
}

#[test]
fn a_migration_that_fails_is_a_red_check_with_verdict_hint_and_tail() {
    let scene = Scene::new();
    let migration = "\
\"\"\"due\"\"\"
from alembic import op

revision = \"0003\"
down_revision = \"0002\"
branch_labels = depends_on = None

def upgrade():
    op.execute(\"UPDATE tasks SET due_date = now()\")
";
    let sha = scene.repository.commit("migrations/versions/0003_due.py", migration);
    scene.push(7, &sha);
    let run = scene.happens("opened", 7);
    run.went(false);
    let instance = scene.region.instance().expect("it stays to be looked at");
    let [comment] = scene.github.comments(7).try_into().unwrap();
    for page in [comment.as_str(), run.summary()] {
        for words in
            ["failed in migrate: migration_failed", "  hint ", "column \"due_date\"", &sha, &instance.id]
        {
            assert!(page.contains(words), "{words}: {page}");
        }
    }
    assert_eq!(scene.github.deployed(7), ["failure"]);
    assert!(scene.preview(&["logs", "7", "migrate"]).unwrap().contains("due_date"));

    scene.github.close(7);
    scene.happens("closed", 7).went(true);
    assert!(scene.region.instance().is_none());
    assert_eq!(scene.region.parameters(), Vec::<String>::new());
}

/// The rest of it is in the code: `Scene::environment` is all that a run is given.
#[test]
fn the_workflow_is_the_projects_own_and_so_is_the_program() {
    actions::Actions::new(&repository::Repository::new()).is_the_projects_own();
}
