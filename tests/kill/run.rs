//! One deployment: undisturbed, or killed at a point and begun again.

use std::collections::BTreeSet;
use std::fmt;
use std::fs;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::ending::ending;
use crate::scenario::{Scenario, Stage};
use crate::support::events::{Event, most_at_once};
use crate::support::kinds::Nature;
use crate::support::ledger::{Halt, Point, Seen};
use crate::support::trouble::Moment;
use crate::support::world::World;

/// Longest time of anything that is waited for: the machine may be busy with much else.
const PATIENCE: Duration = Duration::from_secs(280);

/// How long a run may have ended without reaching its point.
const OVERDUE: Duration = Duration::from_secs(10);

/// How the agent is ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// SIGKILL before the request is forwarded.
    KillBefore,
    /// SIGKILL once the answer, a stream, has begun.
    KillBegun,
    /// SIGKILL once the answer has come in full.
    KillAfter,
    /// SIGTERM before the request is forwarded.
    Term,
}

impl fmt::Display for Way {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::KillBefore => "kill_before",
            Self::KillBegun => "kill_begun",
            Self::KillAfter => "kill_after",
            Self::Term => "term",
        })
    }
}

impl Way {
    /// Those that a request of this nature can be cut in.
    pub fn of(nature: Nature) -> &'static [Self] {
        match nature {
            Nature::Plain => &[Self::KillBefore, Self::KillAfter, Self::Term],
            Nature::Stream => &[Self::KillBefore, Self::KillBegun, Self::KillAfter, Self::Term],
            Nature::Endless => &[Self::KillBefore, Self::KillBegun, Self::Term],
        }
    }

    fn halt(self, point: Point) -> Halt {
        let moment = match self {
            Self::KillBefore | Self::Term => Moment::Before,
            Self::KillBegun => Moment::Begun,
            Self::KillAfter => Moment::After,
        };
        Halt { point, moment, cut: self != Self::Term }
    }
}

/// The points of a deployment that nobody disturbs, and its end.
pub fn undisturbed(scenario: &Scenario) -> (Vec<Seen>, Value) {
    let stage = scenario.prepare();
    let before = run_id(&stage.world);
    let recording = stage.world.record();
    stage.proxy.count(None);
    let mut agent = stage.world.start(&stage.config);
    agent.wait_for("the end of the run", |_| ended(&stage.world, before.as_deref()));
    agent.wait_for("the watch, which is the last to ask", |_| {
        stage.proxy.seen().iter().any(|seen| seen.point.kind == "docker.events")
    });
    let end = ending(&stage);
    holds_the_invariants(&recording.all());
    assert_eq!(agent.stop(), Some(0));
    (stage.proxy.seen(), end)
}

/// The same, killed at a point and begun again. Returns the end.
pub fn killed(scenario: &Scenario, point: &Point, way: Way) -> Value {
    let stage = scenario.prepare();
    let recording = stage.world.record();
    kill_at(&stage, point, way);
    let end = begin_again(&stage);
    let all = recording.all();
    assert!(!all.is_empty(), "nothing was deployed");
    holds_the_invariants(&all);
    end
}

/// Lets the deployment come to a point and ends the agent there.
pub fn kill_at(stage: &Stage, point: &Point, way: Way) {
    let before = run_id(&stage.world);
    stage.proxy.count(Some(way.halt(point.clone())));
    let agent = stage.world.start(&stage.config);
    let (end, mut overdue) = (Instant::now() + PATIENCE, None);
    while !stage.proxy.halted(Duration::from_millis(50)) {
        assert!(Instant::now() < end, "neither {point} nor an end: {:?}", stage.world.status());
        if ended(&stage.world, before.as_deref()) {
            let since = *overdue.get_or_insert_with(Instant::now);
            assert!(since.elapsed() < OVERDUE, "the run ended without {point}: {:?}", stage.world.status());
        }
    }
    if way == Way::Term {
        agent.signal("TERM");
        stage.proxy.go_on();
        assert_eq!(agent.stop(), Some(0));
        let status = stage.world.status().unwrap();
        assert_ne!(status["run"]["outcome"], "in_progress", "{status}");
    } else {
        agent.crash();
        stage.proxy.after_the_kill();
    }
}

/// Starts the agent as its service manager would, and waits for the end of its run.
pub fn begin_again(stage: &Stage) -> Value {
    let before = run_id(&stage.world);
    stage.proxy.count(None);
    let agent = stage.world.start(&stage.config);
    let end = Instant::now() + PATIENCE;
    while !ended(&stage.world, before.as_deref()) {
        assert!(Instant::now() < end, "no end: {:?} {}", run(&stage.world), agent.stderr());
        std::thread::sleep(Duration::from_millis(20));
    }
    ending(stage)
}

/// The status' run, if it can be read: it may be torn before the agent begins.
fn run(world: &World) -> Option<Value> {
    let bytes = fs::read(world.path("run/status.json")).ok()?;
    let status: Value = serde_json::from_slice(&bytes).ok()?;
    status.get("run").cloned()
}

fn run_id(world: &World) -> Option<String> {
    run(world).and_then(|run| run["id"].as_str().map(str::to_owned))
}

/// A run other than the one `before` has ended.
fn ended(world: &World, before: Option<&str>) -> bool {
    run(world).is_some_and(|run| run["id"].as_str() != before && run["outcome"] != "in_progress")
}

/// What must be true of every moment, by the engine's own record.
pub fn holds_the_invariants(all: &[Event]) {
    never_two_at_once(all);
    touches_the_old_last(all, 0);
}

/// Neither two migrations nor two applications.
pub fn never_two_at_once(all: &[Event]) {
    for role in ["migrate", "app"] {
        assert!(most_at_once(all, role) <= 1, "two containers of the role {role} ran at once: {all:?}");
    }
}

/// What served before is not touched until its successor is made and migrated for, and not removed
/// before that has run; in what happened from this event on.
pub fn touches_the_old_last(all: &[Event], from: usize) {
    let (before, after) = all.split_at(from);
    let had = |events: &[Event], id: &str, action: &str| {
        events.iter().any(|event| event.1 == action && event.2 == id)
    };
    // What was made earlier and never proven (`update` is when it is) may go at any time.
    let is_old = |event: &Event| {
        let id = &event.2;
        let unproven = had(before, id, "create") && !had(before, id, "update");
        event.0 == "app" && !had(after, id, "create") && !unproven
    };
    let first = |what: &dyn Fn(&Event) -> bool| after.iter().position(what);
    let ends = ["kill", "stop", "die", "destroy", "pause", "rename", "restart"];
    let Some(touched) = first(&|event| is_old(event) && ends.contains(&event.1.as_str())) else { return };
    // A life before this one may have come as far as that.
    let done = from > 0 && before.iter().any(|event| event.0 == "app");
    let migrated = after.iter().rposition(|event| event.0 == "migrate" && event.1 == "die");
    let made = first(&|event| event.0 == "app" && event.1 == "create");
    assert!(done || made.is_some_and(|made| made < touched), "the old one was touched too early: {all:?}");
    assert!(migrated < Some(touched), "the old one was touched before the migrations' end: {all:?}");
    let removed = first(&|event| is_old(event) && event.1 == "destroy");
    let started = first(&|event| event.0 == "app" && event.1 == "start" && !is_old(event));
    let ran = done || started.is_some();
    assert!(removed.is_none() || ran && started < removed, "the old one went before another ran: {all:?}");
}

/// The difference between two ends, by their first keys.
#[track_caller]
pub fn assert_same(found: &Value, expected: &Value) {
    let keys: BTreeSet<&String> =
        [found, expected].iter().flat_map(|end| end.as_object().unwrap().keys()).collect();
    let different: Vec<Value> = keys
        .into_iter()
        .filter(|key| found[*key] != expected[*key])
        .map(|key| json!({key: {"found": found[key], "undisturbed": expected[key]}}))
        .collect();
    assert!(different.is_empty(), "another end: {}", serde_json::to_string_pretty(&different).unwrap());
}
