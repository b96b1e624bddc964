//! The agent's memory does not grow with the source that it builds from.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use std::io::Write as _;
use std::process::Stdio;
use std::time::Duration;

use flate2::Compression;
use flate2::write::GzEncoder;
use support::github::{COMMIT, GitHub, Tarball};
use support::peers::peers;
use support::process::high_water_mark;
use support::world::World;

const SERVER: &str = include_str!("support/server.py");

/// Peak resident memory of the agent, in KiB, during a whole run that builds from a tarball of so many MiB.
fn peak_of_a_build(megabytes: usize) -> u64 {
    let world = World::new();
    let github = GitHub::serving(archive(megabytes));
    world.write_config(&format!(
        "image: {registry}/acme/absent:none\n\
         registries:\n  {registry}: {{ username: {user}, password: {{ ssm: /test/registry-password }} }}\n\
         source: {{ repository: acme/api, ref: {COMMIT}, api_url: \"{github}\" }}\n\
         database: off\nhealth: [tcp, {{ http: / }}]\n{app}",
        registry = peers().registry,
        user = peers().registry_user,
        github = github.api.url(),
        app = world.app(""),
    ));
    let mut agent = world
        .command(&["run", "--once", "--config", world.config_path().to_str().unwrap()])
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut peak = 0;
    // The high-water mark only ever rises, and what comes in the last moments is the exit.
    while agent.try_wait().unwrap().is_none() {
        peak = high_water_mark(agent.id()).unwrap_or(peak);
        std::thread::sleep(Duration::from_millis(5));
    }
    let status = world.status().unwrap();
    assert_eq!(
        (&status["run"]["outcome"], &status["image"]["source"]),
        (&"ready".into(), &"built".into()),
        "{status}"
    );
    peak
}

/// Half of it random, half of it compressible, all of it sent to the engine.
fn archive(megabytes: usize) -> Vec<u8> {
    let base = &peers().platform_base;
    let mut tarball = Tarball::new()
        .file("server.py", SERVER)
        .file("Dockerfile", format!("FROM {base}\nCOPY server.py /\nCMD [\"python3\", \"/server.py\"]\n"));
    let mut random = fastrand::Rng::with_seed(7);
    for part in 0..megabytes {
        let mut content = vec![0; 1 << 20];
        random.fill(&mut content[..1 << 19]);
        tarball = tarball.file(&format!("data/{part}.bin"), content);
    }
    let tar = tarball.tar();
    // Stored, not deflated: the download is as large as its content.
    let mut gzip = GzEncoder::new(Vec::with_capacity(tar.len()), Compression::none());
    gzip.write_all(&tar).unwrap();
    gzip.finish().unwrap()
}

#[test]
fn the_peak_of_a_large_build_stays_within_8_mib_of_a_small_one() {
    let (small, large) = (peak_of_a_build(1), peak_of_a_build(200));
    eprintln!("peak resident memory: {small} KiB for a tarball of 1 MiB, {large} KiB for one of 200 MiB");
    assert!(large <= small + 8 * 1024, "{large} KiB for 200 MiB, {small} KiB for 1 MiB");
}
