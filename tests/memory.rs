//! The agent's memory does not grow with the source that it builds from.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use std::io::Write as _;

use flate2::Compression;
use flate2::write::GzEncoder;
use support::configs::SERVER;
use support::github::{COMMIT, GitHub, Tarball};
use support::peers::peers;
use support::process::peak;
use support::world::World;

/// Peak resident memory of the agent, in KiB, during a whole run that builds from a tarball of so many MiB.
fn peak_of_a_build(megabytes: usize) -> u64 {
    let world = World::new();
    let github = GitHub::serving(archive(megabytes));
    let source = github.api.source(COMMIT);
    world.write_config(
        &world.config("none", &format!("{source}database: off\nhealth: [tcp, {{ http: / }}]\n")),
    );
    // By then all of the archive has been read and sent.
    let built = || world.status().is_some_and(|status| status["image"]["source"] == "built");
    let peak = peak(&mut world.run(&["--once"]), built);
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
