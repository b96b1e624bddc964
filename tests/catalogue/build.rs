//! The build of the image from its source, on the real engine wherever that can fail so.

use crate::case::{Case, WHY_BUILT, fails, within};
use crate::scene::{Scene, source};
use crate::support::agent::Ran;
use crate::support::docker::{Answer, FakeDocker, cut_off, refusal};
use crate::support::github::{GitHub, Tarball};
use crate::support::peers::peers;

const SEAM: &str = "build";
const FAILED: (&str, &str) = ("build", "build_failed");

pub fn rows() -> Vec<Case> {
    let rows = within("image", [dockerfiles(), bases(), engines()]);
    rows.into_iter().map(|row| row.has(WHY_BUILT, "image_not_found")).collect()
}

/// What the Dockerfile says, or does.
fn dockerfiles() -> Vec<Case> {
    vec![
        fails(SEAM, "a line that is no instruction", FAILED, |scene| after_base(scene, "COPPY server.py /"))
            .says("COPPY"),
        fails(SEAM, "a Dockerfile without FROM", FAILED, |scene| build(scene, "RUN true\n", ""))
            .says("no build stage"),
        fails(SEAM, "an empty Dockerfile", FAILED, |scene| build(scene, "", "")).says("empty"),
        fails(SEAM, "a step exits with 3", FAILED, |scene| {
            after_base(scene, "RUN echo no matching distribution for left-pad >&2; exit 3")
        })
        .says("exit code 3: no matching distribution for left-pad"),
        fails(SEAM, "a step asks for a command that is not there", FAILED, |scene| {
            after_base(scene, "RUN pipp install fastapi")
        })
        .says("127: /bin/sh: 1: pipp"),
        fails(SEAM, "a step is killed", ("build", "build_killed"), |scene| {
            after_base(scene, "RUN sh -c 'kill -9 $$'")
        })
        .says("exit code 137"),
        fails(SEAM, "a file to copy is not in the source", FAILED, |scene| {
            after_base(scene, "COPY requirements.txt /")
        })
        .prose(),
        fails(SEAM, "a step takes longer than the build may", ("build", "build_timeout"), |scene| {
            build(scene, "ARG BASE\nFROM ${BASE}\nRUN sleep 60\n", "deadlines: { build: 4s }\n")
        })
        .says("4 s"),
    ]
}

/// What it begins with.
fn bases() -> Vec<Case> {
    vec![
        fails(SEAM, "its base is not in the registry", ("registry", "image_not_found"), |scene| {
            build(scene, &format!("FROM {}/base/none:1\n", peers().registry), "")
        })
        .says("base image…/base/none:1"),
        fails(
            SEAM,
            "the registry of its base does not answer",
            ("network", "registry_unreachable"),
            |scene| build(scene, "FROM 127.0.0.1:9/base/python:3\n", ""),
        )
        .says("base image…127.0.0.1:9"),
    ]
}

/// What the engine does meanwhile.
fn engines() -> Vec<Case> {
    vec![
        fails(SEAM, "the engine answers 500", FAILED, |scene| {
            pretended(scene, || refusal(500, "failed to mount overlay: invalid argument"))
        })
        .says("failed to mount overlay"),
        fails(SEAM, "the engine has no BuildKit", ("docker", "docker_too_old"), |scene| {
            pretended(scene, || refusal(400, "BuildKit is not supported by daemon"))
        })
        .says("BuildKit"),
        fails(SEAM, "the engine breaks off", ("docker", "docker_unavailable"), |scene| {
            pretended(scene, || cut_off("{\"stream\":\"Step 1\"}\n{\"stre"))
        }),
    ]
}

fn after_base(scene: &mut Scene, step: &str) -> Ran {
    build(scene, &format!("ARG BASE\nFROM ${{BASE}}\n{step}\n"), "deadlines: { build: 2m }\n")
}

/// A run whose image the registry lacks, with this Dockerfile.
fn build(scene: &mut Scene, dockerfile: &str, more: &str) -> Ran {
    let archive = Tarball::new().file("server.py", "").file("Dockerfile", dockerfile).gz();
    let github = GitHub::serving(archive);
    let config = scene.config("none-of-these", &format!("database: off\n{}", scene.app("")));
    scene.run_once(&(config + more + &source(&github.api.url())))
}

/// The same, with an engine that answers every build so.
fn pretended(scene: &mut Scene, answer: fn() -> Answer) -> Ran {
    let engine = FakeDocker::start(move |_, path| match path {
        path if path.starts_with("/build") => Some(answer()),
        path if path.starts_with("/images/create") => Some(refusal(404, "manifest unknown")),
        _ => None,
    });
    scene.set_env("DOCKER_HOST", &engine.host());
    build(scene, "FROM scratch\n", "")
}
