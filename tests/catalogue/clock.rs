//! The wall clock. The reporter takes it as an argument, so that these rows drive the agent through
//! the library and nothing touches the machine's clock.

use std::sync::Mutex;
use std::sync::atomic::{AtomicI64, Ordering};

use preview_agent::aws::Endpoints;
use preview_agent::config;
use preview_agent::deploy::{Agent, Timings};
use preview_agent::redact::Redactor;
use preview_agent::state::Store;
use preview_agent::status::systemd::Systemd;
use preview_agent::status::{Outcome, Reporter};
use preview_agent::supervise::{self, Options, Signals};
use time::format_description::well_known::Rfc3339;
use time::{Duration, OffsetDateTime};

use crate::case::{Case, fails, ready, within};
use crate::scene::Scene;
use crate::support::agent::Ran;
use crate::support::ssm::Failure;

const SEAM: &str = "clock";
const SKEW: (&str, &str) = ("instance", "clock_skew");

pub fn rows() -> Vec<Case> {
    let rows = vec![
        ready(SEAM, "jumps a day ahead in mid-run", |scene| jump(scene, Duration::ZERO, Duration::DAY)),
        ready(SEAM, "jumps a day back in mid-run", |scene| jump(scene, Duration::ZERO, -Duration::DAY)),
        ready(SEAM, "is in 1970 until the network is up", |scene| {
            let since_1970 = OffsetDateTime::now_utc() - OffsetDateTime::UNIX_EPOCH;
            jump(scene, -since_1970, Duration::ZERO)
        }),
        fails(SEAM, "AWS says that the signature has expired", SKEW, |scene| {
            let words = "Signature expired: 20261121T080000Z is now earlier than 20261121T083000Z";
            refused(scene, "InvalidSignatureException", words)
        })
        .says("Signature expired"),
        fails(SEAM, "AWS says that the request is of the future", SKEW, |scene| {
            refused(scene, "RequestInTheFuture", "The request is not yet current")
        })
        .says("not yet current"),
    ];
    within("resolve", [rows])
}

fn refused(scene: &Scene, code: &'static str, words: &'static str) -> Ran {
    scene.ssm.fail(usize::MAX, Failure::Error(code, words));
    scene.run_once(&scene.config("good", ""))
}

/// Seconds by which the agent's clock is ahead, in one row at a time.
static AHEAD: AtomicI64 = AtomicI64::new(0);
static ALONE: Mutex<()> = Mutex::new(());

fn clock() -> OffsetDateTime {
    OffsetDateTime::now_utc() + Duration::seconds(AHEAD.load(Ordering::SeqCst))
}

/// A deployment that begins with the clock off by the first time and, once its migration runs, by the second.
fn jump(scene: &Scene, first: Duration, then: Duration) -> Ran {
    let _alone = ALONE.lock();
    AHEAD.store(first.whole_seconds(), Ordering::SeqCst);
    scene.write_config(&scene.config("good", ""));
    let outcome = std::thread::scope(|threads| {
        threads.spawn(|| {
            scene.running_migration();
            AHEAD.store(then.whole_seconds(), Ordering::SeqCst);
        });
        tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(deploy(scene))
    });
    let code = i32::from(outcome != Outcome::Ready);
    let status = scene.status().unwrap();
    let at = |what: &str| OffsetDateTime::parse(status["run"][what].as_str().unwrap(), &Rfc3339).unwrap();
    let jumped = at("finished") - at("started") - (then - first);
    assert!(jumped.abs() < Duration::HOUR, "the run has not seen the clock jump: {status}");
    Ran { code: Some(code), stderr: String::new(), status }
}

/// `agent run --once` with that clock.
async fn deploy(scene: &Scene) -> Outcome {
    rustls::crypto::ring::default_provider().install_default().ok();
    let mut store = Store::open(&scene.path("state")).unwrap();
    let loaded = config::load(&scene.config_path()).unwrap();
    let id = supervise::next_run_id(&store);
    let run = supervise::new_run(&mut store, clock().into(), loaded.config.deadline, id.clone());
    let (redactor, systemd) = (Redactor::default(), Systemd::from_env());
    let reporter = Reporter::start(&scene.path("run"), redactor.clone(), run, systemd.clone(), clock);
    let endpoints = Endpoints {
        imds: Some(scene.imds.endpoint()),
        ssm: Some(scene.ssm.endpoint()),
        ecr: Some(scene.ssm.endpoint()),
    };
    let timings = Timings::default();
    let mut agent = Agent::new(reporter.clone(), redactor, store, timings, endpoints);
    let options = Options { config: scene.config_path(), once: true, migrate: false };
    let mut signals = Signals::new().unwrap();
    let outcome = supervise::drive(&mut agent, loaded, id, &options, &mut signals, &systemd).await;
    reporter.flush(timings.flush).await;
    outcome
}
