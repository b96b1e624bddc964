//! The program's edges: numbers that no pull request has.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::exit)]

mod support;

use support::world::{World, act_as_preview};

#[test]
fn preview() {
    act_as_preview();
}

#[test]
fn a_pull_requests_number_begins_at_one() {
    let world = World::new();
    for command in ["up", "wait", "check", "down", "status", "logs"] {
        for number in ["0", "007", "7x"] {
            world.run(&[command, number]).ended(2).says("from 1");
        }
    }
    assert_eq!((world.account.lock().seen.len(), world.github.lock().seen.len()), (0, 0));
}
