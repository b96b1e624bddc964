//! `preview up`: a pull request gets a preview, or one line that says why not.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::exit)]

mod support;

use serde_json::json;
use support::account::{DB_GROUP, GROUP};
use support::calls::Trouble;
use support::ec2::Instance;
use support::github::{BASE, HEAD};
use support::server::Server;
use support::status::{document, failed, says};
use support::wait::{signal, until};
use support::world::{SETTINGS, World, act_as_preview};

#[test]
fn preview() {
    act_as_preview();
}

/// Instances whose agent says this as soon as they are launched.
fn agents_say(world: &World, outcome: &'static str) {
    world.account.on_launch(move |id, inner| says(inner, 7, &document(id, 7, outcome)));
}

#[test]
fn a_push_gives_an_instance_with_its_rules_and_its_url_in_the_comment() {
    let mut world = World::new();
    world.set("DB_SG_ID", DB_GROUP);
    world.pull_request("opened", 7);
    agents_say(&world, "ready");
    let ran = world.run(&["up"]);
    ran.ended(0).says("Preview URL: http://127.0.0.1:8000");
    assert_eq!((ran.value("url"), ran.value("outcome")), (Some("http://127.0.0.1:8000"), Some("ready")));
    assert_eq!((ran.value("public_ip"), ran.value("instance_id").unwrap().len()), (Some("127.0.0.1"), 19));
    let [instance] = world.account.alive().try_into().unwrap();
    let tag = |name: &str| instance.tags.get(name).map(String::as_str);
    assert_eq!((tag("Purpose"), tag("PullRequest")), (Some("pr-preview-singleton"), Some("7")));
    assert_eq!((tag("Repository"), tag("Commit")), (Some("acme/api"), Some(HEAD)));
    assert_eq!(
        world.account.rules(GROUP),
        ["8000 127.0.0.1/32 pr-preview PR 7", "8000 203.0.113.0/24 pr-preview viewers"]
    );
    assert_eq!(world.account.rules(DB_GROUP), ["5432 127.0.0.1/32 pr-preview PR 7"]);
    let [comment] = world.github.comments(7).try_into().unwrap();
    assert!(comment.contains("http://127.0.0.1:8000") && comment.contains("203.0.113.0/24"), "{comment}");
    assert!(comment.contains("The preview is ready"), "{comment}");
    assert_eq!(world.github.deployed(7), ["success"]);
    assert!(ran.summary.contains("ready: said by the agent"), "{}", ran.summary);
    let secrets: Vec<String> = world.account.parameters();
    assert_eq!(secrets, ["/pr-preview/7/database-url", "/pr-preview/7/status"]);
}

#[test]
fn the_instance_gets_the_projects_own_user_data_with_the_commits_configuration() {
    let world = World::new();
    agents_say(&world, "ready");
    world.run(&["up", "7"]).ended(0);
    let [instance] = world.account.alive().try_into().unwrap();
    use base64::Engine as _;
    let script = base64::engine::general_purpose::STANDARD.decode(&instance.user_data).unwrap();
    let script = String::from_utf8(script).unwrap();
    let config = script.split("<<'YAML'\n").nth(1).unwrap().split("\nYAML").next().unwrap();
    let config: serde_json::Value = serde_json::from_str(config).unwrap();
    assert_eq!(config["image"], format!("ghcr.io/acme/api:{HEAD}"));
    assert_eq!(config["database"]["url"]["ssm"], "/pr-preview/7/database-url");
    assert_eq!(config["report"]["parameter"], "/pr-preview/7/status");
    assert!(preview_agent::config::parse(&config.to_string()).is_ok());
    assert!(!script.contains("canary"), "a secret in the User Data");
}

#[test]
fn a_failed_migration_is_reported_with_verdict_hint_and_log() {
    let mut world = World::new();
    world.pull_request("synchronize", 7);
    world.account.on_launch(|id, inner| says(inner, 7, &failed(id, 7)));
    world.account.lock().log = "alembic: boom\n##[error]not ours\n```\n".to_owned();
    let ran = world.run(&["up"]);
    ran.ended(1).says("alembic: boom");
    // Nothing of it is a command to the runner.
    let mut stopped = None;
    for line in ran.out.lines() {
        if let Some(token) = line.strip_prefix("::stop-commands::") {
            stopped = Some(format!("::{token}::"));
        } else if stopped.as_deref() == Some(line) {
            stopped = None;
        } else if line.contains("not ours") {
            assert!(stopped.is_some() && !line.contains("##["), "{line}");
        }
    }
    let [comment] = world.github.comments(7).try_into().unwrap();
    for words in ["There is no preview", "Correct the migration.", "alembic: boom", "migration_failed"] {
        assert!(comment.contains(words), "{words}: {comment}");
        assert!(ran.summary.contains(words), "{words}: {}", ran.summary);
    }
    assert_eq!(world.github.deployed(7), ["failure"]);
    assert_eq!(world.account.alive().len(), 1, "it stays to be looked at");
}

#[test]
fn what_ran_under_the_purpose_makes_room_and_its_pull_request_is_notified() {
    let world = World::new();
    world.github.open(3);
    agents_say(&world, "ready");
    let tags = [("Purpose", "pr-preview-singleton"), ("Repository", "Acme/API"), ("PullRequest", "3")];
    world.account.lock().instances.push(Instance::running("i-00000000000000000", &tags));
    world.run(&["up", "7"]).ended(0).says("ended i-00000000000000000 of #3");
    let [instance] = world.account.alive().try_into().unwrap();
    assert_eq!(instance.tags["PullRequest"], "7");
    let [comment] = world.github.comments(3).try_into().unwrap();
    assert!(comment.contains("preview of #7 replaced"), "{comment}");
}

#[test]
fn what_belongs_to_others_is_left_alone() {
    let world = World::new();
    agents_say(&world, "ready");
    let others: [&[(&str, &str)]; 5] = [
        &[("Purpose", "pr-preview-singleton"), ("Repository", "acme/web"), ("PullRequest", "7")],
        &[("Purpose", "production"), ("Repository", "acme/api"), ("PullRequest", "7")],
        &[("Purpose", "pr-preview-singleton"), ("PullRequest", "7")],
        &[("Purpose", "pr-preview-singleton"), ("Repository", "acme/api"), ("PullRequest", "7x")],
        &[],
    ];
    for (i, tags) in others.iter().enumerate() {
        world.account.lock().instances.push(Instance::running(&format!("i-other{i}"), tags));
    }
    world.run(&["up", "7"]).ended(0);
    assert_eq!(world.account.alive().len(), others.len() + 1);
    assert_eq!(world.account.count("TerminateInstances"), 0);
}

#[test]
fn a_folder_of_another_repositorys_preview_is_not_taken() {
    let world = World::new();
    let tags = [("Purpose", "pr-preview-singleton"), ("Repository", "acme/web"), ("PullRequest", "7")];
    let mut inner = world.account.lock();
    inner.instances.push(Instance::running("i-web", &tags));
    says(&mut inner, 7, &document("i-web", 7, "ready"));
    drop(inner);
    world.run(&["up", "7"]).ended(78).says("/pr-preview/7/status exists and is not").says("Set `path`");
    assert_eq!(world.account.count("RunInstances"), 1, "the rehearsal alone");
}

#[test]
fn an_answer_without_tags_ends_nothing() {
    let world = World::new();
    agents_say(&world, "ready");
    let tags = [("Purpose", "pr-preview-singleton"), ("Repository", "acme/api"), ("PullRequest", "7")];
    world.account.lock().instances.push(Instance::running("i-1", &tags));
    world.account.lock().no_tags = true;
    world.run(&["up", "7"]).ended(0);
    assert_eq!(world.account.count("TerminateInstances"), 0);
}

#[test]
fn the_old_instance_is_waited_for_where_it_fills_the_quota() {
    let world = World::new();
    agents_say(&world, "ready");
    let tags = [("Purpose", "pr-preview-singleton"), ("Repository", "acme/api"), ("PullRequest", "7")];
    let mut inner = world.account.lock();
    inner.instances.push(Instance::running("i-1", &tags));
    (inner.quota, inner.ending) = (Some(1), 5);
    drop(inner);
    world.run(&["up", "7"]).ended(0).says("the quota is used up until the old instance is gone");
    assert_eq!(world.account.alive().len(), 1);
}

#[test]
fn a_quota_that_others_fill_is_named_at_once() {
    let world = World::new();
    world.account.lock().quota = Some(0);
    world.run(&["up", "7"]).ended(1).says("VcpuLimitExceeded").says("quota");
    let [comment] = world.github.comments(7).try_into().unwrap();
    assert!(comment.contains("VcpuLimitExceeded"), "{comment}");
    assert_eq!(world.github.deployed(7), ["failure"]);
}

#[test]
fn a_launch_whose_answer_is_lost_is_one_launch() {
    let world = World::new();
    agents_say(&world, "ready");
    world.account.trouble("RunInstances", 1, Trouble::Lost);
    world.run(&["up", "7"]).ended(0);
    assert_eq!(world.account.alive().len(), 1);
}

#[test]
fn no_capacity_is_said_and_not_tried_again() {
    let world = World::new();
    let message =
        "We currently do not have sufficient t3.small capacity in the Availability Zone you requested";
    world.account.trouble("RunInstances", 9, Trouble::Error(500, "InsufficientInstanceCapacity", message));
    world.run(&["up", "7"]).ended(1).says("InsufficientInstanceCapacity").says("another `instance.type`");
    // And the rehearsal.
    assert_eq!(world.account.count("RunInstances"), 2);
}

#[test]
fn a_new_instance_may_be_unknown_and_without_an_address_for_a_while() {
    let world = World::new();
    agents_say(&world, "ready");
    let mut inner = world.account.lock();
    (inner.unknown, inner.no_address) = (3, 6);
    drop(inner);
    world.run(&["up", "7"]).ended(0).says("Preview URL: http://127.0.0.1:8000");
}

#[test]
fn an_instance_without_an_address_is_no_preview() {
    let world = World::impatient();
    world.account.lock().no_address = usize::MAX;
    world.run(&["up", "7"]).ended(1).says("got no public address").says("public subnet");
    assert_eq!(world.account.rules(GROUP), Vec::<String>::new());
}

#[test]
fn an_instance_that_ends_at_once_is_told_with_its_reason() {
    let world = World::new();
    world.account.on_launch(|_, inner| {
        let instance = inner.instances.last_mut().unwrap();
        instance.state = "terminated";
        instance.reason = Some(("Client.InvalidKMSKey.InvalidState", "The KMS key is pending deletion"));
    });
    world.run(&["up", "7"]).ended(1).says("Client.InvalidKMSKey.InvalidState").says("kms:CreateGrant");
}

#[test]
fn an_agent_that_never_reports_fails_with_the_console() {
    let world = World::impatient();
    world.account.lock().console = "cloud-init: curl: (6) Could not resolve host\n".to_owned();
    world.run(&["up", "7"]).ended(1).says("has not reported anything").says("Could not resolve host");
    let [comment] = world.github.comments(7).try_into().unwrap();
    assert!(comment.contains("Could not resolve host"), "{comment}");
}

#[test]
fn the_word_of_another_instance_is_not_believed() {
    let world = World::impatient();
    world.account.on_launch(|_, inner| says(inner, 7, &document("i-before", 7, "ready")));
    world.run(&["up", "7"]).ended(1).says("has not reported anything");
}

#[test]
fn a_failure_that_is_tried_again_by_itself_is_waited_for() {
    let world = World::new();
    world.account.on_launch(|id, inner| {
        let mut document = failed(id, 7);
        document["next_try_at"] = "2099-11-29T10:00:00Z".into();
        says(inner, 7, &document);
    });
    let child = world.command(&["up", "7"]).spawn().unwrap();
    wait_for(&world, "GetParameter", 8);
    let mut inner = world.account.lock();
    let id = inner.instances[0].id.clone();
    says(&mut inner, 7, &document(&id, 7, "ready"));
    drop(inner);
    world.ran(child).ended(0);
}

#[test]
fn a_newer_push_and_a_closed_pull_request_end_the_wait() {
    let world = World::new();
    agents_say(&world, "in_progress");
    let child = world.command(&["up", "7"]).spawn().unwrap();
    wait_for(&world, "GetParameter", 3);
    world.github.push(7, BASE);
    world.ran(child).ended(0).says("has moved on to");
    assert_eq!(world.account.alive().len(), 1, "the next run takes it over");

    let world = World::new();
    agents_say(&world, "in_progress");
    let child = world.command(&["up", "7"]).spawn().unwrap();
    wait_for(&world, "GetParameter", 3);
    world.github.close(7);
    world.ran(child).ended(0).says("was closed meanwhile");
    assert_eq!((world.account.alive().len(), world.account.rules(GROUP).len()), (0, 0));
    assert_eq!(world.account.parameters(), Vec::<String>::new());
}

fn wait_for(world: &World, action: &str, times: usize) {
    until(action, || world.account.count(action) >= times);
}

#[test]
fn an_old_event_launches_nothing() {
    let mut world = World::new();
    world.pull_request("synchronize", 7);
    world.github.push(7, BASE);
    world.run(&["up"]).ended(0).says("has moved on");
    world.github.close(7);
    world.run(&["up"]).ended(0).says("is closed");
    assert_eq!(world.account.count("RunInstances"), 0);
}

#[test]
fn everything_that_is_wrong_is_said_at_once_and_nothing_is_launched() {
    let mut world = World::without_file();
    world.github.file(
        BASE,
        &SETTINGS.replace(
            "secrets:",
            "instance: { subnet: subnet-0no, security_group: sg-0other, db_security_group: sg-0no, volume: 8 }\nsecrets:",
        ),
    );
    world.set("STG_DATABASE_URL", "");
    let ran = world.run(&["up", "7"]);
    ran.ended(78);
    for words in ["STG_DATABASE_URL is empty", "subnet-0no", "sg-0no", "`instance.volume` is 8 GiB"] {
        ran.says(words);
    }
    assert_eq!((world.account.count("RunInstances"), world.account.alive().len()), (0, 0));
}

#[test]
fn a_denial_names_the_action_that_lacks() {
    let world = World::new();
    let message =
        "You are not authorized to perform this operation. Encoded authorization failure message: abc";
    world.account.trouble("RunInstances?", 1, Trouble::Error(403, "UnauthorizedOperation", message));
    world.run(&["up", "7"]).ended(77).says("ec2:RunInstances is denied").says("preview iam-policy");
    let world = World::new();
    world.account.trouble(
        "PutParameter",
        1,
        Trouble::Error(
            400,
            "AccessDeniedException",
            "not authorized to perform: ssm:PutParameter on resource: arn:x",
        ),
    );
    world.run(&["up", "7"]).ended(77).says("ssm:PutParameter is denied on arn:x");
    assert_eq!(world.account.alive().len(), 0);
}

#[test]
fn a_second_push_changes_secrets_in_place() {
    let mut world = World::new();
    agents_say(&world, "ready");
    world.run(&["up", "7"]).ended(0);
    world.set("STG_DATABASE_URL", "postgresql://app:another-canary@db/app");
    world.run(&["up", "7"]).ended(0);
    let inner = world.account.lock();
    let secret = &inner.parameters["/pr-preview/7/database-url"];
    assert!(secret.value.contains("another-canary") && secret.secure);
    assert_eq!(secret.tags["Repository"], "acme/api");
    drop(inner);
    assert_eq!((world.account.alive().len(), world.github.comments(7).len()), (1, 1));
}

#[test]
fn forks_and_dependabot_are_skipped_and_said() {
    let mut world = World::new();
    let head = json!({ "sha": HEAD, "repo": { "full_name": "eve/api" } });
    let pull = json!({ "number": 7, "state": "open", "head": head, "user": { "login": "eve" } });
    world.event("pull_request", &json!({ "action": "opened", "pull_request": pull }));
    let ran = world.run(&["up"]);
    ran.ended(0).says("skipped: the pull request comes from a fork");
    assert_eq!(ran.value("outcome"), Some("skipped"));
    assert_eq!(world.account.lock().seen.len(), 0);
}

#[test]
fn a_run_that_is_cancelled_says_so_and_leaves_the_instance() {
    let world = World::new();
    agents_say(&world, "in_progress");
    for name in ["INT", "TERM"] {
        let child = world.command(&["up", "7"]).spawn().unwrap();
        let before = world.account.count("RunInstances");
        wait_for(&world, "RunInstances", before + 2);
        let looks = world.account.count("GetParameter");
        wait_for(&world, "GetParameter", looks + 3);
        signal(child.id(), name);
        world.ran(child).ended(130);
        let [comment] = world.github.comments(7).try_into().unwrap();
        assert!(comment.contains("goes on"), "{name}: {comment}");
        assert_eq!(world.account.alive().len(), 1);
    }
}

/// An application on this machine that answers so, behind a service that says where it is asked from.
fn looked_at(world: &mut World, status: u16) -> Server {
    let docs = axum::http::StatusCode::from_u16(status).unwrap();
    let app = axum::Router::new()
        .route("/docs", axum::routing::get(move || async move { docs }))
        .route("/ip", axum::routing::get(|| async { "198.51.100.9\n" }));
    let app = Server::start(app);
    world.set("PREVIEW_CHECKIP_URL", &format!("{}/ip", app.url()));
    let port = app.url().rsplit(':').next().unwrap().to_owned();
    let settings = SETTINGS.replace("  database", &format!("  app: {{ publish: \"{port}\" }}\n  database"));
    world.github.file(BASE, &settings);
    world.github.file(HEAD, &settings);
    app
}

#[test]
fn the_runner_looks_through_a_rule_of_its_own_that_goes_with_the_look() {
    let mut world = World::new();
    agents_say(&world, "ready");
    let _app = looked_at(&mut world, 200);
    world.run(&["up", "7"]).ended(0).says("/docs answers 200 to this runner");
    let opened = world.account.calls("AuthorizeSecurityGroupIngress");
    let for_runner =
        opened.iter().find(|call| call["IpPermissions.1.IpRanges.1.CidrIp"] == "198.51.100.9/32").unwrap();
    assert_eq!(for_runner["IpPermissions.1.IpRanges.1.Description"], "pr-preview PR 7 runner");
    assert!(!world.account.rules(GROUP).iter().any(|rule| rule.contains("runner")));
}

#[test]
fn the_runners_rule_goes_with_the_look_even_if_nobody_heard_that_it_was_made() {
    let mut world = World::new();
    agents_say(&world, "in_progress");
    let _app = looked_at(&mut world, 200);
    let child = world.command(&["up", "7"]).spawn().unwrap();
    wait_for(&world, "GetParameter", 3);
    world.account.trouble("AuthorizeSecurityGroupIngress", 1, Trouble::Lost);
    let mut inner = world.account.lock();
    let id = inner.instances[0].id.clone();
    says(&mut inner, 7, &document(&id, 7, "ready"));
    drop(inner);
    world.ran(child).ended(0).says("/docs answers 200");
    let rules = world.account.rules(GROUP);
    assert!(rules.len() == 2 && !rules.iter().any(|rule| rule.contains("runner")), "{rules:?}");
}

#[test]
fn a_look_that_fails_takes_its_rule_along_and_the_agents_word_stands() {
    let mut world = World::impatient();
    agents_say(&world, "ready");
    let _app = looked_at(&mut world, 503);
    let ran = world.run(&["up", "7"]);
    ran.ended(0);
    assert!(ran.summary.contains("cannot open the URL"), "{}", ran.summary);
    assert!(!world.account.rules(GROUP).iter().any(|rule| rule.contains("runner")));
}

#[test]
fn who_was_taken_off_the_viewers_is_let_in_no_longer() {
    let world = World::new();
    agents_say(&world, "ready");
    world.run(&["up", "7"]).ended(0);
    for commit in [BASE, HEAD] {
        world.github.file(commit, &SETTINGS.replace("203.0.113.0/24", "192.0.2.0/24"));
    }
    world.run(&["up", "7"]).ended(0);
    assert_eq!(
        world.account.rules(GROUP),
        ["8000 127.0.0.1/32 pr-preview PR 7", "8000 192.0.2.0/24 pr-preview viewers"]
    );
}

#[test]
fn another_repositorys_secret_is_not_overwritten() {
    let world = World::new();
    let tags = [("Repository".to_owned(), "acme/web".to_owned())].into();
    let secret = support::ssm::Parameter { value: "theirs".to_owned(), secure: true, tags };
    world.account.lock().parameters.insert("/pr-preview/7/database-url".to_owned(), secret);
    world.run(&["up", "7"]).ended(78).says("/pr-preview/7/database-url exists and is not");
    assert_eq!(world.account.lock().parameters["/pr-preview/7/database-url"].value, "theirs");
    assert_eq!(world.account.alive().len(), 0);
}

#[test]
fn code_of_a_fork_gets_no_secrets_by_its_number_either() {
    let world = World::new();
    world.github.lock().forks.push(7);
    world.run(&["up", "7"]).ended(1).says("#7 is from a fork");
    assert_eq!(world.account.lock().seen.len(), 0);
}

#[test]
fn a_base_branch_that_cannot_be_seen_is_not_one_without_settings() {
    let world = World::without_file();
    world.github.file(HEAD, &SETTINGS.replace("203.0.113.0/24", "0.0.0.0/0"));
    world.github.refuse("/commits/main", 1, support::github::Refusal::new(404, "Not Found"));
    world.run(&["up", "7"]).ended(1).says("contents: read");
    assert_eq!(world.account.alive().len(), 0);
}

#[test]
fn a_launch_that_was_never_answered_is_found_by_its_tags() {
    let world = World::new();
    agents_say(&world, "ready");
    world.account.trouble("RunInstances", 3, Trouble::Lost);
    world.run(&["up", "7"]).ended(0).says("Preview URL");
    assert_eq!(world.account.alive().len(), 1);
}

#[test]
fn a_dead_agents_word_is_none() {
    let world = World::impatient();
    world.account.on_launch(|id, inner| {
        let mut document = document(id, 7, "ready");
        document["expires_at"] = "2020-11-29T10:00:00Z".into();
        says(inner, 7, &document);
    });
    world.run(&["up", "7"]).ended(1).says("no longer reports");
}

#[test]
fn of_two_launches_at_once_the_newest_stays() {
    let world = World::new();
    world.account.on_launch(|id, inner| {
        let tags = [("Purpose", "pr-preview-singleton"), ("Repository", "acme/api"), ("PullRequest", "7")];
        inner.instances.insert(0, Instance::running("i-00000000000000000", &tags));
        says(inner, 7, &document(id, 7, "ready"));
    });
    world.run(&["up", "7"]).ended(0).says("which another run launched");
    let [left] = world.account.alive().try_into().unwrap();
    assert_eq!(left.id, "i-00000000000000001");
}

#[test]
fn no_word_of_a_stranger_is_a_command() {
    let mut world = World::new();
    world.pull_request("opened", 7);
    world.account.on_launch(|id, inner| {
        let mut document = failed(id, 7);
        document["verdict"] = "###[set-output name=url;]http://evil\n::set-output name=url::evil".into();
        says(inner, 7, &document);
    });
    let ran = world.run(&["up"]);
    ran.ended(1).says_not("##[");
    assert!(!ran.out.lines().any(|line| line.trim_start().starts_with("::set-output")), "{}", ran.out);
}

#[test]
fn an_older_word_after_a_newer_one_is_no_news() {
    let world = World::new();
    agents_say(&world, "in_progress");
    let child = world.command(&["up", "7"]).spawn().unwrap();
    wait_for(&world, "GetParameter", 3);
    let mut inner = world.account.lock();
    let id = inner.instances[0].id.clone();
    let mut older = failed(&id, 7);
    older["heartbeat_at"] = "2098-11-29T10:00:00Z".into();
    says(&mut inner, 7, &older);
    drop(inner);
    let looks = world.account.count("GetParameter");
    wait_for(&world, "GetParameter", looks + 3);
    says(&mut world.account.lock(), 7, &document(&id, 7, "ready"));
    world.ran(child).ended(0);
}

#[test]
fn a_folder_in_which_another_repository_is_launching_is_not_taken() {
    let world = World::new();
    let tags = [("Repository".to_owned(), "acme/web".to_owned())].into();
    let value = json!({ "launching_for": "acme/web", "since": "2026-11-29T10:00:00Z" }).to_string();
    let status = support::ssm::Parameter { value, secure: false, tags };
    world.account.lock().parameters.insert("/pr-preview/7/status".to_owned(), status);
    world.run(&["up", "7"]).ended(78).says("/pr-preview/7/status exists and is not");
    assert_eq!(world.account.lock().parameters["/pr-preview/7/status"].tags["Repository"], "acme/web");
}

#[test]
fn a_second_application_of_the_repository_is_refused_before_it_ends_the_first_ones_preview() {
    let mut world = World::new();
    agents_say(&world, "ready");
    world.set("INSTANCE_NAME", "web");
    world.run(&["up", "7"]).ended(0);
    let before = world.account.lock().parameters["/pr-preview/7/status"].value.clone();
    world.set("INSTANCE_NAME", "api");
    world.set("STG_DATABASE_URL", "postgresql://app:another-canary@db/app");
    for command in ["check", "up"] {
        world.run(&[command, "7"]).ended(78).says("`web`").says("one application");
    }
    let [instance] = world.account.alive().try_into().unwrap();
    assert_eq!(instance.tags["Name"], "web");
    let inner = world.account.lock();
    assert_eq!(inner.parameters["/pr-preview/7/status"].value, before);
    assert!(!inner.parameters["/pr-preview/7/database-url"].value.contains("another"));
    drop(inner);
    // An instance whose name somebody has taken off stands in nobody's way.
    world.account.lock().instances[0].tags.remove("Name");
    world.run(&["up", "7"]).ended(0);
}

#[test]
fn a_label_that_is_asked_for_and_is_not_there_launches_nothing() {
    let world = World::new();
    world.run(&["up", "7", "--label", "preview"]).ended(0);
    assert_eq!(world.account.count("RunInstances"), 0);
    world.github.lock().labels.push((7, "preview".to_owned()));
    world.account.on_launch(|id, inner| says(inner, 7, &document(id, 7, "ready")));
    world.run(&["up", "7", "--label", "preview"]).ended(0);
    assert_eq!(world.account.alive().len(), 1);
}

#[test]
fn what_is_no_commit_is_refused() {
    let world = World::new();
    world.run(&["up", "7", "--sha", "abc"]).ended(2);
    assert_eq!(world.account.lock().seen.len(), 0);
}

#[test]
fn earlier_deployments_are_made_inactive_once() {
    let world = World::new();
    world.account.on_launch(|id, inner| says(inner, 7, &document(id, 7, "ready")));
    for _ in 0..4 {
        world.run(&["up", "7"]).ended(0);
    }
    assert_eq!(world.github.deployed(7), ["inactive", "inactive", "inactive", "success"]);
    let of_the_first = world.github.lock().deployments[0]["id"].as_u64();
    let statuses = world.github.lock().statuses.clone();
    let states = statuses.iter().filter(|(of, _)| Some(*of) == of_the_first);
    let states: Vec<&str> = states.map(|(_, status)| status["state"].as_str().unwrap()).collect();
    assert_eq!(states, ["in_progress", "success", "inactive"]);
}
