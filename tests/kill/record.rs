//! What an undisturbed deployment of each scenario asks for and ends in, as
//! written down in this folder: so one point can be tried without the others.
//! `UPDATE_KILL=1` writes it anew.

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;

use serde_json::{Value, json};

use crate::run::{Way, assert_same, undisturbed};
use crate::scenario::Scenario;
use crate::support::kinds::Nature;
use crate::support::ledger::{Point, Seen};

const NATURES: [(&str, Nature); 3] =
    [("plain", Nature::Plain), ("stream", Nature::Stream), ("endless", Nature::Endless)];

fn path(scenario: &Scenario) -> PathBuf {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/kill");
    folder.join(format!("{}.json", scenario.name))
}

fn read(scenario: &Scenario) -> Value {
    serde_json::from_slice(&fs::read(path(scenario)).unwrap_or_default()).unwrap_or_default()
}

/// The end that every killed deployment must come to as well.
pub fn end(scenario: &Scenario) -> Value {
    read(scenario)["end"].clone()
}

/// Every point, and every way to be killed there.
pub fn points(scenario: &Scenario) -> Vec<(Point, Way)> {
    let recorded = read(scenario);
    let points = recorded["points"].as_array().cloned().unwrap_or_default();
    let seen = points.iter().filter_map(Value::as_str).map(parse);
    seen.flat_map(|seen| Way::of(seen.nature).iter().map(move |way| (seen.point.clone(), *way))).collect()
}

fn parse(line: &str) -> Seen {
    let (point, nature) = line.split_once(' ').unwrap();
    let (kind, nth) = point.split_once('@').unwrap();
    let nature = NATURES.iter().find(|(name, _)| *name == nature).unwrap().1;
    Seen { point: Point { kind: kind.to_owned(), nth: nth.parse().unwrap() }, nature }
}

fn line(seen: &Seen) -> String {
    let nature = NATURES.iter().find(|(_, nature)| *nature == seen.nature).unwrap().0;
    format!("{} {nature}", seen.point)
}

/// Holds an undisturbed deployment against what is written down.
pub fn check(scenario: &Scenario) {
    let (seen, end) = undisturbed(scenario);
    let points: Vec<String> = seen.iter().map(line).collect();
    if std::env::var_os("UPDATE_KILL").is_some() {
        let text = serde_json::to_string_pretty(&json!({"points": points, "end": end})).unwrap();
        return fs::write(path(scenario), text + "\n").unwrap();
    }
    let recorded = read(scenario);
    // What is asked at the same time comes in any order.
    let found: BTreeSet<&str> = points.iter().map(String::as_str).collect();
    let known: BTreeSet<&str> =
        recorded["points"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    let (new, gone) = (found.difference(&known), known.difference(&found));
    let (new, gone): (Vec<_>, Vec<_>) = (new.collect(), gone.collect());
    assert!(new.is_empty() && gone.is_empty(), "other requests: {new:?} and no more {gone:?}; see record.rs");
    assert_same(&end, &recorded["end"]);
}
