//! Every time and count has one home in the code; what the unit, the README and the scripts say follows from it.
#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests")]

use std::path::Path;
use std::time::Duration;

use preview_agent::aws::{IMDS_LIMIT, PARAMETERS_LIMIT};
use preview_agent::config::{self, Config};
use preview_agent::deploy::Timings;
use preview_agent::install::UNIT_TEXT;
use preview_agent::status::heartbeat::{EXPIRES_AFTER, HEARTBEAT};

fn read(path: &str) -> String {
    std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(path)).unwrap()
}

/// A configuration that says nothing of times and counts.
fn defaults() -> Config {
    config::parse("image: acme/api\ndatabase: { url: \"postgresql://u:p@db/n\" }\n").unwrap()
}

/// As the pages write a time: `30 s`, and from two minutes on `2 min`.
fn short(time: Duration) -> String {
    match time.as_secs() {
        seconds if seconds >= 120 && seconds % 60 == 0 => format!("{} min", seconds / 60),
        seconds => format!("{seconds} s"),
    }
}

/// A setting of the unit, in seconds.
fn unit(key: &str) -> Duration {
    let value = UNIT_TEXT.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix('='));
    Duration::from_secs(value.unwrap().trim_end_matches('s').parse().unwrap())
}

#[test]
fn the_readme_gives_each_phase_the_limits_that_it_has() {
    let (timings, config, readme) = (Timings::default(), defaults(), read("README.md"));
    let job = config.migrate.unwrap();
    for (phase, limits) in [
        (
            "resolve",
            format!(
                "IMDS {}, Docker {}, parameters {}",
                short(IMDS_LIMIT),
                short(timings.docker_patience),
                short(PARAMETERS_LIMIT)
            ),
        ),
        (
            "image",
            format!(
                "{} tries, {} without a byte, {}; build {}",
                config.tries.pull,
                short(timings.stall),
                short(config.deadlines.pull),
                short(config.deadlines.build)
            ),
        ),
        ("database", short(config.deadlines.database)),
        (
            "jobs, migrate",
            format!(
                "{} tries, {} each; at once where trying again cannot help",
                config.tries.migrate,
                short(job.timeout)
            ),
        ),
        ("start", format!("{} for the old one to stop", short(timings.grace))),
        ("health", short(config.deadlines.health)),
    ] {
        let row = readme.lines().find(|line| line.starts_with(&format!("| {phase} |"))).unwrap();
        assert!(row.ends_with(&format!("| {limits} |")), "{row}\nshould end with {limits}");
    }
    let whole = format!("The whole run has {} minutes", config.deadline.as_secs() / 60);
    let way_back = format!("Health ends {} before that", short(timings.way_back));
    assert!(readme.contains(&format!("{whole}. {way_back}")), "{whole}. {way_back}");
}

#[test]
fn the_pages_say_how_often_the_agent_looks_and_speaks() {
    let timings = Timings::default();
    assert_eq!(timings.misses, 3);
    let minutes = |time: Duration| time.as_secs() / 60;
    let [first, rest @ ..] = timings.between_runs;
    let [second, third, fourth, last] = rest.map(minutes);
    let first = short(first);
    for (page, said) in [
        ("README.md", format!("database every {}; three misses", short(timings.liveness))),
        (
            "README.md",
            format!(
                "{first} later at most, then {second}, {third}, {fourth} and from then on {last} minutes"
            ),
        ),
        ("README.md", format!("at most once in {}", short(timings.report.interval))),
        ("README.md", format!("again every {} minutes", minutes(HEARTBEAT))),
        ("README.md", format!("{} minutes later", minutes(EXPIRES_AFTER))),
        ("docs/operate.md", format!("lies {} minutes after", minutes(EXPIRES_AFTER))),
        ("docs/operate.md", format!("come every {} minutes", minutes(HEARTBEAT))),
        // What the User Data writes before there is an agent expires like a document of the agent's.
        ("packaging/user-data.sh", format!("date -u -d '{} minutes'", minutes(EXPIRES_AFTER))),
        ("packaging/cloud-config.yaml", format!("date -u -d '{} minutes'", minutes(EXPIRES_AFTER))),
    ] {
        let text = read(page).split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(text.contains(&said), "{page}: {said}");
    }
    assert_eq!(timings.heartbeat, HEARTBEAT);
}

#[test]
fn the_unit_waits_for_what_the_agent_may_take() {
    let timings = Timings::default();
    // A bad configuration is reported before the agent ends: the instance is asked, the parameter written.
    assert!(unit("TimeoutStartSec") > IMDS_LIMIT + timings.flush);
    // Stopped in the midst of a swap, the agent stops the successor and waits for the old one's end.
    assert!(unit("TimeoutStopSec") > timings.grace + timings.unproven_grace + timings.flush);
    // A parameter that hangs is given up before the service manager ends the agent for it.
    assert!(unit("WatchdogSec") > timings.report.call);
}
