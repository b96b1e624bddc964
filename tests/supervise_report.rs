//! The status on its way out while the agent runs: the parameter, systemd,
//! and that neither can hold a deployment up.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stderr)]

mod support;

use std::os::unix::net::UnixDatagram;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use support::engine::runs;
use support::ssm::Failure;
use support::wait::eventually;
use support::world::World;

/// A service manager's end of the notification socket.
struct Manager {
    heard: Arc<Mutex<Vec<String>>>,
}

impl Manager {
    fn of(world: &mut World) -> Self {
        let path = world.path("notify");
        world.set_env("NOTIFY_SOCKET", path.to_str().unwrap());
        let socket = UnixDatagram::bind(path).unwrap();
        let heard = Arc::new(Mutex::new(Vec::new()));
        let all = Arc::clone(&heard);
        // Ends with the test process; nothing is sent once the agent is gone.
        thread::spawn(move || {
            let mut buffer = [0; 4096];
            while let Ok(size) = socket.recv(&mut buffer) {
                let message = String::from_utf8_lossy(&buffer[..size]).into_owned();
                all.lock().unwrap().extend(message.lines().map(str::to_owned));
            }
        });
        Self { heard }
    }

    fn heard(&self) -> Vec<String> {
        self.heard.lock().unwrap().clone()
    }

    fn wait_for(&self, line: &str) {
        eventually(line, || self.heard().iter().any(|heard| heard == line));
    }
}

#[test]
fn systemd_hears_ready_status_reloading_watchdog_and_stopping() {
    let mut world = World::new();
    let manager = Manager::of(&mut world);
    world.set_env("WATCHDOG_USEC", "400000");
    let mut agent = world.start(&world.config("good", ""));
    manager.wait_for("READY=1");
    assert!(
        !manager.heard().iter().any(|line| line.starts_with("STATUS=ready")),
        "up before the deployment is"
    );
    let status = agent.wait_for_end_of_run(1);
    manager.wait_for(&format!("STATUS={}", status["verdict"].as_str().unwrap()));
    let fed = |lines: &[String]| lines.iter().filter(|line| *line == "WATCHDOG=1").count();
    let before = fed(&manager.heard());
    assert!(before > 1, "fed during the run");
    eventually("fed afterwards", || fed(&manager.heard()) > before + 2);
    agent.reload("image: \"\"\n");
    manager.wait_for("RELOADING=1");
    eventually("ready after the reload", || {
        let heard = manager.heard();
        let reloading = heard.iter().position(|line| line == "RELOADING=1").unwrap();
        heard[reloading..].iter().any(|line| line == "READY=1")
    });
    assert_eq!(agent.stop(), Some(0));
    manager.wait_for("STOPPING=1");
}

#[test]
fn a_service_manager_that_is_gone_costs_nothing() {
    let mut world = World::new();
    let path = world.path("nobody-listens");
    world.set_env("NOTIFY_SOCKET", path.to_str().unwrap());
    world.set_env("WATCHDOG_USEC", "400000");
    world.run_once(&world.config("good", "")).is_ready();
}

#[test]
fn the_parameter_is_the_file_within_ten_seconds_of_each_end() {
    let world = World::new();
    let mut agent = world.start(&world.config("good", ""));
    for (sequence, tag, outcome) in [(1, "good", "ready"), (2, "no-such-tag", "failed"), (3, "v2", "ready")] {
        if sequence > 1 {
            agent.reload(&world.config(tag, ""));
        }
        let status = agent.wait_for_end_of_run(sequence);
        let ended = Instant::now();
        assert_eq!(status["run"]["outcome"], outcome, "{status}");
        let file = world.status_bytes();
        eventually("the parameter", || world.ssm.value("/test/status").unwrap().into_bytes() == file);
        assert!(ended.elapsed() < Duration::from_secs(10), "{:?}", ended.elapsed());
    }
}

#[test]
fn writes_that_fail_during_the_whole_run_cost_it_nothing_and_are_made_up_for() {
    let world = World::new();
    world.ssm.fail_writes(Failure::Hang);
    let _agent = world.serve(&world.config("good", ""));
    assert!(world.ssm.value("/test/status").is_none());
    assert!(world.ssm.calls().iter().any(|call| call.action == "PutParameter"), "it was tried");
    world.ssm.recover();
    world.is_reported(&world.ssm);
    assert_eq!(world.status().unwrap()["run"]["outcome"], "ready");
}

#[test]
fn a_stop_waits_no_longer_than_ten_seconds_for_a_parameter_that_hangs() {
    let world = World::new();
    let agent = world.serve(&world.config("good", ""));
    world.ssm.fail_writes(Failure::Hang);
    let stopped = Instant::now();
    assert_eq!(agent.stop(), Some(0));
    assert!(stopped.elapsed() < Duration::from_secs(15), "{:?}", stopped.elapsed());
    assert_eq!(world.status().unwrap()["service"]["state"], "unwatched");
}

#[test]
fn a_parameter_that_may_not_be_written_is_noted_and_the_run_is_ready() {
    let world = World::new();
    world.ssm.deny("/test/status");
    let ran = world.run_once(&world.config("good", "")).ready();
    assert!(ran.stderr.contains("the status parameter is refused"), "{}", ran.stderr);
}

/// Under a second on an idle machine; how long it took is printed, since a busy one proves little.
#[test]
fn a_second_run_on_a_converged_machine_is_quick() {
    let world = World::new();
    let config = world.config("good", "");
    world.run_once(&config).is_ready();
    let recording = world.record();
    let begun = Instant::now();
    let ran = world.run_once(&config).ready();
    let took = begun.elapsed();
    assert!(took < Duration::from_secs(30), "{took:?}");
    assert_eq!((recording.of("app"), recording.of("migrate")), (vec![], vec![]));
    let phases = &ran.status["phases"];
    eprintln!("a second run took {took:?}: {phases}");
    assert!(runs(&world.app_container()));
}
