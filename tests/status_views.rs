//! What a person sees of the status: the views, word for word.

#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test with a place")]

use preview_agent::cli::exit;
use preview_agent::cli::status::view::{render, render_within};
use preview_agent::cli::style::Style;
use preview_agent::status::verdict::verdict;
use preview_agent::status::*;
use proptest::prelude::*;
use time::OffsetDateTime;

const NOW: i64 = 1_795_255_200; // 2026-11-21T10:00:00Z

fn at(seconds: i64) -> Timestamp {
    OffsetDateTime::from_unix_timestamp(NOW + seconds).unwrap().into()
}

fn document() -> Document {
    let mut document = Document::new(Run {
        id: "7c1e0a".into(),
        sequence: 3,
        deployment: Some("pr-42".into()),
        outcome: Outcome::InProgress,
        phase: None,
        started: at(0),
        finished: None,
        deadline: Some(at(1200)),
        superseded_by: None,
    });
    document.agent.version = "0.1.0".into();
    document.expires_at = at(960);
    document.instance = Instance {
        id: Some("i-0123456789abcdef0".into()),
        region: Some("eu-central-1".into()),
        az: Some("eu-central-1a".into()),
        kind: Some("t3.small".into()),
        private_ip: Some("10.0.1.17".into()),
        public_ip: Some("203.0.113.5".into()),
    };
    document.image.requested = Some("ghcr.io/acme/api:3f2a9c1".into());
    document.database = Some(Database { endpoint: "db.internal:5432".into(), state: DatabaseState::Waiting });
    document.begin(PhaseName::Resolve, 0);
    document.end(PhaseName::Resolve, PhaseState::Done, 412);
    document.begin(PhaseName::Image, 412);
    document.begin(PhaseName::Database, 412);
    document
}

fn ready() -> Document {
    let mut document = document();
    let digest = Some(format!("sha256:{}", "ab12cd34".repeat(8)));
    document.image.digest = digest.clone();
    document.image.source = Some(ImageSource::Pulled);
    document.end(PhaseName::Database, PhaseState::Done, 1_640);
    document.database =
        Some(Database { endpoint: "db.internal:5432".into(), state: DatabaseState::Reachable });
    document.end(PhaseName::Image, PhaseState::Done, 24_300);
    document.end(PhaseName::Jobs, PhaseState::Skipped, 24_300);
    let steps = [(PhaseName::Migrate, 31_000), (PhaseName::Start, 32_100), (PhaseName::Health, 42_000)];
    let mut from = 24_300;
    for (phase, until) in steps {
        document.begin(phase, from);
        document.end(phase, PhaseState::Done, until);
        from = until;
    }
    let (from, to) = (Some("a1b2c3".into()), Some("d4e5f6".into()));
    document.migration = Some(Migration { state: PhaseState::Done, from, to, attempts: 1 });
    document.health = vec![
        stage("tcp", true, None, 1),
        stage("/docs", true, Some(200), 12),
        HealthStage { skipped: true, ok: false, ..stage("/readyz", false, Some(404), 3) },
        stage("/health/db", true, Some(200), 25),
    ];
    document.app.container = Some("preview-agent-app".into());
    document.app.url = Some("http://203.0.113.5:8000".into());
    let (image, run) = ("ghcr.io/acme/api:3f2a9c1".into(), "7c1e0a".into());
    document.serving = Some(Serving { image, digest, commit: None, run, since: at(42) });
    document.run.outcome = Outcome::Ready;
    document.run.finished = Some(at(42));
    document.set_service(ServiceState::Up, None, at(42));
    document
}

fn stage(name: &str, ok: bool, status: Option<u16>, ms: u64) -> HealthStage {
    HealthStage { stage: name.into(), ok, skipped: false, status, ms: Some(ms) }
}

fn failed() -> Document {
    let mut document = ready();
    document.phase(PhaseName::Migrate).attempts = 5;
    document.end(PhaseName::Migrate, PhaseState::Failed, 42_000);
    for phase in [PhaseName::Start, PhaseName::Health] {
        *document.phase(phase) = Phase::pending(phase);
    }
    document.health.clear();
    document.run.outcome = Outcome::Failed;
    document.run.phase = Some(PhaseName::Migrate);
    document.migration = Some(Migration { state: PhaseState::Failed, from: None, to: None, attempts: 5 });
    let (image, run) = ("ghcr.io/acme/api:0ld0ld0".into(), "5d2f11".into());
    document.serving = Some(Serving { image, digest: None, commit: None, run, since: at(-86_400) });
    document.set_service(ServiceState::Up, None, at(-86_400));
    let fault = Fault::new(Code::MigrationFailed, "`alembic upgrade head` exited with 1").after(5).with_tail(
        "INFO  [alembic.runtime.migration] Running upgrade a1b2c3 -> d4e5f6, add owner to tasks\n\
         sqlalchemy.exc.ProgrammingError: (psycopg.errors.UndefinedTable) relation \"tasks\" does not exist\n\
         \u{1b}[31mred\u{1b}[0m and \u{1b}]0;a title\u{7}a bell",
    );
    document.fault = Some(FaultReport::new(fault, Some(PhaseName::Migrate)));
    document
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
    let mut document = document();
    document.phase(PhaseName::Image).attempts = 2;
    document.phase(PhaseName::Image).tries = 5;
    document.image.progress = Some(Progress { bytes: 120_400_000, total: Some(340_000_000) });
    document.end(PhaseName::Database, PhaseState::Done, 1_640);
    insta::assert_snapshot!(view(document, 20));
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
    let mut document = ready();
    document.database =
        Some(Database { endpoint: "db.internal:5432".into(), state: DatabaseState::Unreachable });
    let fault = Fault::new(Code::DatabaseRefused, "db.internal:5432 refuses connections");
    document.set_service(ServiceState::Degraded, Some(Cause::from(&fault)), at(90));
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
    let mut degraded = ready();
    degraded.set_service(ServiceState::Degraded, None, at(50));
    assert_eq!(of(&degraded), exit::FAILED);
    let mut stopped = ready();
    stopped.set_service(ServiceState::Unwatched, None, at(50));
    assert_eq!(of(&stopped), exit::NO_AGENT);
    assert_eq!(exit::of_document(&ready(), at(961)), exit::NO_AGENT, "expired");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]

    #[test]
    fn no_text_drives_the_terminal_or_leaves_the_columns(text in any::<String>(), seconds in any::<i32>()) {
        let mut document = failed();
        document.run.id.clone_from(&text);
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
