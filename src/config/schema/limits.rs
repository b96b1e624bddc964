//! `deadlines` and `tries`: how long and how often.

use std::time::Duration;

use super::super::field::Field;
use super::super::model::{Deadlines, Tries};
use super::shared::duration_within;

pub(super) const DEADLINES: Deadlines = Deadlines {
    pull: Duration::from_secs(900),
    build: Duration::from_secs(900),
    database: Duration::from_secs(300),
    health: Duration::from_secs(120),
};

pub(super) fn deadlines(field: &Field<'_>, longest: Duration) -> Option<Deadlines> {
    let map = field.record(&["pull", "build", "database", "health"])?;
    let read = |key, default| map.or(key, default, |field| duration_within(field, longest));
    let (pull, build) = (read("pull", DEADLINES.pull), read("build", DEADLINES.build));
    let (database, health) = (read("database", DEADLINES.database), read("health", DEADLINES.health));
    Some(Deadlines { pull: pull?, build: build?, database: database?, health: health? })
}

pub(super) const TRIES: Tries = Tries { pull: 5, migrate: 5 };

pub(super) fn tries(field: &Field<'_>) -> Option<Tries> {
    let map = field.record(&["pull", "migrate"])?;
    let read = |key, default| {
        map.or(key, default, |field| {
            const EXPECTED: &str = "expected a whole number from 1 to 100";
            field.parse("a whole number from 1 to 100", |text| {
                text.parse().ok().filter(|n| (1..=100).contains(n)).ok_or(EXPECTED)
            })
        })
    };
    let (pull, migrate) = (read("pull", TRIES.pull), read("migrate", TRIES.migrate));
    Some(Tries { pull: pull?, migrate: migrate? })
}
