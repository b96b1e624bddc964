//! The bytes of the status document: size, schema, escapes, and the verdict.

#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test with a place")]

use std::path::PathBuf;
use std::sync::LazyLock;

use preview_agent::redact::Redactor;
use preview_agent::status::fit;
use preview_agent::status::systemd::Systemd;
use preview_agent::status::verdict::verdict;
use preview_agent::status::{
    App, Cause, Class, Code, Container, Database, DatabaseState, Document, Fault, FaultReport, HealthStage,
    Image, ImageSource, Instance, Migration, Outcome, Phase, PhaseName, PhaseState, Progress, Report,
    Reporter, Run, RunId, Service, ServiceState, Serving, Timestamp, Topic,
};
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use serde_json::Value;
use tempfile::TempDir;
use time::OffsetDateTime;

const NOW: i64 = 1_795_255_200; // 2026-11-21T10:00:00Z

fn clock() -> OffsetDateTime {
    OffsetDateTime::from_unix_timestamp(NOW).unwrap()
}

fn at(seconds: i64) -> Timestamp {
    OffsetDateTime::from_unix_timestamp(NOW + seconds).unwrap().into()
}

static SCHEMA: LazyLock<jsonschema::Validator> = LazyLock::new(|| {
    let schema: Value = serde_json::from_str(include_str!("../schemas/status.v1.json")).unwrap();
    jsonschema::draft202012::new(&schema).unwrap()
});

fn report() -> Report {
    let mut report = Report::new(Run::begun(id("r1"), 1, at(0), Some(at(1200))));
    report.deployment(Some("pr-42".into()));
    report
}

fn fresh() -> Document {
    report().document(at(0))
}

/// The text as a run's id, which is never empty.
fn id(text: &str) -> RunId {
    text.to_owned().try_into().unwrap_or_else(|_| id("r1"))
}

/// A document in which every field is present and every free text is `text`.
fn full(text: &str) -> Document {
    let some = || Some(text.to_owned());
    let mut document = fresh();
    document.run.id = id(text);
    document.run.deployment = some();
    document.run.superseded_by = Some(id(text));
    document.run.finished = Some(at(42));
    let cause =
        Cause { class: Class::App, code: Some(Code::AppExited), message: text.into(), tail: text.into() };
    document.service = Service { state: ServiceState::Down, since: at(1), cause: Some(cause) };
    document.serving =
        Some(Serving { image: text.into(), digest: some(), commit: some(), run: id(text), since: at(2) });
    document.image = Image {
        requested: some(),
        digest: some(),
        source: Some(ImageSource::Built),
        commit: some(),
        why_built: some(),
        progress: Some(Progress { bytes: u64::MAX, total: Some(u64::MAX) }),
    };
    document.instance = Instance {
        id: some(),
        region: some(),
        az: some(),
        kind: some(),
        private_ip: some(),
        public_ip: some(),
    };
    document.database = Some(Database { endpoint: text.into(), state: DatabaseState::Unreachable });
    document.migration =
        Some(Migration { state: PhaseState::Failed, from: some(), to: some(), attempts: u32::MAX });
    document.app = App { container: some(), restarts: u64::MAX, url: some() };
    document.health = vec![
        HealthStage {
            stage: text.into(),
            ok: false,
            skipped: true,
            status: Some(u16::MAX),
            ms: Some(u64::MAX)
        };
        20
    ];
    for phase in &mut document.phases {
        *phase = Phase {
            name: phase.name,
            state: PhaseState::Running,
            start_ms: Some(u64::MAX),
            ms: Some(u64::MAX),
            attempts: u32::MAX,
            tries: u32::MAX,
        };
    }
    let fault = Fault::new(Code::DatabaseTooManyConnections, text).with_tail(text).after(u32::MAX);
    document.fault =
        Some(FaultReport { hint: text.into(), ..FaultReport::new(fault, Some(PhaseName::Resolve)) });
    document.notes = vec![text.into(); 20];
    document.next_try_at = Some(at(60));
    document.agent.version = text.into();
    document
}

/// What holds for every document, however odd.
fn assert_sound(document: &Document) -> Value {
    let json = fit::to_json(document.clone());
    assert!(json.len() <= fit::MAX_BYTES, "{} bytes", json.len());
    assert!(!json.contains("{{"), "{json}");
    let value: Value = serde_json::from_str(&json).unwrap();
    let errors: Vec<String> = SCHEMA.iter_errors(&value).map(|e| e.to_string()).collect();
    assert!(errors.is_empty(), "{errors:?} in {json}");
    assert_eq!(value["verdict"], document.verdict);
    assert_eq!(value["fault"]["code"], document.fault.as_ref().map_or(Value::Null, |f| f.code.name().into()));
    let read: Document = serde_json::from_str(&json).unwrap();
    assert_eq!(read.run.outcome, document.run.outcome);
    value
}

fn with_verdict(mut document: Document) -> Document {
    document.verdict = verdict(&document);
    document
}

/// Texts as a hostile container writes them: braces, quotes, control characters, many bytes a character, huge.
fn foreign() -> impl Strategy<Value = String> {
    prop_oneof![
        any::<String>(),
        "[{}\"\\\\]{0,400}",
        "[\u{0}-\u{1f}{é€𝄞]{0,300}",
        vec("[a-z{ \n]{100}", 0..40).prop_map(|parts| parts.concat()),
    ]
}

fn outcome() -> impl Strategy<Value = Outcome> {
    proptest::sample::select(Outcome::ALL)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn any_document_fits_is_valid_and_keeps_its_verdict(
        text in foreign(), tail in foreign(), message in foreign(), note in option::of(foreign()),
        outcome in outcome(), state in proptest::sample::select(ServiceState::ALL),
    ) {
        let mut document = full(&text);
        document.run.outcome = outcome;
        document.service.state = state;
        document.notes = note.into_iter().collect();
        if let Some(fault) = &mut document.fault {
            fault.tail = tail;
            fault.message = message;
        }
        assert_sound(&with_verdict(document));
    }

    #[test]
    fn a_verdict_is_one_short_line(text in foreign(), outcome in outcome()) {
        let mut document = full(&preview_agent::redact::plain(&text));
        document.run.outcome = outcome;
        let line = verdict(&document);
        prop_assert!(line.len() <= 300 && !line.is_empty());
        prop_assert!(!line.contains(|c: char| c.is_control()));
    }
}

#[test]
fn the_first_document_is_sound() {
    assert_sound(&with_verdict(fresh()));
}

#[test]
fn the_largest_of_everything_is_sound() {
    for text in ["{".repeat(5000), "\u{1}".repeat(5000), "𝄞".repeat(5000), "\"".repeat(5000)] {
        assert_sound(&with_verdict(full(&text)));
    }
}

/// A failed migration as it is met in practice.
fn failed_migration() -> Document {
    let mut report = report();
    report.image("ghcr.io/acme/api:3f2a9c1".into());
    report.image_ready(ImageSource::Pulled, Some(format!("sha256:{}", "ab".repeat(32))), None);
    report.instance(Instance {
        id: Some("i-0123456789abcdef0".into()),
        region: Some("eu-central-1".into()),
        private_ip: Some("10.0.1.17".into()),
        ..Instance::default()
    });
    let endpoint = "pr-42.abcdefghijkl.eu-central-1.rds.amazonaws.com:5432".into();
    report.database(endpoint, DatabaseState::Reachable);
    for (n, name) in [PhaseName::Resolve, PhaseName::Image, PhaseName::Database].into_iter().enumerate() {
        report.begin(name, 1000 * n as u64);
        report.end(name, PhaseState::Done, 20_000);
    }
    report.end(PhaseName::Jobs, PhaseState::Skipped, 20_000);
    report.begin(PhaseName::Migrate, 20_000);
    report.end(PhaseName::Migrate, PhaseState::Failed, 31_000);
    report.end_run(Outcome::Failed);
    let lines: String = (0..500).map(|n| format!("line {n}\n")).collect();
    let fault = Fault::new(Code::MigrationFailed, "alembic upgrade head exited with 1")
        .with_tail(lines + "psycopg.errors.UndefinedTable: the end");
    report.fault(fault, None);
    let mut document = report.document(at(31));
    document.run.finished = Some(at(31));
    with_verdict(document)
}

#[test]
fn the_tail_shrinks_before_anything_else_and_keeps_its_end() {
    let document = failed_migration();
    let value = assert_sound(&document);
    let tail = value["fault"]["tail"].as_str().unwrap();
    assert!(tail.starts_with('…') && tail.ends_with("UndefinedTable: the end"), "{tail}");
    assert!(tail.len() > 400, "a usual failure leaves room for its tail, not {} bytes", tail.len());
    let phases = serde_json::to_value(&document.phases).unwrap();
    assert_eq!(value["phases"], phases, "no phase detail went");
}

#[test]
fn the_last_lines_of_the_tail_outlast_the_detail_of_phases() {
    let mut document = failed_migration();
    document.serving = full("s").serving;
    document.notes = vec!["note ".repeat(30); 4];
    document.run.deployment = Some("d".repeat(64));
    document.app.url = Some("u".repeat(120));
    document.health = full("h").health;
    let value = assert_sound(&document);
    assert!(value["fault"]["tail"].as_str().unwrap().ends_with("UndefinedTable: the end"));
    assert_ne!(value["phases"], serde_json::to_value(&document.phases).unwrap());
}

#[test]
fn absent_is_left_out_and_never_null() {
    let json = fit::to_json(with_verdict(fresh()));
    assert!(!json.contains("null") && !json.contains("\"serving\"") && !json.contains("\"fault\""), "{json}");
    assert!(json.starts_with("{\"verdict\":"), "{json}");
}

#[test]
fn a_field_of_a_newer_minor_version_is_ignored_by_the_reader() {
    let mut value: Value = serde_json::from_str(&fit::to_json(with_verdict(fresh()))).unwrap();
    value["run"]["later"] = 1.into();
    assert!(!SCHEMA.is_valid(&value), "the schema is closed");
    assert!(serde_json::from_value::<Document>(value).is_ok());
}

#[test]
fn the_schema_lists_exactly_the_names_of_the_code() {
    let schema: Value = serde_json::from_str(include_str!("../schemas/status.v1.json")).unwrap();
    let defs = &schema["$defs"];
    assert_eq!(defs["code"]["enum"], names(Code::ALL.iter().map(|c| c.name())));
    assert_eq!(defs["class"]["enum"], names(Class::ALL.iter().map(|c| c.name())));
    assert_eq!(defs["phase"]["enum"], names(PhaseName::ALL.iter().map(|c| c.name())));
    assert_eq!(defs["state"]["enum"], names(PhaseState::ALL.iter().map(|c| c.name())));
}

fn names(names: impl Iterator<Item = &'static str>) -> Value {
    names.collect()
}

#[test]
fn every_field_of_the_schema_is_described() {
    fn check(path: &str, value: &Value) {
        for (name, field) in value["properties"].as_object().into_iter().flatten() {
            let path = format!("{path}.{name}");
            assert!(field["description"].as_str().is_some_and(|d| d.ends_with('.')), "{path}");
            check(&path, field);
        }
        if value["type"] == "object" {
            assert_eq!(value["additionalProperties"], false, "{path}");
        }
        if let Some(items) = value.get("items") {
            check(path, items);
        }
    }
    check("", &serde_json::from_str(include_str!("../schemas/status.v1.json")).unwrap());
}

const SECRET: &str = "hunter2-canary";

/// A reporter that knows the secret, of whom everything that can be told was told with this text; and its file.
fn reporter(folder: &TempDir, text: &str) -> (Reporter, PathBuf) {
    let some = || Some(text.to_owned());
    let redactor = Redactor::default();
    redactor.learn(SECRET);
    let run = Run::begun(id(text), 1, at(0), None);
    let reporter = Reporter::start(folder.path(), redactor, run, Systemd::default(), clock);
    let Document { service, serving, instance, migration, health, .. } = full(text);
    reporter.update(|report| {
        report.deployment(some());
        report.superseded_by(id(text));
        report.instance(instance);
        report.image(text.into());
        report.build_because(text.into());
        report.image_ready(ImageSource::Built, some(), some());
        report.database(text.into(), DatabaseState::Waiting);
        report.migration(migration.unwrap());
        report.serving(serving);
        report.container(Container { name: some(), restarts: 1, publish: None });
        report.service(service.state, service.cause);
        report.health(health);
        report.fault(Fault::new(Code::AppExited, text).with_tail(text), None);
        report.note(text);
        report.note_on(Topic::Before, text);
    });
    (reporter, folder.path().join("status.json"))
}

/// The texts of a document, each by its path; lists count once.
fn texts(value: &Value, path: &str, found: &mut Vec<(String, String)>) {
    match value {
        Value::String(text) => found.push((path.to_owned(), text.clone())),
        Value::Array(items) => items.iter().for_each(|item| texts(item, path, found)),
        Value::Object(map) => {
            map.iter().for_each(|(key, value)| texts(value, &format!("{path}/{key}"), found))
        }
        _ => {}
    }
}

#[test]
fn no_text_of_the_document_escapes_the_redactor() {
    let folder = tempfile::tempdir().unwrap();
    let (reporter, file) = reporter(&folder, SECRET);
    let document = reporter.document();
    let having = |document: &Document, part: &str| -> Vec<String> {
        let mut fields = Vec::new();
        texts(&serde_json::to_value(document).unwrap(), "", &mut fields);
        fields.into_iter().filter(|(_, text)| text.contains(part)).map(|(path, _)| path).collect()
    };
    // What is not text of somebody's own is left out: enums, times, the hint of the list.
    let (wanted, masked) = (having(&full(SECRET), SECRET), having(&document, "[redacted]"));
    let exempt = ["/run/finished", "/app/url", "/agent/version", "/fault/hint"];
    for path in wanted.iter().filter(|path| !exempt.contains(&path.as_str())) {
        assert!(masked.contains(path), "{path} was not tried: {masked:?}");
    }
    let snapshot = serde_json::to_string(&document).unwrap();
    for text in [snapshot, std::fs::read_to_string(file).unwrap()] {
        assert!(!text.contains("canary") && text.contains("[redacted]"), "{text}");
    }
}

#[test]
fn a_secret_at_a_cut_or_parted_by_control_characters_is_masked() {
    let folder = tempfile::tempdir().unwrap();
    let (reporter, file) = reporter(&folder, "word");
    reporter.update(|report| {
        // The cap of a note is 160 bytes: the secret stands across it.
        report.note(format!("{}{SECRET}", "x".repeat(150)));
        report.note("hunter2\u{7}-\u{1b}[0mcanary");
    });
    let file = std::fs::read_to_string(file).unwrap();
    assert!(!file.contains("hunter2") && !file.contains("canary"), "{file}");
}

#[test]
fn verdicts_tell_what_to_know() {
    let mut report = report();
    report.begin(PhaseName::Image, 0);
    report.attempt(PhaseName::Image, 2, Some(5));
    report.transferred(120_400_000, Some(340_000_000));
    let said = verdict(&report.document(at(1)));
    assert_eq!(said, "in progress: pulling image 120/340 MB (try 2 of 5)");

    report.database("db:5432".into(), DatabaseState::Waiting);
    report.begin(PhaseName::Database, 0);
    report.end(PhaseName::Image, PhaseState::Done, 9000);
    assert_eq!(verdict(&report.document(at(9))), "in progress: waiting for db:5432");

    let mut document = report.document(at(42));
    document.run.outcome = Outcome::Ready;
    document.run.finished = Some(at(42));
    document.service.state = ServiceState::Up;
    document.serving = Some(Serving {
        image: "ghcr.io/acme/api:3f2a9c1".into(),
        digest: Some("sha256:ab12cd34ef56ab12cd34".into()),
        commit: None,
        run: id("r1"),
        since: at(42),
    });
    document.app.url = Some("http://203.0.113.5:8000".into());
    let (from, to) = (Some("a1".into()), Some("b2".into()));
    document.migration = Some(Migration { state: PhaseState::Done, from, to, attempts: 1 });
    let ready = "ghcr.io/acme/api:3f2a9c1 (sha256:ab12cd34ef56) serves http://203.0.113.5:8000";
    assert_eq!(verdict(&document), format!("ready: {ready}, migrated a1→b2, 42 s"));

    let fault = Fault::new(Code::DatabaseRefused, "db:5432 refuses connections");
    (document.service.state, document.service.cause) = (ServiceState::Degraded, Some(Cause::from(&fault)));
    assert_eq!(
        verdict(&document),
        "degraded: database: database_refused: db:5432 refuses connections. \
         Start the database; check its port and listen_addresses."
    );

    (document.service.state, document.service.cause) = (ServiceState::Up, None);
    document.run.outcome = Outcome::Failed;
    let fault = Fault::new(Code::MigrationFailed, "alembic upgrade head exited with 1");
    document.fault = Some(FaultReport::new(fault, Some(PhaseName::Migrate)));
    assert_eq!(
        verdict(&document),
        "failed in migrate: migration_failed (migration): alembic upgrade head exited with 1; serving the \
         previous ghcr.io/acme/api:3f2a9c1. Read the tail or `agent logs migrate`; correct the migration and \
         deploy again."
    );
}
