//! The program's edges: numbers that no pull request has, and output that cannot be written.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::exit)]

mod support;

use std::fs::File;
use std::process::Stdio;

use support::ssm::Parameter;
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

/// The code and standard error of the program whose standard output goes there.
fn into(world: &World, arguments: &[&str], out: impl Into<Stdio>) -> (Option<i32>, String) {
    let output = world.program(arguments).stdout(out).output().unwrap();
    (output.status.code(), String::from_utf8(output.stderr).unwrap())
}

#[test]
fn a_full_disk_behind_the_output_is_a_failure() {
    let world = World::new();
    let full = || File::options().write(true).open("/dev/full").unwrap();
    for arguments in [&["list"][..], &["list", "--json"], &["iam-policy"], &["check", "7"]] {
        let (code, err) = into(&world, arguments, full());
        assert_eq!(code, Some(1), "{arguments:?}: {err}");
        assert!(err.contains("No space left on device"), "{arguments:?}: {err}");
    }
    // A failure of its own says more.
    assert_eq!(into(&world, &["status", "9"], full()).0, Some(4));
}

#[test]
fn a_reader_that_has_seen_enough_stops_no_command_and_is_no_failure() {
    let world = World::new();
    let tags = [("Repository", "acme/api"), ("PullRequest", "7")];
    let tags = tags.map(|(key, value)| (key.to_owned(), value.to_owned())).into();
    let parameter = Parameter { value: "x".to_owned(), secure: false, tags };
    world.account.lock().parameters.insert("/pr-preview/7/status".to_owned(), parameter);
    for arguments in [&["list"][..], &["list", "--json"], &["iam-policy"], &["down", "7", "--force"]] {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        assert_eq!(into(&world, arguments, writer), (Some(0), String::new()), "{arguments:?}");
    }
    assert_eq!(world.account.parameters(), Vec::<String>::new());
}
