//! `preview.yaml`: what counts is the base branch's; a pull request may change what runs, and nothing else.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::exit)]

mod support;

use preview::names::Repository;
use preview::settings::{AgentConfig, Fill, Settings, Variables, read, with_head};
use serde_json::Value;
use support::account::GROUP;
use support::github::HEAD;
use support::status::{document, says};
use support::world::{SETTINGS, World, act_as_preview};

#[test]
fn preview() {
    act_as_preview();
}

fn repository() -> Repository {
    "acme/api".parse().unwrap()
}

fn variables() -> Variables {
    [("SUBNET_ID", "subnet-1"), ("SG_ID", "sg-1"), ("INSTANCE_PROFILE", "preview")]
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .into_iter()
        .collect()
}

#[track_caller]
fn parsed(text: &str) -> Settings {
    match read("preview.yaml", text, &repository(), &variables()) {
        Ok(settings) => settings,
        Err(error) => panic!("{error}"),
    }
}

#[track_caller]
fn refused(text: &str, words: &str) {
    let error = read("preview.yaml", text, &repository(), &variables()).err().unwrap().to_string();
    assert!(error.contains(words), "no {words}: {error}");
}

/// The agent's configuration of this commit.
fn agent(settings: &Settings, sha: &str) -> Value {
    let preview =
        preview::names::Preview { repository: repository(), number: 7, path: settings.path.clone() };
    let fill = Fill { preview: &preview, sha, secrets: &settings.secrets };
    serde_json::from_str(&AgentConfig::new(settings, &fill).unwrap().text).unwrap()
}

/// Base and head that say more of the agent; what is used, and where the head says more.
fn merged(base: &str, head: &str) -> (Value, Vec<String>) {
    let of = |agent: &str| parsed(&format!("agent:\n  database: {{ url: {{ ssm: /base }} }}\n{agent}"));
    let (settings, refused) = with_head(of(base), &of(head));
    (agent(&settings, HEAD), refused.into_iter().map(|refused| refused.field).collect())
}

#[test]
fn a_commit_of_digits_stays_a_text() {
    let settings = parsed(
        "agent:\n  image: a/b:${sha}\n  database: off\n  app: { env: { BUILD: \"${sha}\", PR: \"${pr.number}\", ACCOUNT: 012345678901, V: 1.10 } }\n",
    );
    for sha in ["4225332178759948e04347560002921719079454", "0123456789012345678901234567890123456789"] {
        let agent = agent(&settings, sha);
        assert_eq!(
            (&agent["image"], &agent["app"]["env"]["BUILD"]),
            (&format!("a/b:{sha}").into(), &sha.into())
        );
        assert_eq!(agent["app"]["env"]["PR"], "7");
        assert_eq!(
            (&agent["app"]["env"]["ACCOUNT"], &agent["app"]["env"]["V"]),
            (&"012345678901".into(), &"1.10".into())
        );
    }
}

#[test]
fn what_is_wrong_is_said_with_line_and_field_of_this_file() {
    refused(
        "agent: { image: a }\nviewers: [203.0.113.7/24]\n",
        "preview.yaml:2:11: viewers[0]: 203.0.113.7/24 is an address",
    );
    refused("viewers: [203.0.113.7]\n", "write 203.0.113.7/32");
    refused(
        "agent:\n  image: a/b\n  database: off\n  app: { port: eight }\n",
        "preview.yaml:4:16: agent.app.port",
    );
    refused(
        "agent:\n  image: a/b:${secret.nope}\n  database: off\n",
        "preview.yaml:2:10: agent: a `${secret.…}` that `secrets` does not list",
    );
    refused(
        "agent:\n  image: a/b\n  database: off\n  report: { parameter: /x }\n",
        "agent.report: `preview` sets this itself",
    );
    refused("agents: {}\nagent: { image: a/b, database: off }\n", "unknown key `agents`");
    refused(
        "instance: { ami: latest }\nagent: { image: a/b, database: off }\n",
        "instance.ami: expected an id",
    );
    refused("secrets: { \"A B\": X }\nagent: { image: a/b, database: off }\n", "expected a name of letters");
    refused("path: /aws/x\nagent: { image: a/b, database: off }\n", "path: expected a folder");
    refused("", "empty");
    let nothing =
        read("preview.yaml", "agent: { image: a/b, database: off }\n", &repository(), &Variables::default());
    let error = nothing.err().unwrap().to_string();
    assert!(error.contains("`subnet` is missing: write it here, or set the variable SUBNET_ID"), "{error}");
}

#[test]
fn a_pull_request_may_change_what_runs() {
    let (agent, refused) = merged(
        "  image: a/b:1\n  source: { repository: acme/api, ref: a, token: { ssm: /token } }\n  app: { command: [one], env: { A: x, OLD: y, S: { ssm: /s } } }\n  \
         migrate: { command: [alembic, upgrade, head] }\n  jobs: [{ name: init, command: [a], files: { /a: /etc/a } }]\n",
        "  image: a/b:2\n  source: { repository: acme/api, ref: b, token: { ssm: /token } }\n  app: { command: [two], env: { A: z, NEW: n, S: { ssm: /s } } }\n  \
         migrate: { command: [alembic, upgrade, heads] }\n  jobs: [{ name: init, command: [b], files: { /a: /etc/a } }, { name: more, command: [c] }]\n  health: [tcp]\n",
    );
    assert_eq!(refused, Vec::<String>::new());
    assert_eq!((&agent["image"], &agent["source"]["ref"]), (&"a/b:2".into(), &"b".into()));
    assert_eq!(agent["app"]["command"][0], "two");
    assert_eq!(agent["app"]["env"], serde_json::json!({ "A": "z", "NEW": "n", "S": { "ssm": "/s" } }));
    assert_eq!(agent["migrate"]["command"][2], "heads");
    assert_eq!(
        (&agent["jobs"][0]["command"][0], &agent["jobs"][0]["files"]["/a"]),
        (&"b".into(), &"/etc/a".into())
    );
    assert_eq!((&agent["jobs"][1]["name"], &agent["health"][0]), (&"more".into(), &"tcp".into()));
}

#[test]
fn a_pull_request_does_not_reach_for_what_it_was_not_given() {
    let (agent, refused) = merged(
        "  image: a/b:1\n  registries: { ghcr.io: { username: u, password: { ssm: /p } } }\n  jobs: [{ name: init, command: [a] }]\n  app: { env: { A: { ssm: /s } } }\n",
        "  image: a/b:2\n  registries: { evil.example: { username: u, password: { ssm: /p } } }\n  jobs: [{ name: init, command: [a], files: { /x: /etc/shadow } }]\n  \
         app: { publish: \"9999\", memory: 64m, env: { A: { ssm: /s }, B: { ssm: /prod/key }, C: { file: /etc/shadow } } }\n",
    );
    let text = agent.to_string();
    for words in ["evil.example", "/etc/shadow", "9999", "/prod/key", "64m"] {
        assert!(!text.contains(words), "{words}: {text}");
    }
    assert_eq!(agent["image"], "a/b:2");
    for field in [
        "agent.registries.evil.example",
        "agent.jobs[0].files",
        "agent.app.publish",
        "agent.app.env.B",
        "agent.app.env.C",
    ] {
        assert!(refused.iter().any(|refused| refused == field), "{field}: {refused:?}");
    }
}

#[test]
fn a_literal_in_the_place_of_a_secret_is_taken_and_never_the_other_way() {
    let (agent, _) = merged(
        "  image: a\n  app: { env: { A: { ssm: /s } } }\n",
        "  image: a\n  app: { env: { A: plain } }\n",
    );
    assert_eq!(agent["app"]["env"]["A"], "plain");
    let (agent, refused) = merged(
        "  image: a\n  app: { env: { A: plain } }\n",
        "  image: a\n  app: { env: { A: { ssm: /s } } }\n",
    );
    assert_eq!(agent["app"]["env"]["A"], "plain");
    assert_eq!(refused, ["agent.app.env.A"]);
}

#[test]
fn the_heads_instance_waits_for_the_merge_and_the_comment_says_so() {
    let world = World::new();
    world.account.on_launch(|id, inner| says(inner, 7, &document(id, 7, "ready")));
    world.github.file(
        HEAD,
        &SETTINGS.replace("viewers: [203.0.113.0/24]", "viewers: [0.0.0.0/0]\ninstance: { type: t3.large }"),
    );
    world.run(&["up", "7"]).ended(0);
    assert_eq!(world.account.calls("RunInstances")[1]["InstanceType"], "t3.small");
    assert!(!world.account.rules(GROUP).iter().any(|rule| rule.contains("0.0.0.0/0")));
    let [comment] = world.github.comments(7).try_into().unwrap();
    for words in ["take effect after the merge", "`instance`", "`viewers`"] {
        assert!(comment.contains(words), "{words}: {comment}");
    }
}

#[test]
fn a_head_whose_file_is_wrong_is_refused_before_the_merge() {
    let world = World::new();
    world.github.file(HEAD, &SETTINGS.replace("viewers", "viewrs"));
    world.run(&["up", "7"]).ended(78).says("preview.yaml of the pull request:1:1: unknown key `viewrs`");
    assert_eq!(world.account.count("RunInstances"), 0);
}

#[test]
fn the_first_pull_request_with_a_file_uses_its_own_and_says_so() {
    let world = World::without_file();
    world.account.on_launch(|id, inner| says(inner, 7, &document(id, 7, "ready")));
    world.github.file(HEAD, SETTINGS);
    world.run(&["up", "7"]).ended(0);
    let [comment] = world.github.comments(7).try_into().unwrap();
    assert!(comment.contains("The base branch has no preview.yaml yet"), "{comment}");
}

#[test]
fn the_handbooks_variables_work_without_a_file() {
    let mut world = World::without_file();
    world.account.on_launch(|id, inner| says(inner, 7, &document(id, 7, "ready")));
    world.set("INSTANCE_TYPE", "t3.medium");
    world.set("INSTANCE_NAME", "my-preview");
    world.set("GHCR_USERNAME", "octocat");
    world.set("GHCR_TOKEN", "canary-of-the-registry");
    world.run(&["up", "7"]).ended(0);
    let [instance] = world.account.alive().try_into().unwrap();
    assert_eq!(instance.tags["Name"], "my-preview");
    use base64::Engine as _;
    let script =
        String::from_utf8(base64::engine::general_purpose::STANDARD.decode(&instance.user_data).unwrap())
            .unwrap();
    let config: Value =
        serde_json::from_str(script.split("<<'YAML'\n").nth(1).unwrap().lines().next().unwrap()).unwrap();
    assert_eq!(config["image"], format!("ghcr.io/acme/api:{HEAD}"));
    assert_eq!(config["registries"]["ghcr.io"]["username"], "octocat");
    assert_eq!(config["source"]["ref"], HEAD);
    assert_eq!(
        world.account.parameters(),
        ["/pr-preview/7/database-url", "/pr-preview/7/ghcr-token", "/pr-preview/7/status"]
    );
    // Without Sentry its parameter is absent, and the agent leaves the variable out.
    assert_eq!(config["app"]["env"]["SENTRY_DSN"]["optional"], "true");
}

#[test]
fn without_file_and_variables_what_is_missing_is_listed() {
    let mut world = World::without_file();
    world.set("SUBNET_ID", "");
    world.set("SG_ID", "");
    world.run(&["up", "7"]).ended(78).says("SUBNET_ID: not set").says("SG_ID: not set");
}

#[test]
fn a_check_says_all_that_is_wrong_and_touches_nothing() {
    let mut world = World::new();
    world
        .run(&["check", "7"])
        .ended(0)
        .says("account 123456789012")
        .says("would launch t3.small")
        .says("all is well");
    world.set("STG_DATABASE_URL", "");
    world.set("SUBNET_ID", "subnet-0no");
    world.run(&["check"]).ended(78).says("STG_DATABASE_URL").says("subnet-0no");
    assert_eq!((world.account.count("PutParameter"), world.account.count("TerminateInstances")), (0, 0));
    let opened = world.account.calls("AuthorizeSecurityGroupIngress");
    assert!(opened.iter().all(|call| call["DryRun"] == "true") && world.account.rules(GROUP).is_empty());
    assert!(world.account.calls("RunInstances").iter().all(|call| call["DryRun"] == "true"));
    assert_eq!(world.github.lock().seen.iter().filter(|line| !line.starts_with("GET")).count(), 0);
}

#[test]
fn the_rehearsal_is_the_launch_but_for_its_word() {
    let world = World::new();
    world.account.on_launch(|id, inner| says(inner, 7, &document(id, 7, "ready")));
    world.run(&["up", "7"]).ended(0);
    let [mut rehearsal, launch] = world.account.calls("RunInstances").try_into().unwrap();
    assert_eq!(rehearsal.remove("DryRun").as_deref(), Some("true"));
    assert_eq!(rehearsal, launch);
    assert_eq!(launch["BlockDeviceMapping.1.DeviceName"], "/dev/sda1");
    assert_eq!(launch["MetadataOptions.HttpTokens"], "required");
}

#[test]
fn without_credentials_or_region_one_line_says_so() {
    let mut world = World::new();
    world.set("AWS_ACCESS_KEY_ID", "");
    world.set("AWS_SECRET_ACCESS_KEY", "");
    world.run(&["check"]).ended(77).says("no valid credentials").says("aws sso login");
    world.set("AWS_REGION", "");
    world.run(&["check"]).ended(1).says("AWS_REGION");
}

#[test]
fn a_file_that_says_only_who_may_look_runs_the_handbooks_deployment() {
    let settings = parsed("viewers: [203.0.113.0/24]\nsecrets: { key: MY_KEY }\n");
    let agent = agent(&settings, HEAD);
    assert_eq!(agent["image"], format!("ghcr.io/acme/api:{HEAD}"));
    let names: Vec<&str> = settings.secrets.iter().map(|secret| secret.name.as_str()).collect();
    assert_eq!(names, ["key", "database-url", "ghcr-token", "sentry-dsn"]);
}

#[test]
fn the_policy_is_that_of_the_role_template() {
    let place = preview::iam_policy::Place {
        repository: "acme/api",
        path: "/pr-preview",
        role: "arn:aws:iam::123456789012:role/preview",
        profile: "arn:aws:iam::123456789012:instance-profile/preview",
        subnets: &["arn:aws:ec2:eu-central-1:123456789012:subnet/subnet-1".to_owned()],
        groups: &["arn:aws:ec2:eu-central-1:123456789012:security-group/sg-1".to_owned()],
        kinds: &["t3.small".to_owned()],
        owners: &["amazon".to_owned()],
        image_parameter: None,
    };
    let policy: Value = serde_json::from_str(&preview::iam_policy::policy(&place)).unwrap();
    let statements = policy["Statement"].as_array().unwrap();
    let actions = statements.iter().flat_map(|statement| statement["Action"].as_array().unwrap());
    let ours: std::collections::BTreeSet<&str> = actions.map(|action| action.as_str().unwrap()).collect();
    let template = include_str!("../../packaging/cloudformation/github-role.yaml");
    let template = template.replace("aws:RequestTag/", "").replace("aws:ResourceTag/", "");
    let words = template.split(|c: char| !c.is_ascii_alphanumeric() && c != ':');
    let services = ["ec2:", "ssm:", "iam:", "sts:", "kms:"];
    let is_action = |word: &&str| {
        services.iter().any(|service| {
            word.strip_prefix(service).is_some_and(|name| name.starts_with(char::is_uppercase))
        })
    };
    let theirs: std::collections::BTreeSet<&str> = words
        // A condition's key ends in a colon.
        .filter(|word| is_action(word) && !word.ends_with(':') && !word.starts_with("sts:AssumeRole"))
        .collect();
    assert_eq!(ours, theirs);
}

#[test]
fn a_policy_that_nobody_has_filled_in_touches_nothing_of_any_account() {
    let world = World::new();
    let ran = world.run(&["iam-policy"]);
    let policy: Value = serde_json::from_str(&ran.ended(0).out).unwrap();
    for statement in policy["Statement"].as_array().unwrap() {
        for resource in statement["Resource"].as_array().unwrap() {
            let resource = resource.as_str().unwrap();
            let of_aws = ["*", "arn:aws:ec2:*::image/*", "arn:aws:ssm:*::parameter/aws/service/*"];
            assert!(resource.contains("ACCOUNT") || of_aws.contains(&resource), "{statement}");
        }
    }
    assert_eq!(world.account.lock().seen.len(), 0);
}

#[test]
fn odd_settings_of_aws_end_in_no_panic() {
    let mut world = World::new();
    for (name, value) in [("AWS_RETRY_MODE", "legacy"), ("AWS_RETRY_MODE", ""), ("AWS_MAX_ATTEMPTS", "0")] {
        world.set(name, value);
        world.run(&["check", "7"]).ended(0);
    }
    world.set("AWS_ENDPOINT_URL", "");
    world.run(&["check", "7"]).ended(1).says("AWS_ENDPOINT_URL is set and empty");
}

#[test]
fn an_unknown_placeholder_is_refused_with_all_that_are_known_there() {
    let text = |image: &str| format!("agent:\n  image: \"{image}\"\n  database: off\n");
    for known in [
        "${sha}",
        "${pr.number}",
        "${secret.NAME}",
        "${instance.id}",
        "${instance.region}",
        "${instance.tag.NAME}",
    ] {
        refused(&text("a/b:${shaa}"), known);
    }
    refused(&text("a/b:${shaa}"), "preview.yaml:2:10: agent.image");
    refused(&text("a/b:${pr.title}"), "${sha}");
    // What the agent does not read is not for it to refuse.
    let settings =
        parsed(&format!("{}  migrate: {{ command: [sh, -c, \"echo ${{HOME}} ${{sha}}\"] }}\n", text("a/b")));
    assert_eq!(agent(&settings, HEAD)["migrate"]["command"][2], format!("echo ${{HOME}} {HEAD}"));
}
