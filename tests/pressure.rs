//! Much of everything: output, image, probes, and little of it: bytes in drips.
//!
//! Small sizes by default; `PRESSURE=full`, as `scripts/soak` sets it, takes the
//! large ones. What was measured is printed in lines that begin with `pressure: `.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stderr)]
// The whole life of an agent is one future.
#![recursion_limit = "256"]

mod support;

use std::fs;
use std::io::{BufReader, Read as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, LazyLock};
use std::time::{Duration, Instant};

use preview_agent::aws::Endpoints;
use preview_agent::config;
use preview_agent::deploy::{Agent, Timings};
use preview_agent::redact::Redactor;
use preview_agent::retry;
use preview_agent::state::Store;
use preview_agent::status::Reporter;
use preview_agent::status::parameter::Pace;
use preview_agent::status::systemd::Systemd;
use preview_agent::supervise::{self, Options, Signals};
use serde_json::Value;
use support::engine::{docker, let_go};
use support::imds::FakeImds;
use support::process::{Own, descriptors, high_water_mark, peak, resident};
use support::registry::{At, FakeRegistry, Trouble};
use support::small_engine::SmallEngine;
use support::ssm::{Call, Failure, FakeSsm};
use support::wait::eventually;
use support::world::World;
use time::OffsetDateTime;

fn full() -> bool {
    std::env::var("PRESSURE").is_ok_and(|size| size == "full")
}

/// Noise of the allocator and of buffers that grow once, in KiB.
const NOISE: u64 = 8 * 1024;

#[test]
fn an_app_that_floods_its_log_costs_no_memory_and_is_watched_all_the_same() {
    let megabytes: u64 = if full() { 3000 } else { 150 };
    let world = World::new();
    let line = "x".repeat(199);
    // The flood begins when the test says so, and leaves a mark at its end.
    let flood = format!(
        "(until [ -e /tmp/go ]; do sleep 0.1; done; yes {line} | head -c {megabytes}000000; touch /tmp/done) & \
         exec uvicorn app.main:app --host 0.0.0.0 --port 8000"
    );
    let mut agent =
        world.start(&world.config("good", &world.app(&format!("  command: [sh, -c, {flood:?}]\n"))));
    agent.is_ready(1);
    let app = world.app_container();
    let mut follow = world.command(&["logs", "app", "-f", "-n", "10"]);
    let mut logs = Own(follow.stdout(Stdio::piped()).spawn().unwrap());
    let read = count(&mut logs);
    let before = high_water_mark(agent.pid()).unwrap();
    let_go(&app);
    let begun = Instant::now();
    eventually("the first megabyte", || read.load(Ordering::SeqCst) > 1_000_000);
    let early = high_water_mark(logs.id()).unwrap();
    let end = Instant::now() + Duration::from_secs(600);
    while docker(&["exec", &app, "ls", "/tmp"]).lines().all(|name| name != "done") {
        assert!(Instant::now() < end, "the flood does not end");
        std::thread::sleep(Duration::from_millis(200));
    }
    let took = begun.elapsed();
    let late = high_water_mark(logs.id()).unwrap();
    let status = world.status().unwrap();
    assert_eq!(status["service"]["state"], "up", "{status}");
    docker(&["kill", &app]);
    let status = agent.wait_for("service down", |status| status["service"]["state"] == "down");
    assert!(status["service"]["cause"]["message"].as_str().unwrap().contains("exit code 137"), "{status}");
    let after = high_water_mark(agent.pid()).unwrap();
    let (written, read) = (megabytes, read.load(Ordering::SeqCst) / 1_000_000);
    eprintln!(
        "pressure: application's log | {written} MB in {:.0} s | agent's peak {before} to {after} KiB; \
         `agent logs -f` {early} to {late} KiB, {read} MB passed",
        took.as_secs_f64()
    );
    assert!(after <= before + NOISE, "the agent's peak rose from {before} to {after} KiB");
    assert!(late <= early + NOISE, "the peak of `agent logs -f` rose from {early} to {late} KiB");
}

/// Counts what a command writes, without keeping it.
fn count(command: &mut Child) -> Arc<AtomicU64> {
    let (read, mut output) = (Arc::new(AtomicU64::new(0)), BufReader::new(command.stdout.take().unwrap()));
    let counter = Arc::clone(&read);
    std::thread::spawn(move || {
        let mut buffer = [0; 64 * 1024];
        while let Ok(size @ 1..) = output.read(&mut buffer) {
            counter.fetch_add(size as u64, Ordering::SeqCst);
        }
    });
    read
}

#[test]
fn a_migration_of_many_lines_is_understood_and_its_log_stays_bounded() {
    // With much more the engine itself loses lines for who follows: its own files rotate at 10 MB.
    let lines = if full() { 20_000 } else { 10_000 };
    let world = World::new();
    let script = format!(
        "alembic upgrade head; i=0; while [ $i -lt {lines} ]; do i=$((i+1)); \
         echo \"line $i: {}\"; done",
        "y".repeat(300)
    );
    let migrate = format!("migrate:\n  command: {}\n", serde_json::json!(["sh", "-c", script]));
    world.write_config(&world.light("good", "", &migrate));
    let rotated = world.path("state/migrate.log.1");
    let peak = peak(&mut world.run(&["--once"]), || rotated.exists());
    let status = world.status().unwrap();
    assert_eq!(status["run"]["outcome"], "ready", "{status}");
    assert_eq!(status["migration"]["to"], "0002", "the first lines are read as the last ones are");
    let size = |name: &str| fs::metadata(world.path("state").join(name)).unwrap().len();
    let (log, older) = (size("migrate.log"), size("migrate.log.1"));
    eprintln!(
        "pressure: migration's output | {lines} lines | logs of {log} and {older} bytes, agent's peak {peak} KiB"
    );
    // 512 KiB, and the line that is beyond.
    let bound = 512 * 1024 + 1024;
    assert!(log <= bound && older <= bound, "{log} and {older} bytes");
    let output = world.command(&["logs", "migrate", "-n", "1"]).output().unwrap();
    assert!(String::from_utf8_lossy(&output.stdout).starts_with(&format!("line {lines}: ")));
}

/// Peak of a run that pulls an image of so many MiB, which then cannot be started.
fn peak_of_a_pull(megabytes: usize) -> (u64, Duration) {
    let (world, registry) = (World::new(), FakeRegistry::start());
    registry.put_large("large", megabytes / 2);
    let image = registry.image("large");
    world.write_config(&world.bare(&image, ""));
    let begun = Instant::now();
    let asked = || registry.seen().iter().any(|seen| seen.path.contains("/blobs/"));
    let peak = peak(&mut world.run(&["--once"]), asked);
    let status = world.status().unwrap();
    let phase = status["phases"].as_array().unwrap().iter().find(|phase| phase["name"] == "image").unwrap();
    assert_eq!(phase["state"], "done", "{status}");
    (peak, begun.elapsed())
}

#[test]
fn a_large_image_costs_no_more_memory_than_a_small_one() {
    let megabytes = if full() { 1024 } else { 64 };
    let (small, _) = peak_of_a_pull(2);
    let (large, took) = peak_of_a_pull(megabytes);
    eprintln!(
        "pressure: image | {megabytes} MiB in {:.0} s | agent's peak {large} KiB; {small} KiB for 2 MiB",
        took.as_secs_f64()
    );
    assert!(large <= small + NOISE, "{large} KiB for {megabytes} MiB, {small} KiB for 2 MiB");
}

#[test]
fn a_registry_that_drips_is_no_stall_and_meets_the_deadline_of_the_pull() {
    let (world, registry) = (World::new(), FakeRegistry::start());
    registry.trouble(At::Layer, usize::MAX, Trouble::Drip(1000));
    let begun = Instant::now();
    let ran = world.run_once(&world.bare(&registry.image("1"), "deadlines: { pull: 6s }\n"));
    let fault = ran.failed_with("registry_unreachable");
    assert!(fault["message"].as_str().unwrap().ends_with("not pulled within 6 s"), "{fault}");
    // Tens of minutes at that pace.
    assert!(begun.elapsed() < Duration::from_secs(60));
    eprintln!(
        "pressure: registry in drips | 1 kB/s | {} after {:.0} s",
        fault["code"],
        begun.elapsed().as_secs_f64()
    );
}

/// The 10 s between two probes become 10 ms.
const PROBES: Duration = Duration::from_millis(10);
/// More often than the parameter may be written, so that its pace is what limits the writes.
const BEATS: Duration = Duration::from_millis(20);
const INTERVAL: Duration = Duration::from_millis(80);

/// Tells the child process what it is, and where.
const CHILD: &str = "PREVIEW_AGENT_TEST_DAY";
/// Its milliseconds between two probes.
const PERIOD: &str = "PREVIEW_AGENT_TEST_PERIOD";

/// The wall clock of that day: without it, heartbeats of one second would be the same bytes.
fn clock() -> OffsetDateTime {
    static BEGUN: LazyLock<(OffsetDateTime, Instant)> =
        LazyLock::new(|| (OffsetDateTime::now_utc(), Instant::now()));
    BEGUN.0 + BEGUN.1.elapsed() * 1000
}

/// Supervision through the library's public door, with short periods: the child.
fn live(folder: &Path) {
    let period = Duration::from_millis(std::env::var(PERIOD).unwrap().parse().unwrap());
    rustls::crypto::ring::default_provider().install_default().ok();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let mut signals = Signals::new().unwrap();
        let mut store = Store::open(&folder.join("state")).unwrap();
        let options = Options { config: folder.join("config.yaml"), once: false, migrate: false };
        let loaded = config::load(&options.config).unwrap();
        let id = supervise::next_run_id(&store);
        let now = OffsetDateTime::now_utc().into();
        let run = supervise::new_run(&mut store, now, loaded.config.deadline, id.clone());
        let (redactor, systemd) = (Redactor::default(), Systemd::default());
        let reporter = Reporter::start(&folder.join("run"), redactor.clone(), run, systemd.clone(), clock);
        let backoff = retry::Policy { first: BEATS, max: INTERVAL, ..Pace::default().backoff };
        let timings = Timings {
            liveness: period,
            // Each costs a processor some milliseconds, which a probe must not wait for.
            heartbeat: BEATS.max(period / 2),
            report: Pace { interval: INTERVAL, backoff, ..Pace::default() },
            ..Timings::default()
        };
        let _beats = reporter.keep_heartbeat(timings.heartbeat);
        let endpoints = Endpoints::from_env();
        let mut agent = Agent::new(reporter, redactor, store, timings, endpoints);
        supervise::drive(&mut agent, loaded, id, &options, &mut signals, &systemd).await;
    });
}

/// What the day stands on, and its agent; all gone when dropped.
struct Day {
    engine: SmallEngine,
    ssm: FakeSsm,
    _imds: FakeImds,
    folder: tempfile::TempDir,
    agent: Own,
}

impl Day {
    fn begin(test: &str, period: Duration, pause: Duration) -> Self {
        let folder = tempfile::Builder::new().prefix("preview-agent-day-").tempdir().unwrap();
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let engine = SmallEngine::start(port, pause);
        let (ssm, imds) = (FakeSsm::start(), FakeImds::start());
        let config = format!(
            "image: registry.invalid/acme/small@sha256:{}\ndatabase: off\nmigrate: off\n\
             health: [{{ http: / }}]\napp: {{ publish: \"127.0.0.1:{port}\" }}\nreport: {{ parameter: /test/status }}\n",
            "0".repeat(64)
        );
        fs::write(folder.path().join("config.yaml"), config).unwrap();
        let mut agent = Command::new(std::env::current_exe().unwrap());
        agent
            .args(["--exact", test, "--nocapture"])
            .env(CHILD, folder.path())
            .env(PERIOD, period.as_millis().to_string())
            .env("DOCKER_HOST", engine.docker.host())
            .env("AWS_ENDPOINT_URL_SSM", ssm.endpoint())
            .env("AWS_EC2_METADATA_SERVICE_ENDPOINT", imds.endpoint())
            .stdout(Stdio::null());
        Self { engine, ssm, _imds: imds, folder, agent: Own(agent.spawn().unwrap()) }
    }

    fn status(&self) -> Option<Value> {
        let bytes = fs::read(self.folder.path().join("run/status.json")).ok()?;
        serde_json::from_slice(&bytes).ok()
    }

    fn wait_for_probes(&self, number: u64) {
        let end = Instant::now() + Duration::from_secs(900);
        while self.engine.probes() < number {
            assert!(Instant::now() < end, "only {} probes of {number}", self.engine.probes());
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    fn puts(&self) -> Vec<Call> {
        self.ssm.calls().into_iter().filter(|call| call.action == "PutParameter").collect()
    }

    /// The highest of many looks: resident memory in KiB, and descriptors.
    fn usage(&self) -> (u64, usize) {
        let looks: Vec<_> = (0..100)
            .map(|_| {
                std::thread::sleep(Duration::from_millis(5));
                (resident(self.agent.id()).unwrap(), descriptors(self.agent.id()).unwrap())
            })
            .collect();
        (looks.iter().map(|look| look.0).max().unwrap(), looks.iter().map(|look| look.1).max().unwrap())
    }
}

/// The day has 8,640 probes of ten seconds and 288 heartbeats.
#[test]
fn a_compressed_day_of_watching_is_flat_in_memory_and_descriptors_and_within_the_pace() {
    if let Some(folder) = std::env::var_os(CHILD) {
        return live(&PathBuf::from(folder));
    }
    let total: u64 = if full() { 21_000 } else { 2_000 };
    let name = "a_compressed_day_of_watching_is_flat_in_memory_and_descriptors_and_within_the_pace";
    let day = Day::begin(name, PROBES, Duration::ZERO);
    eventually("ready", || day.status().is_some_and(|status| status["run"]["outcome"] == "ready"));
    day.wait_for_probes(total / 10);
    let (early, early_files) = day.usage();
    let (from, before) = (Instant::now(), day.puts().len());
    day.wait_for_probes(total / 2);
    // A quarter of the day the account's quota is used up.
    day.ssm.fail_writes(Failure::Throttled);
    let (throttled, accepted) = (Instant::now(), day.puts().len());
    day.wait_for_probes(total * 3 / 4);
    let (refused, lasted) = (day.puts().len() - accepted, throttled.elapsed());
    day.ssm.recover();
    day.wait_for_probes(total);
    let (took, puts) = (from.elapsed(), day.puts().len() - before);
    let (late, late_files) = day.usage();
    let writes = day.ssm.writes().len();
    eprintln!(
        "pressure: compressed day | {} probes, {writes} status writes and {refused} throttled ones in {:.0} s | \
         {early} to {late} KiB, {early_files} to {late_files} descriptors, {puts} writes where the pace allows {}",
        day.engine.probes(),
        took.as_secs_f64(),
        took.as_millis() / INTERVAL.as_millis()
    );
    assert!(late <= early + 1024, "{early} to {late} KiB");
    // A probe more may be on its way at the moment of a look.
    assert!(late_files <= early_files + 2, "{early_files} to {late_files} descriptors");
    let allowed = |time: Duration| usize::try_from(time.as_millis() / INTERVAL.as_millis()).unwrap() + 2;
    assert!(puts <= allowed(took), "{puts} writes in {took:?}");
    assert!(refused <= allowed(lasted), "{refused} writes in {lasted:?}, throttled");
    assert!(refused >= 10 && writes >= allowed(took) / 4, "{refused} throttled, {writes} taken");
    assert_eq!(day.status().unwrap()["service"]["state"], "up");
}

#[test]
fn probes_keep_their_period_however_long_each_takes() {
    if let Some(folder) = std::env::var_os(CHILD) {
        return live(&PathBuf::from(folder));
    }
    // So long that a busy machine, which takes a tenth of a second for each, does not matter.
    let (period, pause) = (Duration::from_millis(1000), Duration::from_millis(800));
    let day = Day::begin("probes_keep_their_period_however_long_each_takes", period, pause);
    day.wait_for_probes(2);
    let (from, first) = (Instant::now(), day.engine.probes());
    day.wait_for_probes(if full() { 62 } else { 17 });
    let (took, probes) = (from.elapsed(), day.engine.probes() - first);
    let share = probes as f64 * period.as_secs_f64() / took.as_secs_f64();
    eprintln!(
        "pressure: period of the probes | {probes} of 0.8 s each, 1 s apart, in {:.0} s | {:.0} % on time",
        took.as_secs_f64(),
        100.0 * share
    );
    // Counted from the end of each there would be 56 % at best.
    assert!((0.65..1.1).contains(&share), "{share}");
}
