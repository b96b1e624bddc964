//! The reporter and its sinks: file, SSM parameter, systemd.

#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test with a place")]

use std::cell::Cell;
use std::collections::VecDeque;
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use preview_agent::redact::Redactor;
use preview_agent::status::heartbeat::HEARTBEAT;
use preview_agent::status::parameter::{Pace, Parameter, SendError};
use preview_agent::status::systemd::Systemd;
use preview_agent::status::*;
use tempfile::TempDir;
use time::OffsetDateTime;
use tokio::time::{Instant, sleep};

const NOW: i64 = 1_795_255_200; // 2026-11-21T10:00:00Z
const SECOND: Duration = Duration::from_secs(1);

thread_local! {
    static ORIGIN: Cell<Option<Instant>> = const { Cell::new(None) };
}

/// A wall clock that follows tokio's, so that a test with paused time decides what it shows.
fn clock() -> OffsetDateTime {
    let origin = ORIGIN.get().unwrap_or_else(|| {
        ORIGIN.set(Some(Instant::now()));
        Instant::now()
    });
    OffsetDateTime::from_unix_timestamp(NOW).unwrap() + origin.elapsed()
}

fn stopped_clock() -> OffsetDateTime {
    OffsetDateTime::from_unix_timestamp(NOW).unwrap()
}

fn run(id: &str) -> Run {
    Run::begun(id.to_owned().try_into().unwrap(), 1, stopped_clock().into(), None)
}

struct Bench {
    dir: TempDir,
    reporter: Reporter,
}

impl Bench {
    fn new() -> Self {
        Self::with(Systemd::default(), clock)
    }

    fn with(systemd: Systemd, clock: fn() -> OffsetDateTime) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let run_dir = dir.path().join("run");
        let reporter = Reporter::start(&run_dir, Redactor::default(), run("r1"), systemd, clock);
        Self { dir, reporter }
    }

    fn path(&self) -> PathBuf {
        self.dir.path().join("run/status.json")
    }

    fn bytes(&self) -> String {
        std::fs::read_to_string(self.path()).unwrap()
    }

    fn document(&self) -> Document {
        serde_json::from_str(&self.bytes()).unwrap()
    }

    /// Attaches a parameter that answers as told, then with success.
    fn attach(&self, answers: impl IntoIterator<Item = Answer>) -> Ssm {
        let ssm = Ssm { file: self.path(), answers: Arc::default(), calls: Arc::default() };
        ssm.answers.lock().unwrap().extend(answers);
        let peer = ssm.clone();
        self.reporter.attach_parameter(Parameter::spawn(Pace::default(), move |bytes| {
            let answer = peer.call(bytes);
            async move {
                match answer {
                    Answer::Fail { retryable, message } => {
                        Err(SendError { retryable, message: message.into() })
                    }
                    Answer::Take(time) => {
                        sleep(time).await;
                        Ok(())
                    }
                }
            }
        }));
        ssm
    }
}

#[derive(Clone, Copy)]
enum Answer {
    /// Success after this time.
    Take(Duration),
    Fail {
        retryable: bool,
        message: &'static str,
    },
}

const THROTTLED: Answer = Answer::Fail { retryable: true, message: "Rate exceeded" };
const DENIED: Answer = Answer::Fail { retryable: false, message: "ssm:PutParameter is denied" };

/// The scripted peer, which remembers when it got what.
#[derive(Clone)]
struct Ssm {
    file: PathBuf,
    answers: Arc<Mutex<VecDeque<Answer>>>,
    calls: Arc<Mutex<Vec<(Instant, String)>>>,
}

impl Ssm {
    fn call(&self, bytes: String) -> Answer {
        assert_eq!(bytes, std::fs::read_to_string(&self.file).unwrap(), "the file holds what is sent");
        self.calls.lock().unwrap().push((Instant::now(), bytes));
        self.answers.lock().unwrap().pop_front().unwrap_or(Answer::Take(Duration::ZERO))
    }

    /// When the calls came, in milliseconds from the first one.
    fn times(&self) -> Vec<u128> {
        let calls = self.calls.lock().unwrap();
        calls.iter().map(|(at, _)| at.duration_since(calls[0].0).as_millis()).collect()
    }

    fn last(&self) -> String {
        self.calls.lock().unwrap().last().unwrap().1.clone()
    }
}

#[tokio::test(start_paused = true)]
async fn the_file_exists_before_any_work_and_anybody_may_read_it() {
    let bench = Bench::new();
    assert_eq!(bench.document().run.outcome, Outcome::InProgress);
    assert!(bench.document().verdict.starts_with("in progress"));
    let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&bench.path()), 0o644);
    assert_eq!(mode(bench.path().parent().unwrap()), 0o755);
    bench.reporter.begin(PhaseName::Resolve);
    let names: Vec<_> = bench.path().parent().unwrap().read_dir().unwrap().collect();
    assert_eq!(names.len(), 1, "no temporary file is left");
}

#[tokio::test(start_paused = true)]
async fn phases_stand_on_the_run_s_time_line() {
    let bench = Bench::new();
    bench.reporter.begin(PhaseName::Image);
    bench.reporter.begin(PhaseName::Database);
    sleep(Duration::from_millis(250)).await;
    bench.reporter.end(PhaseName::Database, PhaseState::Done);
    assert_eq!(bench.document().run.phase, Some(PhaseName::Image), "it still runs");
    sleep(SECOND).await;
    bench.reporter.end(PhaseName::Image, PhaseState::Done);
    let document = bench.document();
    let phase = |name| document.phases.iter().find(|phase| phase.name == name).unwrap();
    assert_eq!(phase(PhaseName::Database).ms, Some(250));
    assert_eq!(phase(PhaseName::Image).ms, Some(1250));
    assert_eq!(phase(PhaseName::Image).start_ms, Some(0));
}

#[tokio::test(start_paused = true)]
async fn a_terminal_outcome_is_never_rewritten() {
    let bench = Bench::new();
    bench.reporter.update(|report| report.end_run(Outcome::Failed));
    let finished = bench.document().run.finished;
    assert!(finished.is_some());
    sleep(3 * SECOND).await;
    bench.reporter.update(|report| {
        report.end_run(Outcome::Ready);
        report.note("still told");
    });
    let document = bench.document();
    assert_eq!((document.run.outcome, document.run.finished), (Outcome::Failed, finished));
    assert_eq!(document.notes, ["still told"]);

    bench.reporter.begin_run(run("r2"));
    assert_eq!(bench.document().run.outcome, Outcome::InProgress, "another run has its own");
}

#[tokio::test(start_paused = true)]
async fn another_run_forgets_the_last_one_and_keeps_what_serves() {
    let bench = Bench::new();
    let fault = Fault::new(Code::AppExited, "exit 1");
    bench.reporter.update(|report| {
        let (image, Run { id, started, .. }) = ("api:1".into(), run("r0"));
        report.serving(Some(Serving { image, digest: None, commit: None, run: id, since: started }));
        report.fault(fault, Some(PhaseName::Start));
        report.end_run(Outcome::Failed);
    });
    sleep(SECOND).await;
    bench.reporter.begin_run(run("r2"));
    let document = bench.document();
    assert!(document.fault.is_none() && document.serving.is_some());
    assert_eq!(bench.reporter.elapsed_ms(), 0);
}

#[tokio::test(start_paused = true)]
async fn every_write_says_until_when_it_holds_and_heartbeats_go_on() {
    let bench = Bench::new();
    assert_eq!(bench.document().expires_at.unix() - bench.document().heartbeat_at.unix(), 960);
    let beat = bench.reporter.keep_heartbeat(HEARTBEAT);
    sleep(Duration::from_secs(601)).await;
    assert_eq!(bench.document().heartbeat_at.unix(), NOW + 600);
    beat.abort();
}

#[tokio::test(start_paused = true)]
async fn progress_reaches_the_file_once_a_second_and_wakes_no_parameter() {
    let bench = Bench::new();
    let ssm = bench.attach([]);
    sleep(SECOND / 2).await;
    let progress = |bytes| {
        bench.reporter.progress(|report| report.transferred(bytes, None));
    };
    progress(1);
    assert_eq!(bench.document().image.progress, None, "half a second after the last write");
    sleep(SECOND).await;
    progress(2);
    assert_eq!(bench.document().image.progress, Some(Progress { bytes: 2, total: None }));
    sleep(20 * SECOND).await;
    assert_eq!(ssm.times(), [0]);
    assert!(bench.reporter.flush(10 * SECOND).await);
    assert_eq!(ssm.last(), bench.bytes());
}

#[tokio::test(start_paused = true)]
async fn a_status_file_that_cannot_be_written_stops_nothing_and_is_told() {
    let dir = tempfile::tempdir().unwrap();
    let blocked = dir.path().join("run");
    std::fs::write(&blocked, "in the way").unwrap();
    let reporter = Reporter::start(&blocked, Redactor::default(), run("r1"), Systemd::default(), clock);
    reporter.begin(PhaseName::Resolve);
    assert!(reporter.document().notes[0].starts_with("the status file cannot be written"));
    std::fs::remove_file(&blocked).unwrap();
    reporter.heartbeat();
    assert!(blocked.join("status.json").exists());
    reporter.heartbeat();
    assert!(reporter.document().notes.is_empty());
}

#[tokio::test(start_paused = true)]
async fn the_parameter_is_written_at_most_once_in_five_seconds_with_the_newest_bytes() {
    let bench = Bench::new();
    let ssm = bench.attach([]);
    for phase in [PhaseName::Resolve, PhaseName::Image, PhaseName::Database] {
        sleep(SECOND).await;
        bench.reporter.begin(phase);
    }
    sleep(30 * SECOND).await;
    assert_eq!(ssm.times(), [0, 5000]);
    assert_eq!(ssm.last(), bench.bytes());
}

#[tokio::test(start_paused = true)]
async fn a_terminal_write_is_sent_at_once() {
    let bench = Bench::new();
    let ssm = bench.attach([]);
    sleep(SECOND).await;
    bench.reporter.begin(PhaseName::Resolve);
    sleep(SECOND).await;
    bench.reporter.update(|report| report.end_run(Outcome::Ready));
    sleep(30 * SECOND).await;
    assert_eq!(ssm.times(), [0, 2000]);
    assert_eq!(ssm.last(), bench.bytes());
}

#[tokio::test(start_paused = true)]
async fn equal_bytes_are_not_sent_again() {
    let bench = Bench::with(Systemd::default(), stopped_clock);
    let ssm = bench.attach([]);
    sleep(6 * SECOND).await;
    bench.reporter.heartbeat();
    assert!(bench.reporter.flush(10 * SECOND).await);
    assert_eq!(ssm.times(), [0]);
}

#[tokio::test(start_paused = true)]
async fn what_failed_is_sent_again_in_its_newest_form() {
    let bench = Bench::new();
    let ssm = bench.attach([THROTTLED, THROTTLED]);
    sleep(SECOND).await;
    bench.reporter.begin(PhaseName::Resolve);
    sleep(600 * SECOND).await;
    let times = ssm.times();
    assert_eq!(times.len(), 3);
    assert!(times[1] >= 5000 && times[2] - times[1] >= 5000, "{times:?}");
    assert_eq!(ssm.last(), bench.bytes());
}

#[tokio::test(start_paused = true)]
async fn a_call_without_an_answer_is_cut_and_sent_again() {
    let bench = Bench::new();
    let ssm = bench.attach([Answer::Take(Duration::from_secs(3600))]);
    sleep(60 * SECOND).await;
    let times = ssm.times();
    assert_eq!(times.len(), 2);
    assert!(times[1] >= 10_000, "{times:?}");
}

#[tokio::test(start_paused = true)]
async fn a_refusal_is_not_repeated_but_noted_in_the_next_document() {
    let bench = Bench::new();
    let ssm = bench.attach([DENIED, DENIED]);
    sleep(3600 * SECOND).await;
    assert_eq!(ssm.times(), [0], "the same bytes would be refused again");
    bench.reporter.begin(PhaseName::Resolve);
    let note = "the status parameter is refused: ssm:PutParameter is denied";
    assert_eq!(bench.document().notes, [note]);
    assert!(!bench.reporter.flush(10 * SECOND).await);
    bench.reporter.heartbeat();
    assert!(bench.reporter.flush(10 * SECOND).await, "the permission was given meanwhile");
    bench.reporter.heartbeat();
    assert!(bench.document().notes.is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_flush_ends_at_its_limit() {
    let bench = Bench::new();
    let _ssm = bench.attach([Answer::Take(Duration::from_secs(3600)); 9]);
    let began = Instant::now();
    assert!(!bench.reporter.flush(10 * SECOND).await);
    assert_eq!(began.elapsed(), 10 * SECOND);
}

#[tokio::test(start_paused = true)]
async fn a_flush_without_a_parameter_is_done() {
    assert!(Bench::new().reporter.flush(10 * SECOND).await);
}

fn datagrams(socket: &UnixDatagram) -> Vec<String> {
    socket.set_nonblocking(true).unwrap();
    let mut buffer = [0; 4096];
    std::iter::from_fn(|| socket.recv(&mut buffer).ok().map(|n| String::from_utf8_lossy(&buffer[..n]).into()))
        .collect()
}

#[tokio::test(start_paused = true)]
async fn systemd_is_told_every_verdict() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("notify");
    let socket = UnixDatagram::bind(&path).unwrap();
    let systemd = Systemd::at(path.to_str().unwrap());
    let bench = Bench::with(systemd.clone(), clock);
    systemd.ready();
    systemd.reloading();
    bench.reporter.begin(PhaseName::Migrate);
    systemd.stopping();
    assert_eq!(
        datagrams(&socket),
        [
            "STATUS=in progress: starting",
            "READY=1",
            "RELOADING=1",
            "STATUS=in progress: migrating the database",
            "STOPPING=1"
        ]
    );
}

#[tokio::test(start_paused = true)]
async fn the_watchdog_is_fed_at_half_its_interval() {
    let name = format!("preview-agent-test-{}", std::process::id());
    let address = SocketAddr::from_abstract_name(&name).unwrap();
    let socket = UnixDatagram::bind_addr(&address).unwrap();
    let task = Systemd::at(&format!("@{name}")).feed_watchdog(10 * SECOND);
    sleep(Duration::from_secs(21)).await;
    assert_eq!(datagrams(&socket), ["WATCHDOG=1"; 5], "at 0, 5, 10, 15 and 20 s");
    task.abort();
}

#[tokio::test(start_paused = true)]
async fn a_manager_that_is_gone_or_does_not_listen_holds_nothing_up() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("notify");
    Systemd::at(path.to_str().unwrap()).ready();
    let socket = UnixDatagram::bind(&path).unwrap();
    let systemd = Systemd::at(path.to_str().unwrap());
    // More than any socket's queue takes; nobody reads.
    for _ in 0..10_000 {
        systemd.status("busy");
    }
    drop(socket);
    systemd.ready();
}
