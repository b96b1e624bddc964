//! What a person sees of the status: the views, word for word.

#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test with a place")]

use preview_agent::cli::exit;
use preview_agent::cli::status::view::{render, render_within};
use preview_agent::cli::style::Style;
use preview_agent::config::Publish;
use preview_agent::status::verdict::verdict;
use preview_agent::status::*;
use proptest::prelude::*;
use time::OffsetDateTime;

const NOW: i64 = 1_795_255_200; // 2026-11-21T10:00:00Z

fn at(seconds: i64) -> Timestamp {
    OffsetDateTime::from_unix_timestamp(NOW + seconds).unwrap().into()
}

fn id(text: &str) -> RunId {
    text.to_owned().try_into().unwrap()
}

fn in_progress() -> Report {
    let mut report = Report::new(Run::begun(id("7c1e0a"), 3, at(0), Some(at(1200))));
    report.deployment(Some("pr-42".into()));
    report.instance(Instance {
        id: Some("i-0123456789abcdef0".into()),
        region: Some("eu-central-1".into()),
        az: Some("eu-central-1a".into()),
        kind: Some("t3.small".into()),
        private_ip: Some("10.0.1.17".into()),
        public_ip: Some("203.0.113.5".into()),
    });
    report.image("ghcr.io/acme/api:3f2a9c1".into());
    report.database("db.internal:5432".into(), DatabaseState::Waiting);
    report.begin(PhaseName::Resolve, 0);
    report.end(PhaseName::Resolve, PhaseState::Done, 412);
    report.begin(PhaseName::Image, 412);
    report.begin(PhaseName::Database, 412);
    report
}

/// The image and the database are there.
fn prepared() -> Report {
    let mut report = in_progress();
    let digest = Some(format!("sha256:{}", "ab12cd34".repeat(8)));
    report.image_ready(ImageSource::Pulled, digest, None);
    report.end(PhaseName::Database, PhaseState::Done, 1_640);
    report.database("db.internal:5432".into(), DatabaseState::Reachable);
    report.end(PhaseName::Image, PhaseState::Done, 24_300);
    report.end(PhaseName::Jobs, PhaseState::Skipped, 24_300);
    report.begin(PhaseName::Migrate, 24_300);
    let publish = Some(Publish { ip: "0.0.0.0".parse().unwrap(), port: 8000 });
    report.container(Container { name: Some("preview-agent-app".into()), restarts: 0, publish });
    report
}

/// As the reporter writes it, with the times of the service and of the run's end.
fn written(report: &Report, since: i64, finished: Option<i64>) -> Document {
    let mut document = report.document(at(0));
    document.agent.version = "0.1.0".into();
    document.service.since = at(since);
    document.run.finished = finished.map(at);
    document
}

fn document() -> Document {
    written(&in_progress(), 0, None)
}

fn ready_report() -> Report {
    let mut report = prepared();
    report.end(PhaseName::Migrate, PhaseState::Done, 31_000);
    for (phase, begin, end) in [(PhaseName::Start, 31_000, 32_100), (PhaseName::Health, 32_100, 42_000)] {
        report.begin(phase, begin);
        report.end(phase, PhaseState::Done, end);
    }
    let (from, to) = (Some("a1b2c3".into()), Some("d4e5f6".into()));
    report.migration(Migration { state: PhaseState::Done, from, to, attempts: 1 });
    report.health(vec![
        stage("tcp", true, None, 1),
        stage("/docs", true, Some(200), 12),
        HealthStage { skipped: true, ok: false, ..stage("/readyz", false, Some(404), 3) },
        stage("/health/db", true, Some(200), 25),
    ]);
    let digest = Some(format!("sha256:{}", "ab12cd34".repeat(8)));
    let (image, run) = ("ghcr.io/acme/api:3f2a9c1".into(), id("7c1e0a"));
    report.serving(Some(Serving { image, digest, commit: None, run, since: at(42) }));
    report.service(ServiceState::Up, None);
    report.end_run(Outcome::Ready);
    report
}

fn ready() -> Document {
    written(&ready_report(), 42, Some(42))
}

/// The deployment is ready, and then this becomes true of its service.
fn later(state: ServiceState, fault: Option<&Fault>, since: i64) -> Document {
    let mut report = ready_report();
    report.service(state, fault.map(Cause::from));
    written(&report, since, Some(42))
}

fn stage(name: &str, ok: bool, status: Option<u16>, ms: u64) -> HealthStage {
    HealthStage { stage: name.into(), ok, skipped: false, status, ms: Some(ms) }
}

fn failed() -> Document {
    let mut report = prepared();
    report.attempt(PhaseName::Migrate, 5, None);
    report.end(PhaseName::Migrate, PhaseState::Failed, 42_000);
    report.migration(Migration { state: PhaseState::Failed, from: None, to: None, attempts: 5 });
    let (image, run) = ("ghcr.io/acme/api:0ld0ld0".into(), id("5d2f11"));
    report.serving(Some(Serving { image, digest: None, commit: None, run, since: at(-86_400) }));
    report.service(ServiceState::Up, None);
    report.end_run(Outcome::Failed);
    let fault = Fault::new(Code::MigrationFailed, "`alembic upgrade head` exited with 1").after(5).with_tail(
        "INFO  [alembic.runtime.migration] Running upgrade a1b2c3 -> d4e5f6, add owner to tasks\n\
         sqlalchemy.exc.ProgrammingError: (psycopg.errors.UndefinedTable) relation \"tasks\" does not exist\n\
         \u{1b}[31mred\u{1b}[0m and \u{1b}]0;a title\u{7}a bell",
    );
    report.fault(fault, None);
    written(&report, 42, Some(42))
}

fn view(mut document: Document, seconds: i64) -> String {
    document.verdict = verdict(&document);
    let view = render(&document, at(seconds), Style::default());
    assert_presentable(&view);
    view
}

fn assert_presentable(view: &str) {
    for line in view.lines() {
        assert!(line.chars().count() <= 80, "too wide: {line}");
        assert!(!line.contains(|c: char| c.is_control()), "{line:?}");
    }
}

#[test]
fn a_view_with_little_room_keeps_the_verdict_and_the_fault() {
    let mut document = failed();
    document.verdict = verdict(&document);
    let within = |max| render_within(&document, at(60), Style::default(), max);
    assert_eq!(within(2400), render(&document, at(60), Style::default()));
    let whole = within(2400).len();
    assert!(!within(whole - 1).contains("\nphases\n") && within(whole - 1).contains("instance   i-"));
    assert!(within(700).contains("\nfault\n") && !within(700).contains("instance   i-"));
    for max in 60..whole {
        let view = within(max);
        assert!(
            view.len() <= max && view.starts_with("failed in migrate: migration_failed"),
            "{max}: {view}"
        );
    }
}

#[test]
fn a_pull_in_progress() {
    let mut report = in_progress();
    report.attempt(PhaseName::Image, 2, Some(5));
    report.transferred(120_400_000, Some(340_000_000));
    report.end(PhaseName::Database, PhaseState::Done, 1_640);
    insta::assert_snapshot!(view(written(&report, 0, None), 20));
}

#[test]
fn a_ready_deployment() {
    insta::assert_snapshot!(view(ready(), 60));
}

#[test]
fn a_failed_migration_while_the_old_app_serves() {
    insta::assert_snapshot!(view(failed(), 60));
}

#[test]
fn a_service_degraded_by_its_database() {
    let fault = Fault::new(Code::DatabaseRefused, "db.internal:5432 refuses connections");
    let mut document = later(ServiceState::Degraded, Some(&fault), 90);
    document.database =
        Some(Database { endpoint: "db.internal:5432".into(), state: DatabaseState::Unreachable });
    insta::assert_snapshot!(view(document, 100));
}

#[test]
fn an_expired_status_of_a_dead_agent() {
    let mut document = document();
    document.heartbeat_at = at(25);
    document.image.commit = Some("3f2a9c1e5b7d".into());
    document.image.why_built = Some("ghcr.io denied the pull".into());
    insta::assert_snapshot!(view(document, 4000));
}

#[test]
fn colour_changes_nothing_but_the_colour() {
    for document in [document(), ready(), failed()] {
        let coloured = render(&document, at(60), Style { colour: true });
        assert!(coloured.contains("\u{1b}["));
        assert_eq!(preview_agent::redact::plain(&coloured), render(&document, at(60), Style::default()));
    }
}

#[test]
fn exit_codes_follow_the_document() {
    let of = |document: &Document| exit::of_document(document, at(60));
    assert_eq!(of(&document()), exit::IN_PROGRESS);
    assert_eq!(of(&ready()), exit::OK);
    assert_eq!(of(&failed()), exit::FAILED, "though the old app serves");
    assert_eq!(of(&later(ServiceState::Degraded, None, 50)), exit::FAILED);
    assert_eq!(of(&later(ServiceState::Unwatched, None, 50)), exit::NO_AGENT);
    assert_eq!(exit::of_document(&ready(), at(961)), exit::NO_AGENT, "expired");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]

    #[test]
    fn no_text_drives_the_terminal_or_leaves_the_columns(text in any::<String>(), seconds in any::<i32>()) {
        let mut document = failed();
        document.run.id = text.clone().try_into().unwrap_or_else(|_| id("r1"));
        document.run.deployment = Some(text.clone());
        document.image.requested = Some(text.clone());
        document.image.digest = Some(text.clone());
        document.notes = vec![text.clone()];
        document.health = vec![stage(&text, false, Some(500), 1)];
        document.verdict.clone_from(&text);
        if let Some(fault) = &mut document.fault {
            fault.tail.clone_from(&text);
            fault.hint = text;
        }
        assert_presentable(&render(&document, at(seconds.into()), Style::default()));
    }
}
