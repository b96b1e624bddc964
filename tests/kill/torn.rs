//! Power lost: files of the agent's torn, begun anew, or never renamed.

use std::fs;
use std::path::PathBuf;

use serde_json::{Value, json};

use crate::record::end;
use crate::run::{
    Way, assert_same, begin_again, holds_the_invariants, kill_at, never_two_at_once, touches_the_old_last,
};
use crate::scenario::{Scenario, Stage};
use crate::support::ledger::Point;
use crate::support::world::World;

/// What a loss of power leaves of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Damage {
    Half,
    Empty,
    Garbage,
    Missing,
    /// A file that was to take its place, written and not renamed.
    Leftover,
}

pub const DAMAGES: [(&str, Damage); 5] = [
    ("half", Damage::Half),
    ("empty", Damage::Empty),
    ("garbage", Damage::Garbage),
    ("missing", Damage::Missing),
    ("leftover", Damage::Leftover),
];

/// Every file that the agent keeps.
pub const FILES: [&str; 6] = [
    "state/state.json",
    "state/spec.key",
    "state/lock",
    "state/migrate.log",
    "state/build.log",
    "run/status.json",
];

/// Damages a file of the world.
pub fn tear(world: &World, file: &str, damage: Damage) {
    let path = world.path(file);
    if damage == Damage::Leftover {
        let name = path.file_name().unwrap().to_string_lossy();
        let name = if file.starts_with("run/") { format!(".{name}.new") } else { format!("{name}.new") };
        fs::write(path.with_file_name(name), "{\"half\": ").unwrap();
        // The key is written where it is missing, and only then.
        if file == "state/spec.key" {
            fs::remove_file(&path).unwrap();
        }
        return;
    }
    let bytes = fs::read(&path).unwrap();
    match damage {
        Damage::Half => fs::write(&path, &bytes[..bytes.len() / 2]).unwrap(),
        Damage::Empty => fs::write(&path, "").unwrap(),
        Damage::Garbage => fs::write(&path, [0, 0xff, b'{', 0xc3, 0x28, b'\n', 0]).unwrap(),
        Damage::Missing => fs::remove_file(&path).unwrap(),
        Damage::Leftover => {}
    }
}

/// The agent writes it by way of another name.
pub fn is_replaced(file: &str) -> bool {
    ["state/state.json", "state/spec.key", "run/status.json"].contains(&file)
}

/// Whether the damage loses what the file told: half a line of a log is a log.
fn loses(file: &str, damage: Damage) -> bool {
    file == "state/spec.key" || file == "state/state.json" && damage != Damage::Leftover
}

/// After a first deployment the power fails; the same is deployed again.
pub fn restarted(scenario: &Scenario, file: &str, damage: Damage) {
    let stage = scenario.prepare();
    let first = begin_again(&stage);
    tear(&stage.world, file, damage);
    let recording = stage.world.record();
    let again = begin_again(&stage);
    holds_the_invariants(&recording.all());
    let mut expected = first.clone();
    if loses(file, damage) {
        // With the record its proof is lost: jobs and migration are repeated, once.
        expected["marks"] = json!(["init.sql 2", "migrate 2"]);
        if file == "state/spec.key" {
            keeps_the_build_before(&mut expected);
        }
    } else {
        assert!(recording.all().is_empty(), "nothing was to be done: {:?}", recording.all());
    }
    forgives_a_log_that_is_gone(&mut expected, &stage, file, damage);
    assert_same(&again, &expected);
}

/// An application serves, the power fails, and another is deployed.
pub fn redeployed(scenario: &Scenario, file: &str, damage: Damage) {
    let stage = scenario.prepare();
    tear(&stage.world, file, damage);
    let recording = stage.world.record();
    let found = begin_again(&stage);
    holds_the_invariants(&recording.all());
    // What is new is made and migrated once, whatever was forgotten of the old.
    assert_same(&found, &end(scenario));
}

/// Killed at a point, and the power with it.
pub fn killed_and_torn(scenario: &Scenario, point: &Point, way: Way, file: &str, damage: Damage) {
    let stage = scenario.prepare();
    let recording = stage.world.record();
    kill_at(&stage, point, way);
    tear(&stage.world, file, damage);
    let first_life = recording.all().len();
    let mut ended = begin_again(&stage);
    let all = recording.all();
    never_two_at_once(&all);
    // With the record lost, the second life may deploy what the first had deployed already.
    touches_the_old_last(&all[..first_life], 0);
    touches_the_old_last(&all, first_life);
    let mut expected = end(scenario);
    if loses(file, damage) {
        // What had run by then may run once more; how often it did is all that may differ.
        assert_eq!(marks(&ended).len(), marks(&expected).len(), "{ended}");
        for (found, once) in marks(&ended).iter().zip(marks(&expected)) {
            assert!(found.0 == once.0 && (once.1..=once.1 + 1).contains(&found.1), "{ended}");
        }
        ended["marks"] = Value::Null;
        // Built under another key, the same commit is another build; those of all lives may be there.
        ended["built"].as_array_mut().unwrap().dedup();
        expected["marks"] = Value::Null;
    }
    assert_same(&ended, &expected);
}

fn marks(end: &Value) -> Vec<(String, u32)> {
    let marks = end["marks"].as_array().unwrap().iter().filter_map(Value::as_str);
    marks
        .map(|mark| mark.rsplit_once(' ').unwrap())
        .map(|(mark, n)| (mark.to_owned(), n.parse().unwrap()))
        .collect()
}

/// Without its key nothing is recognised: the same commit is built once more,
/// and what served before stays for the way back, as at any deployment.
fn keeps_the_build_before(expected: &mut Value) {
    if let Some(built) = expected["built"].as_array_mut()
        && let Some(only) = built.first().cloned()
    {
        built.push(only);
    }
}

/// A log is written when there is something to write.
fn forgives_a_log_that_is_gone(expected: &mut Value, stage: &Stage, file: &str, damage: Damage) {
    let path: PathBuf = stage.world.path(file);
    if damage == Damage::Missing && file.ends_with(".log") && !path.exists() {
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        let files = expected["files"][0].as_array_mut().unwrap();
        files.retain(|file| *file != json!(name));
    }
}
