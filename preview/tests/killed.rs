//! `preview up` ended at each of its requests to AWS and to GitHub, and whatever it had made by then is found by `down`.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::exit)]

mod support;

use support::account::{DB_GROUP, GROUP};
use support::ec2::Instance;
use support::status::{document, says};
use support::wait::{signal, until};
use support::world::{World, act_as_preview};

#[test]
fn preview() {
    act_as_preview();
}

/// A pull request whose preview is to take the place of an older one.
fn world() -> World {
    let mut world = World::new();
    world.set("DB_SG_ID", DB_GROUP);
    world.account.on_launch(|id, inner| says(inner, 7, &document(id, 7, "ready")));
    let tags = [("Purpose", "pr-preview-singleton"), ("Repository", "acme/api"), ("PullRequest", "7")];
    world.account.lock().instances.push(Instance::running("i-before", &tags));
    world
}

fn nothing_is_left(world: &World, what: &str) {
    world.run(&["down", "7", "--force"]).ended(0);
    assert_eq!(world.account.alive().len(), 0, "{what}");
    let rules = [world.account.rules(GROUP), world.account.rules(DB_GROUP)].concat();
    assert_eq!((rules, world.account.parameters()), (vec![], vec![]), "{what}");
}

fn killed_by(name: &str) {
    let undisturbed = world();
    undisturbed.run(&["up", "7"]).ended(0);
    let requests = undisturbed.account.lock().seen.len();
    assert!(requests > 15, "{requests}");
    nothing_is_left(&undisturbed, "undisturbed");
    for at in 1..=requests {
        for done in [false, true] {
            let world = world();
            world.account.lock().silent_at = Some((at, done));
            let child = world.command(&["up", "7"]).spawn().unwrap();
            until(&format!("request {at}"), || world.account.lock().seen.len() >= at);
            let asked = world.account.lock().seen[at - 1].action.clone();
            signal(child.id(), name);
            world.ran(child);
            world.account.lock().silent_at = None;
            nothing_is_left(&world, &format!("{name} at {at}, {asked}, done: {done}"));
        }
    }
}

#[test]
fn what_a_kill_leaves_is_found() {
    killed_by("KILL");
}

#[test]
fn what_an_interrupt_leaves_is_found() {
    killed_by("INT");
}

#[test]
fn what_a_termination_leaves_is_found() {
    killed_by("TERM");
}

#[test]
fn what_a_kill_before_github_answers_leaves_is_found() {
    let undisturbed = world();
    undisturbed.run(&["up", "7"]).ended(0);
    let requests = undisturbed.github.lock().seen.len();
    assert!(requests > 8, "{requests}");
    for at in 1..=requests {
        let world = world();
        world.github.lock().silent_at = Some(at);
        let child = world.command(&["up", "7"]).spawn().unwrap();
        until(&format!("request {at}"), || world.github.lock().seen.len() >= at);
        signal(child.id(), "KILL");
        world.ran(child);
        let asked = world.github.lock().seen[at - 1].clone();
        world.github.lock().silent_at = None;
        nothing_is_left(&world, &format!("at {at}, {asked}"));
    }
}
