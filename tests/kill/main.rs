//! Killed at every step: a deployment is cut at each kind of request that it
//! makes, before it is forwarded and after it was answered, by SIGKILL and by
//! SIGTERM, and begun again; files torn as by a loss of power. The end must be
//! that of a deployment which nobody disturbed.
//!
//! By itself this runs a sample. `KILL_SEED=7` takes another one, `KILL_ALL=1`
//! all, in any order; `KILL_MINUTES=20` begins none after that time, and either
//! may be filtered by name.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod ending;
mod record;
mod run;
mod scenario;
#[path = "../support/mod.rs"]
mod support;
mod torn;

use std::sync::LazyLock;
use std::time::{Duration, Instant};

use libtest_mimic::{Arguments, Completion, Trial};
use run::Way;
use scenario::{SCENARIOS, Scenario};
use support::ledger::Point;
use torn::{DAMAGES, FILES};

/// Kill points in the sample, of each scenario, SIGKILL and SIGTERM.
const SAMPLED: (usize, usize) = (2, 1);

/// Torn files in the sample.
const TORN: usize = 4;

/// When no other trial is to begin.
static ENOUGH: LazyLock<Option<Instant>> = LazyLock::new(|| {
    let minutes: u64 = std::env::var("KILL_MINUTES").ok()?.parse().ok()?;
    Some(Instant::now() + Duration::from_secs(60 * minutes))
});

fn main() -> std::process::ExitCode {
    let mut arguments = Arguments::from_args();
    LazyLock::force(&ENOUGH);
    // Under cargo's own runner they would all begin at once.
    arguments.test_threads.get_or_insert(4);
    libtest_mimic::run(&arguments, trials()).exit_code()
}

fn trials() -> Vec<Trial> {
    let all = std::env::var_os("KILL_ALL").is_some();
    let seed = std::env::var("KILL_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(4);
    let mut random = fastrand::Rng::with_seed(seed);
    let mut trials = Vec::new();
    for scenario in &SCENARIOS {
        trials.push(trial(format!("{}::undisturbed", scenario.name), || record::check(scenario)));
        let (mut term, mut kill): (Vec<_>, Vec<_>) =
            record::points(scenario).into_iter().partition(|(_, way)| *way == Way::Term);
        if !all {
            random.shuffle(&mut kill);
            random.shuffle(&mut term);
            kill.truncate(SAMPLED.0);
            term.truncate(SAMPLED.1);
        }
        for (point, way) in kill.into_iter().chain(term) {
            let name = format!("{}::{point}::{way}", scenario.name);
            trials.push(trial(name, move || {
                let end = run::killed(scenario, &point, way);
                run::assert_same(&end, &record::end(scenario));
            }));
        }
    }
    let mut torn = torn_trials();
    if !all {
        random.shuffle(&mut torn);
        torn.truncate(TORN);
    }
    trials.extend(torn);
    // What has been tried when somebody stops a long run is a sample of all of it.
    random.shuffle(&mut trials);
    trials.sort_by_key(|trial| !CHANGES.iter().any(|change| trial.name().contains(change)));
    trials
}

/// Requests that change something, and the questions to the database, which a long run tries first.
const CHANGES: [&str; 10] = [
    ".create.",
    ".create@",
    ".start.",
    ".stop.",
    ".update.",
    ".delete.",
    ".pull.",
    ".build@",
    "::database.",
    "undisturbed",
];

/// Points at which the power fails as well: what had been done by then is in the engine and in the files.
const TORN_AT: [(&str, Way); 4] = [
    ("docker.start.migrate.2", Way::KillAfter),
    ("docker.delete.migrate.2", Way::KillBefore),
    ("docker.start.app.2", Way::KillBefore),
    ("docker.update.app.2", Way::KillAfter),
];

fn torn_trials() -> Vec<Trial> {
    let mut trials = Vec::new();
    for scenario in &SCENARIOS {
        let redeploys = scenario.name.starts_with("redeploy");
        let builds = scenario.name.ends_with("build");
        for file in FILES.into_iter().filter(|file| builds || !file.ends_with("build.log")) {
            for (name, damage) in DAMAGES {
                if damage == torn::Damage::Leftover && !torn::is_replaced(file) {
                    continue;
                }
                let name = format!("torn::{}::{file}::{name}", scenario.name);
                trials.push(trial(name, move || {
                    let torn: fn(&Scenario, &str, torn::Damage) =
                        if redeploys { torn::redeployed } else { torn::restarted };
                    torn(scenario, file, damage);
                }));
            }
        }
        for (kind, way) in TORN_AT.into_iter().filter(|_| redeploys) {
            for file in ["state/state.json", "state/spec.key"] {
                let (point, damage) = (Point { kind: kind.to_owned(), nth: 1 }, torn::Damage::Half);
                let name = format!("torn::{}::{point}::{way}::{file}::half", scenario.name);
                trials.push(trial(name, move || torn::killed_and_torn(scenario, &point, way, file, damage)));
            }
        }
    }
    trials
}

fn trial(name: String, run: impl FnOnce() + Send + 'static) -> Trial {
    Trial::ignorable_test(name, move || {
        if ENOUGH.is_some_and(|enough| Instant::now() > enough) {
            return Ok(Completion::ignored_with("the time is over"));
        }
        run();
        Ok(Completion::Completed)
    })
}
