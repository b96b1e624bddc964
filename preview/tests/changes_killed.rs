//! `preview changes apply` ended at each of its requests: `watch` finds the stack again, and nothing is executed
//! twice.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::exit)]

mod support;

use std::process::Command;
use std::time::{Duration, Instant};

use support::templates::service;
use support::world::{Ran, World, act_as_preview};

#[test]
fn preview() {
    act_as_preview();
}

const STACK: &str = "xray-poc-compute";

/// A stack with a change set that is not applied yet.
fn world() -> (World, String) {
    let world = World::without_file();
    world.account.lock().stacks.add(STACK, &service(), &[("ContainerImage", "127.0.0.1:9/app:1")]);
    let ran = world.run(&["changes", "create", STACK, "--set", "ContainerImage=127.0.0.1:9/app:2"]);
    let set = ran.ended(0).value("change_set").unwrap().to_owned();
    world.account.lock().seen.clear();
    (world, set)
}

fn image(world: &World) -> String {
    world.account.lock().stacks.stack(STACK).unwrap().parameters["ContainerImage"].clone()
}

fn executed(world: &World) -> usize {
    world.account.lock().stacks.stack(STACK).unwrap().executed.len()
}

/// Applies, and is ended by this signal at the request of this number, done or not.
fn ended_at(world: &World, set: &str, signal: &str, at: usize, done: bool) -> (String, Ran) {
    world.account.lock().silent_at = Some((at, done));
    let child = world.command(&["changes", "apply", STACK, set, "--yes"]).spawn().unwrap();
    let until = Instant::now() + Duration::from_secs(20);
    while world.account.lock().seen.len() < at {
        assert!(Instant::now() < until, "no request {at}");
        std::thread::sleep(Duration::from_millis(5));
    }
    let asked = world.account.lock().seen[at - 1].action.clone();
    let pid = child.id().to_string();
    assert!(Command::new("kill").args([&format!("-{signal}"), &pid]).status().unwrap().success());
    let ran = world.ran(child);
    world.account.lock().silent_at = None;
    (asked, ran)
}

#[test]
fn whatever_a_signal_ends_is_found_and_executed_once() {
    let (undisturbed, set) = world();
    undisturbed.run(&["changes", "apply", STACK, &set, "--yes"]).ended(0);
    let requests = undisturbed.account.lock().seen.len();
    assert!(requests > 10, "{requests}");
    for at in 1..=requests {
        for done in [false, true] {
            let (world, set) = world();
            let (asked, ran) = ended_at(&world, &set, if at % 2 == 0 { "KILL" } else { "TERM" }, at, done);
            let what = format!("at {at}, {asked}, done: {done}: {ran:#?}");
            let was_executed = executed(&world) == 1;
            world.run(&["changes", "watch", STACK]).ended(0);
            assert_eq!(image(&world) == "127.0.0.1:9/app:2", was_executed, "{what}");
            // Whoever tries again has it executed once in all.
            world.run(&["changes", "apply", STACK, &set, "--yes"]).ended(0);
            assert_eq!((executed(&world), image(&world).as_str()), (1, "127.0.0.1:9/app:2"), "{what}");
        }
    }
}

#[test]
fn who_is_interrupted_is_told_that_it_goes_on_and_how_to_come_back() {
    let (undisturbed, set) = world();
    undisturbed.run(&["changes", "apply", STACK, &set, "--yes"]).ended(0);
    let seen = undisturbed.account.lock().seen.clone();
    let at = seen.iter().position(|seen| seen.action == "ExecuteChangeSet").unwrap() + 2;
    let (world, set) = world();
    let (_, ran) = ended_at(&world, &set, "INT", at, true);
    ran.ended(130).says("goes on by itself").says(&format!("preview changes watch {STACK}"));
    assert_eq!(ran.value("outcome"), Some("cancelled"));
    // One who applies it meanwhile sees its end.
    world.run(&["changes", "apply", STACK, &set, "--yes"]).ended(0).says("applied already");
    assert_eq!(executed(&world), 1);
}
