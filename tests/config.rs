//! What `config.yaml` means, and what each mistake in it is told.
#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests")]

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use preview_agent::config::{
    self, Config, Connection, Error, Health, OnFailure, Publish, Stage, Text, TextPart, ValueRef, ValueSource,
};
use proptest::prelude::*;

const EXAMPLE: &str = include_str!("../packaging/config.example.yaml");
const SHORTEST: &str = "image: ghcr.io/acme/api:1
database: { url: { ssm: /pr/db } }
report: { parameter: /pr/1/status }
";

fn accepted(text: &str) -> Config {
    config::parse(text).unwrap_or_else(|error| panic!("{error}\n{text}"))
}

/// The messages without the file's name, one per line.
fn refused(text: &str) -> String {
    match config::parse(text) {
        Ok(_) => panic!("accepted:\n{text}"),
        Err(error) => error.to_string().replace("config.yaml:", ""),
    }
}

/// A file that is sound but for what is added to it, from line 3 on.
fn with(more: &str) -> String {
    format!("image: acme/api\ndatabase: off\n{more}")
}

fn plain(text: &str) -> Text {
    Text(if text.is_empty() { Vec::new() } else { vec![TextPart::Plain(text.to_owned())] })
}

fn literal(text: &str) -> ValueRef {
    ValueRef { from: ValueSource::Literal(plain(text)), optional: false }
}

#[test]
fn three_lines_are_enough() {
    let config = accepted(SHORTEST);
    assert_eq!(config.image, plain("ghcr.io/acme/api:1"));
    let database = config.database.unwrap();
    assert_eq!(database.env, "DATABASE_URL");
    let ssm = ValueRef { from: ValueSource::Ssm("/pr/db".into()), optional: false };
    assert!(database.connection == Connection::Url(ssm));
    assert_eq!(config.report_parameter, Some(plain("/pr/1/status")));
    assert_eq!(config.migrate.unwrap().command, ["alembic", "upgrade", "head"]);
    assert_eq!((config.app.port, config.app.publish), (8000, publish("0.0.0.0", 8000)));
    assert_eq!(config.app.on_failure, OnFailure::Restore);
    assert_eq!(config.health, Health::Default);
    assert_eq!((config.tries.pull, config.tries.migrate), (5, 5));
    let minutes = |d: Duration| d.as_secs() / 60;
    assert_eq!(minutes(config.deadline), 20);
    let limits = config.deadlines;
    assert_eq!([limits.pull, limits.build, limits.database, limits.health].map(minutes), [15, 15, 5, 2]);
}

fn publish(ip: &str, port: u16) -> Publish {
    Publish { ip: ip.parse().unwrap(), port }
}

#[test]
fn the_example_is_sound_and_means_what_it_says() {
    let config = accepted(EXAMPLE);
    assert_eq!(config.deployment_id, Some(plain("pr-42")));
    let login = &config.registries["ghcr.io"];
    assert!(login.username == literal("octocat") && login.password.optional);
    let source = config.source.unwrap();
    assert_eq!((source.repository, source.context.as_str()), (plain("acme/api"), "."));
    assert_eq!(source.build_args, BTreeMap::from([("PYTHON_VERSION".to_owned(), plain("3.13"))]));
    let job = &config.jobs[0];
    assert_eq!((job.name.as_str(), job.image.as_ref()), ("init-sql", Some(&plain("postgres:16"))));
    assert_eq!(job.files["/job/init.sql"].to_str(), Some("/etc/preview-agent/init.sql"));
    assert_eq!(config.migrate.unwrap().entrypoint, Some(vec![String::new()]));
    assert_eq!(config.app.memory, Some(512 << 20));
    let instance = ValueSource::Literal(Text(vec![TextPart::InstanceId]));
    assert!(config.app.env["INSTANCE"].from == instance);
    assert!(config.app.env["SENTRY_DSN"].optional);
    let Health::Stages(stages) = config.health else { panic!("no stages") };
    let json = serde_json::json!({"status": "healthy"}).as_object().cloned();
    assert_eq!(stages[2], Stage::Http { path: "/health".into(), json });
}

#[test]
fn the_examples_commented_parts_stand_in_for_the_url() {
    let mut lines = Vec::new();
    for line in EXAMPLE.lines().filter(|line| !line.starts_with("  url:")) {
        let part = ["scheme", "host", "port", "name", "user", "password"]
            .iter()
            .any(|key| line.starts_with(&format!("  # {key}: ")));
        lines.push(if part { line.replacen("# ", "", 1) } else { line.to_owned() });
    }
    let Connection::Parts { scheme, host, port, name, user, password } =
        accepted(&lines.join("\n")).database.unwrap().connection
    else {
        panic!("no parts")
    };
    assert_eq!((scheme.as_str(), port), ("postgresql+psycopg", 5432));
    assert!(host == literal("db.internal.example") && name == literal("app") && user == literal("app"));
    let secret =
        ValueSource::SecretsManager { id: "pr-preview/database".into(), key: Some("password".into()) };
    assert!(password.from == secret);
}

#[test]
fn every_key_that_a_message_lists_is_in_the_example() {
    let message = refused("zzz: 1");
    let known = message.lines().next().unwrap().rsplit_once("known here: ").unwrap().1.to_owned();
    for key in known.split(", ").filter(|key| *key != "sidecars") {
        assert!(EXAMPLE.lines().any(|line| line.starts_with(&format!("{key}:"))), "{key}");
    }
}

#[test]
fn every_value_source_is_read() {
    let config = accepted(&with(
        "app:
  env:
    A: 1.10
    B: 007
    C: true
    D: yes
    E: \"\"
    F:
    G: { env: NAME }
    H: { file: /run/x }
    I: { credential: db.password, optional: true }
    J: { ssm: '/pr/token:3' }
    K: { secretsmanager: arn:aws:secretsmanager:eu-west-1:123456789012:secret:x-AbCdEf }
    L: pa$${word}-${instance.tag.Pr}
    M: &anchor 1e3
    N: *anchor
",
    ));
    let mut env = config.app.env;
    for (name, text) in
        [("A", "1.10"), ("B", "007"), ("C", "true"), ("D", "yes"), ("E", ""), ("M", "1e3"), ("N", "1e3")]
    {
        assert!(env.remove(name).unwrap() == literal(text), "{name}");
    }
    assert!(!env.contains_key("F"), "a key without a value counts as not given");
    let mut source = |name: &str| env.remove(name).unwrap().from;
    assert!(source("G") == ValueSource::Env("NAME".into()));
    assert!(source("H") == ValueSource::File("/run/x".into()));
    assert!(source("J") == ValueSource::Ssm("/pr/token:3".into()));
    let id = "arn:aws:secretsmanager:eu-west-1:123456789012:secret:x-AbCdEf".to_owned();
    assert!(source("K") == ValueSource::SecretsManager { id, key: None });
    let tag = TextPart::InstanceTag("Pr".into());
    assert!(source("L") == ValueSource::Literal(Text(vec![TextPart::Plain("pa${word}-".into()), tag])));
    let credential = &env["I"];
    assert!(credential.optional && credential.from == ValueSource::Credential("db.password".into()));
}

#[test]
fn sections_can_be_off() {
    let config = accepted(&with("jobs:\nmigrate:\n"));
    assert!(config.database.is_none() && config.jobs.is_empty());
    assert!(config.migrate.is_none(), "nothing to migrate without a database");
    assert!(accepted(&with("migrate: {command: [true]}")).migrate.is_some());
    assert!(accepted(&format!("{SHORTEST}migrate: off")).migrate.is_none());
    assert!(accepted("image: acme/api\ndatabase: false").database.is_none());
}

#[test]
fn the_ports_follow_each_other_and_take_an_address() {
    let app = |yaml: &str| accepted(&with(yaml)).app;
    assert_eq!(app("app: {port: 9000}").publish, publish("0.0.0.0", 9000));
    assert_eq!(app("app: {publish: 80}").publish, publish("0.0.0.0", 80));
    assert_eq!(app("app: {publish: '127.0.0.1:8000'}").publish, publish("127.0.0.1", 8000));
    assert_eq!(app("app: {publish: '[::1]:8000'}").publish, publish("::1", 8000));
}

#[test]
fn an_expected_answer_keeps_its_types() {
    let config =
        accepted(&with("health: [{http: /h, json: {a: 1, b: true, c: x, d: ~, e: [1.5, {f: '1'}]}}]"));
    let Health::Stages(stages) = config.health else { panic!("no stages") };
    let json = serde_json::json!({"a": 1, "b": true, "c": "x", "d": null, "e": [1.5, {"f": "1"}]});
    assert_eq!(stages, [Stage::Http { path: "/h".into(), json: json.as_object().cloned() }]);
}

#[test]
fn what_is_no_yaml_is_told_with_its_place() {
    for (text, message) in [
        ("", "1:1: the file is empty; `image` and `database` are the least it says"),
        ("# only this\n", "2:1: the file is empty; `image` and `database` are the least it says"),
        ("just text", "1:1: expected a map, found a single value"),
        ("- image: x", "1:1: expected a map, found a list"),
        ("image: b: c", "1:9: not valid YAML: mapping values are not allowed in this context"),
        ("image: x\n  database: off", "2:11: not valid YAML: mapping values are not allowed in this context"),
        ("app:\n\tport: 1", "2:2: not valid YAML: a tab where YAML takes only spaces"),
        ("image: [x", "1:8: not valid YAML: unclosed bracket '['"),
        ("image: \"x", "1:8: not valid YAML: unclosed quote"),
        ("image: @x", "1:8: not valid YAML: a character that cannot stand here; put the value in quotes"),
        ("image: \"a\0b\"", "1:10: not valid YAML: a control character"),
        ("image: *x", "1:8: not valid YAML: an alias of an anchor that does not exist above it"),
        ("image: x\n---\nimage: y", "3:1: expected a single YAML document"),
        ("? [a, b]\n: c", "1:3: not valid YAML: expected a key with its value"),
    ] {
        assert_eq!(refused(text), message, "{text:?}");
    }
}

#[test]
fn a_byte_order_mark_moves_nothing() {
    accepted(&format!("\u{feff}{SHORTEST}"));
    assert_eq!(
        refused("\u{feff}image: a b\ndatabase: off"),
        "1:8: image: an image name has no spaces or line breaks"
    );
}

#[test]
fn each_mistake_is_told_with_line_column_field_and_expectation() {
    for (more, message) in [
        (
            "colour: red",
            "3:1: unknown key `colour`; known here: version, deployment, image, registries, source, database, jobs, migrate, app, health, deadline, deadlines, tries, report, sidecars",
        ),
        (
            "app: {prot: 1}",
            "3:7: app: unknown key `prot`; known here: entrypoint, command, port, publish, memory, on_failure, env",
        ),
        ("image: again", "3:1: image: the key is given twice"),
        ("app: {port: 1, port: 2}", "3:16: app.port: the key is given twice"),
        ("app: {env: {A: 1, A: 2}}", "3:19: app.env.A: the key is given twice"),
        ("version: 2", "3:10: version: expected 1, the only version that this agent reads"),
        ("sidecars: {}", "3:11: sidecars: this key is reserved for a later version"),
        ("deployment: pr-42", "3:13: deployment: expected a map, found a single value"),
        ("deployment: {id: ''}", "3:18: deployment.id: expected 1 to 64 printable characters"),
        ("app: [8000]", "3:6: app: expected a map, found a list"),
        ("app:\n  port: eight", "4:9: app.port: expected a port from 1 to 65535"),
        ("app: {port: 0}", "3:13: app.port: expected a port from 1 to 65535"),
        ("app: {port: 65536}", "3:13: app.port: expected a port from 1 to 65535"),
        ("app: {port: [1]}", "3:13: app.port: expected a port from 1 to 65535, found a list"),
        (
            "app: {publish: '8000:8000'}",
            "3:16: app.publish: expected a host port or address:port, such as 8000 or 127.0.0.1:8000; the container's port is app.port",
        ),
        ("app: {memory: 1m}", "3:15: app.memory: Docker wants a memory limit of 6m at least"),
        ("app: {memory: lots}", "3:15: app.memory: expected a size such as 512m or 1g"),
        ("app: {on_failure: retry}", "3:19: app.on_failure: expected restore or leave"),
        (
            "app: {command: uvicorn app:app}",
            "3:16: app.command: expected a list of words such as [alembic, upgrade, head]",
        ),
        ("app: {command: []}", "3:16: app.command: expected at least one word"),
        ("app: {command: [a, [b]]}", "3:20: app.command[1]: expected a word, found a list"),
        (
            "app: {env: {9A: x}}",
            "3:13: app.env: expected a variable's name: letters, digits and _, no digit first",
        ),
        (
            "app: {env: {A: [x]}}",
            "3:16: app.env.A: expected a value, or exactly one of env, file, credential, ssm and secretsmanager, found a list",
        ),
        (
            "app: {env: {A: {smm: /x}}}",
            "3:17: app.env.A: unknown value source; known here: env, file, credential, ssm, secretsmanager, key, optional",
        ),
        (
            "app: {env: {A: {ssm: /x, env: B}}}",
            "3:16: app.env.A: expected a value, or exactly one of env, file, credential, ssm and secretsmanager",
        ),
        ("app: {env: {A: {ssm: /x, key: b}}}", "3:16: app.env.A: `key` goes with secretsmanager only"),
        ("app: {env: {A: {ssm: /x, optional: yes}}}", "3:36: app.env.A.optional: expected true or false"),
        (
            "app: {env: {A: {ssm: a/b}}}",
            "3:22: app.env.A.ssm: an SSM parameter's name with levels begins with a slash",
        ),
        ("app: {env: {A: {file: x}}}", "3:23: app.env.A.file: expected an absolute path, without `..`"),
        (
            "app: {env: {A: {credential: a/b}}}",
            "3:29: app.env.A.credential: expected the name of a systemd credential, without slashes",
        ),
        (
            "app: {env: {A: {env: A-B}}}",
            "3:22: app.env.A.env: expected a variable's name: letters, digits and _, no digit first",
        ),
        (
            "app: {env: {A: '${HOME}'}}",
            "3:16: app.env.A: a `${` that begins none of ${instance.id}, ${instance.region} and ${instance.tag.NAME}; write a literal one as `$${`",
        ),
        (
            "registries: {'https://ghcr.io': {}}",
            "3:14: registries: expected a registry's host or host:port, such as ghcr.io",
        ),
        (
            "registries: {ghcr.io: {user: x}}",
            "3:24: registries.ghcr.io: unknown key `user`; known here: username, password",
        ),
        (
            "registries:\n  ghcr.io: {username: a}\n  GHCR.io: {username: b}",
            "5:12: registries.GHCR.io: another key names the same registry",
        ),
        ("source: {ref: main}", "3:9: source: `repository` is missing: a GitHub repository as owner/name"),
        (
            "source: {repository: acme, ref: main}",
            "3:22: source.repository: expected a GitHub repository as owner/name",
        ),
        ("source: {repository: a/b, ref: a..b}", "3:32: source.ref: expected a commit, tag or branch"),
        (
            "source: {repository: a/b, ref: x, context: ../c}",
            "3:44: source.context: expected a relative path inside the repository, without `..`",
        ),
        (
            "source: {repository: a/b, ref: x, dockerfile: /d}",
            "3:47: source.dockerfile: expected a relative path inside the repository, without `..`",
        ),
        (
            "source: {repository: a/b, ref: x, api_url: 'https://h/'}",
            "3:44: source.api_url: expected an http or https URL without credentials, query or trailing slash",
        ),
        ("jobs: {name: a}", "3:7: jobs: expected a list of jobs, found a map"),
        (
            "jobs:\n  - {name: a, command: [x]}\n  - {name: a, command: [x]}",
            "5:12: jobs[1].name: another job has this name",
        ),
        (
            "jobs: [{name: migrate, command: [x]}]",
            "3:15: jobs[0].name: app, build and migrate are the agent's own names",
        ),
        ("jobs: [{command: [x]}]", "3:8: jobs[0]: `name` is missing: a name for the status"),
        ("jobs: [{name: a}]", "3:8: jobs[0]: `command` is missing: without one the app itself would start"),
        (
            "jobs: [{name: a, command: [x], files: {job: /x}}]",
            "3:40: jobs[0].files: expected an absolute path, without `..`",
        ),
        (
            "jobs: [{name: a, command: [x], files: {/job: x}}]",
            "3:46: jobs[0].files./job: expected an absolute path, without `..`",
        ),
        (
            "jobs: [{name: a, command: [x], image: A B}]",
            "3:39: jobs[0].image: an image name has no spaces or line breaks",
        ),
        (
            "migrate: {command: []}",
            "3:10: migrate: `command` is missing: without one the app itself would start",
        ),
        (
            "migrate: {timeout: 30m}",
            "3:20: migrate.timeout: longer than `deadline`, the limit of the whole run",
        ),
        ("health: []", "3:9: health: expected at least one stage; without `health` the usual four run"),
        ("health: [udp]", "3:10: health[0]: expected tcp, or {http: /path} with or without json"),
        (
            "health: [{http: docs}]",
            "3:17: health[0].http: expected a path that begins with a slash, percent-encoded, without `#`",
        ),
        (
            "health: [{http: /h, json: healthy}]",
            "3:27: health[0].json: expected a map of fields to the values they must have, found a single value",
        ),
        (
            "health: [{http: /h, json: {}}]",
            "3:27: health[0].json: expected a map of fields to the values they must have",
        ),
        ("health: [{http: /h, json: {a: 1, a: 2}}]", "3:34: health[0].json.a: the key is given twice"),
        ("deadline: 20", "3:11: deadline: expected a duration such as 20m, 120s, 1h30m or 500ms"),
        ("deadline: 0s", "3:11: deadline: expected a duration above zero"),
        ("deadline: 48h", "3:11: deadline: expected a duration of at most 24h"),
        (
            "deadlines: {pull: 21m}",
            "3:19: deadlines.pull: longer than `deadline`, the limit of the whole run",
        ),
        ("tries: {pull: 0}", "3:15: tries.pull: expected a whole number from 1 to 100"),
        (
            "report: {parameter: /a b}",
            "3:21: report.parameter: an SSM parameter's name has only letters, digits and . - _ / (no spaces)",
        ),
        (
            "report: {parameter: /aws/status}",
            "3:21: report.parameter: an SSM parameter's name does not begin with aws or ssm",
        ),
        (
            "report: {parameter: pr/status}",
            "3:21: report.parameter: an SSM parameter's name with levels begins with a slash",
        ),
    ] {
        assert_eq!(refused(&with(more)), message, "{more}");
    }
}

#[test]
fn image_and_database_must_be_there_and_make_sense() {
    for (text, message) in [
        ("database: off", "1:1: `image` is missing: the app's image, such as ghcr.io/acme/api:1.2"),
        ("image:\ndatabase: off", "1:1: `image` is missing: the app's image, such as ghcr.io/acme/api:1.2"),
        (
            "image: ''\ndatabase: off",
            "1:8: image: expected an image name such as ghcr.io/acme/api:1.2, found nothing",
        ),
        ("image: acme api\ndatabase: off", "1:8: image: an image name has no spaces or line breaks"),
        (
            "image: acme/ap$i\ndatabase: off",
            "1:8: image: an image name has no `$`; it has lower-case letters, digits and . _ - /",
        ),
        ("image: x", "1:1: `database` is missing: give its url or its parts, or `off`"),
        ("image: x\ndatabase: on", "2:11: database: expected a map, found a single value"),
        (
            "image: x\ndatabase: {env: A}",
            "2:11: database: `url` is missing: give it, or its parts host, name, user and password",
        ),
        (
            "image: x\ndatabase: {url: 'postgresql://u:p@x@db/app'}",
            "2:17: database.url: the user or password contains an unencoded `@`; write it as %40",
        ),
        ("image: x\ndatabase: {url: ''}", "2:17: database.url: the database URL is empty"),
        (
            "image: x\ndatabase: {url: 'postgres://u:p@db/app'}",
            "2:17: database.url: SQLAlchemy refuses the scheme postgres:// since 1.4; write postgresql://",
        ),
        (
            "image: x\ndatabase: {url: 'sqlite:///x.db'}",
            "2:17: database.url: SQLite needs no server to wait for; write `database: off`",
        ),
        (
            "image: x\ndatabase: {url: 'postgresql://u:p@localhost/app'}",
            "2:17: database.url: a loopback host is the app's own container, not this machine; name an address that the container can reach",
        ),
        (
            "image: x\ndatabase: {url: {ssm: /x}, host: db}",
            "2:17: database.url: give either `url` or the parts of one, not both",
        ),
        (
            "image: x\ndatabase: {host: 127.0.0.1, name: a, user: u, password: p}",
            "2:18: database.host: a loopback host is the app's own container, not this machine; name an address that the container can reach",
        ),
        (
            "image: x\ndatabase: {host: 'db:5432', name: a, user: u, password: p}",
            "2:18: database.host: expected a host name or an address, without port or brackets",
        ),
        (
            "image: x\ndatabase: {host: db, name: a, user: u}",
            "2:11: database: `password` is missing: the role's password",
        ),
        (
            "image: x\ndatabase: {scheme: 'postgresql://u:p@h', host: db, name: a, user: u, password: p}",
            "2:20: database.scheme: expected a database URL such as postgresql+psycopg://user:password@host:5432/name",
        ),
        (
            "image: x\ndatabase: {scheme: postgres, host: db, name: a, user: u, password: p}",
            "2:20: database.scheme: SQLAlchemy refuses the scheme postgres:// since 1.4; write postgresql://",
        ),
        (
            "image: x\ndatabase: {url: {ssm: /x}}\napp: {env: {DATABASE_URL: y}}",
            "3:27: app.env.DATABASE_URL: `database` sets this variable already",
        ),
    ] {
        assert_eq!(refused(text), message, "{text}");
    }
}

#[test]
fn an_image_in_upper_case_is_fine() {
    let name = accepted("image: GHCR.io/Acme/API:V1\ndatabase: off").image;
    let image = config::ImageReference::parse(name.as_plain().unwrap()).unwrap();
    assert_eq!(image.to_string(), "ghcr.io/acme/api:V1");
}

#[test]
fn all_problems_come_at_once_in_the_files_order() {
    let text = "image: two words
database:
  url: postgresql://u:hunt#er2@db/app
app:
  port: eight
  colour: red
  env: { A: { ssm: /a, file: /b } }
jobs:
  - name: Init
    files: { job: /x }
health: [tcp, { http: docs }]
deadline: soon
report: { parameter: /aws/x }
";
    let told = refused(text);
    let places: Vec<&str> = told.lines().map(|line| line.split(": ").take(2).last().unwrap()).collect();
    assert_eq!(
        places,
        [
            "image",
            "database.url",
            "app.port",
            "app",
            "app.env.A",
            "jobs[0]",
            "jobs[0].name",
            "jobs[0].files",
            "health[1].http",
            "deadline",
            "report.parameter",
        ],
        "{told}"
    );
    let lines: Vec<u32> = told.lines().map(|line| line.split(':').next().unwrap().parse().unwrap()).collect();
    assert_eq!(lines, [1, 3, 5, 6, 7, 9, 9, 10, 11, 12, 13]);
}

#[test]
fn bombs_and_towers_are_refused_quickly() {
    const MESSAGE: &str = "nested too deeply, or too large once its aliases are expanded";
    let started = Instant::now();
    let mut bomb = String::from("a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n");
    for i in 1..12 {
        let aliases = vec![format!("*a{}", i - 1); 10].join(", ");
        bomb.push_str(&format!("a{i}: &a{i} [{aliases}]\n"));
    }
    let indented: String = (0..300).map(|depth| format!("{}a:\n", " ".repeat(depth))).collect();
    let wide = format!("image: [{}]", "x, ".repeat(80_000));
    for text in [
        bomb,
        indented,
        wide,
        format!("image: {}", "[".repeat(5_000)),
        format!("image: {}", "{a: ".repeat(5_000)),
    ] {
        let told = refused(&text);
        assert!(told.ends_with(MESSAGE), "{told}");
    }
    assert!(started.elapsed() < Duration::from_secs(5), "{:?}", started.elapsed());
}

#[test]
fn a_file_is_read_whole_or_refused_with_its_name() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("config.yaml");
    let file = path.display().to_string();
    let load = |bytes: &[u8]| {
        std::fs::write(&path, bytes).unwrap();
        config::load(&path)
    };
    let loaded = load(SHORTEST.as_bytes()).unwrap();
    assert_eq!(loaded.bytes, SHORTEST.as_bytes());
    assert!(!format!("{loaded:?}").contains("bytes"));

    let told = |bytes: &[u8]| load(bytes).unwrap_err().to_string().replace(&file, "F");
    assert_eq!(told(b"image: x\nreport: \xc3\xa4\xff"), "F:2:10: not UTF-8 text");
    assert_eq!(told(&vec![b'#'; 256 * 1024 + 1]), "F: larger than 256 KiB; this is hardly a configuration");
    assert_eq!(
        told(b"database: off\nimage: a b"),
        "F:2:8: image: an image name has no spaces or line breaks"
    );

    let unreadable = config::load(folder.path()).unwrap_err();
    assert!(matches!(unreadable, Error::Unreadable { .. }), "{unreadable}");
    let absent = config::load(&folder.path().join("none")).unwrap_err();
    assert!(matches!(absent, Error::NotFound { .. }), "{absent}");
}

#[test]
fn a_missing_job_file_is_told_beside_the_other_problems() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("config.yaml");
    let there = folder.path().join("there.sql");
    std::fs::write(&there, "select 1").unwrap();
    let text = with(&format!(
        "jobs:\n  - name: a\n    command: [x]\n    files:\n      /job/a: {}\n      /job/b: /nonexistent/b.sql\ndeadline: soon\n",
        there.display()
    ));
    std::fs::write(&path, text).unwrap();
    let told = config::load(&path).unwrap_err().to_string().replace(&format!("{}:", path.display()), "");
    assert_eq!(
        told,
        "8:15: jobs[0].files./job/b: no such file on this host: /nonexistent/b.sql\n\
         9:11: deadline: expected a duration such as 20m, 120s, 1h30m or 500ms"
    );
}

/// No name, host or path has a `$`, so nobody can take this for one.
const CANARY: &str = "canary$hunter2";

#[test]
fn no_message_repeats_a_value_wherever_it_stands() {
    let shapes = [
        "canary$hunter2".to_owned(),
        "'canary$hunter2'".to_owned(),
        "\"canary$hunter2".to_owned(),
        "[canary$hunter2]".to_owned(),
        "{canary$hunter2: x}".to_owned(),
        "{canary$hunter2}".to_owned(),
        "{ssm: canary$hunter2}".to_owned(),
        "{ssm: canary$hunter2, env: canary$hunter2, key: canary$hunter2}".to_owned(),
        "${canary$hunter2}".to_owned(),
        "postgresql://u:canary$hunter2@x@db/app".to_owned(),
        "postgresql://u:canary$hunter2/x@canary$hunter2/app".to_owned(),
        "!canary$hunter2 x".to_owned(),
        "*canary$hunter2".to_owned(),
        "&canary$hunter2 *b".to_owned(),
        "@canary$hunter2".to_owned(),
        "canary$hunter2: x: y".to_owned(),
        "\n  canary$hunter2".to_owned(),
        "\n\tcanary$hunter2".to_owned(),
    ];
    let mut refusals = 0;
    let lines: Vec<&str> = EXAMPLE.lines().collect();
    for (i, line) in lines.iter().enumerate().filter(|(_, line)| !line.trim_start().starts_with('#')) {
        let Some((key, _)) = line.split_once(": ").or_else(|| line.split_once(":")) else { continue };
        for shape in &shapes {
            let mut lines: Vec<String> = lines.iter().map(|line| (*line).to_owned()).collect();
            lines[i] = format!("{key}: {shape}");
            if let Err(error) = config::parse(&lines.join("\n")) {
                refusals += 1;
                assert!(!error.to_string().contains(CANARY), "{shape} at line {}: {error}", i + 1);
                assert!(!format!("{error:?}").contains(CANARY), "{shape} at line {}: {error:?}", i + 1);
            }
        }
    }
    assert!(refusals > 500, "{refusals}");
}

#[test]
fn debug_of_a_configuration_shows_no_value_that_may_be_secret() {
    let config = accepted(
        "image: acme/api
registries: { ghcr.io: { username: canary, password: canary } }
source: { repository: a/b, ref: x, token: canary }
database: { host: db, name: canary, user: canary, password: canary }
app: { env: { A: canary } }
",
    );
    assert!(!format!("{config:?}").contains("canary"));
}

proptest! {
    #[test]
    fn no_text_panics(text in "\\PC{0,200}", lines in "([a-z]{1,6}:[ \n\t]{1,3}[-\\[{*&!|>'\"a-z0-9]{0,4}){0,10}") {
        config::parse(&text).ok();
        config::parse(&lines).ok();
    }

    #[test]
    fn a_damaged_file_is_refused_without_repeating_it(at in 0..EXAMPLE.len(), cut in 0..200_usize, junk in "[\\[\\]{}:,\"'&*!|>%@`\t\n -]{0,3}") {
        let clean = |mut i: usize| {
            i = i.min(EXAMPLE.len());
            while !EXAMPLE.is_char_boundary(i) { i -= 1; }
            i
        };
        let text = format!("{}{junk}{CANARY}{}", &EXAMPLE[..clean(at)], &EXAMPLE[clean(at + cut)..]);
        if let Err(error) = config::parse(&text) {
            prop_assert!(!error.to_string().contains(CANARY), "{}", error);
        }
    }
}
