//! The build of the image from its source, on the real engine wherever that can fail so.

use crate::case::{Case, fails};
use crate::scene::Scene;
use crate::support::agent::Ran;
use crate::support::docker::{Answer, FakeDocker, cut_off, refusal};
use crate::support::github::{COMMIT, GitHub, Tarball};
use crate::support::peers::peers;

const SEAM: &str = "build";
const FAILED: (&str, &str) = ("build", "build_failed");

pub fn rows() -> Vec<Case> {
    let mut rows = dockerfiles();
    rows.extend(bases());
    rows.extend(engines());
    rows
}

/// What the Dockerfile says, or does.
fn dockerfiles() -> Vec<Case> {
    vec![
        fails(
            SEAM,
            "a line that is no instruction",
            FAILED,
            "failed in image: build_failed (build): the Dockerfile is wrong: dockerfile parse error line 3: unknown instruction: COPPY (built because…; nothing serves. Read the tail or `agent logs build`; the same Dockerfile fails on any machine.",
            |scene| after_base(scene, "COPPY server.py /"),
        ),
        fails(
            SEAM,
            "a Dockerfile without FROM",
            FAILED,
            "failed in image: build_failed (build): the Dockerfile is wrong: no build stage in current context (built because…; nothing serves. Read the tail or `agent logs build`; the same Dockerfile fails on any machine.",
            |scene| build(scene, "RUN true\n", ""),
        ),
        fails(
            SEAM,
            "an empty Dockerfile",
            FAILED,
            "failed in image: build_failed (build): the Dockerfile is wrong: the Dockerfile cannot be empty (built because…; nothing serves. Read the tail or `agent logs build`; the same Dockerfile fails on any machine.",
            |scene| build(scene, "", ""),
        ),
        fails(
            SEAM,
            "a step exits with 3",
            FAILED,
            "failed in image: build_failed (build): [2/2] RUN echo no matching distribution … failed with exit code 3: no matching distribution for left-pad (built bec…; nothing serves. Read the tail or `agent logs build`; the same Dockerfile fails on any machine.",
            |scene| after_base(scene, "RUN echo no matching distribution for left-pad >&2; exit 3"),
        ),
        fails(
            SEAM,
            "a step asks for a command that is not there",
            FAILED,
            "failed in image: build_failed (build): [2/2] RUN pipp install fastapi failed with exit code 127: /bin/sh: 1: pipp: not found (built because…; nothing serves. Read the tail or `agent logs build`; the same Dockerfile fails on any machine.",
            |scene| after_base(scene, "RUN pipp install fastapi"),
        ),
        fails(
            SEAM,
            "a step is killed",
            ("build", "build_killed"),
            "failed in image: build_killed (build): [2/2] RUN sh -c 'kill -9 $$' failed with exit code 137: Killed (built because…; nothing serves. Most often the instance has too little memory: use a larger one, or push a built image; `journalctl -k` tells.",
            |scene| after_base(scene, "RUN sh -c 'kill -9 $$'"),
        ),
        fails(
            SEAM,
            "a file to copy is not in the source",
            FAILED,
            "failed in image: build_failed (build): [2/2] COPY requirements.txt / failed: \"/requirements.txt\" not found: not found (built because…; nothing serves. Read the tail or `agent logs build`; the same Dockerfile fails on any machine.",
            |scene| after_base(scene, "COPY requirements.txt /"),
        ),
        fails(
            SEAM,
            "a step takes longer than the build may",
            ("build", "build_timeout"),
            "failed in image: build_timeout (build): not built within 4 s (built because…; nothing serves. Speed the build up, raise `deadlines.build`, or push a built image.",
            |scene| build(scene, "ARG BASE\nFROM ${BASE}\nRUN sleep 60\n", "deadlines: { build: 4s }\n"),
        ),
    ]
}

/// What it begins with.
fn bases() -> Vec<Case> {
    vec![
        fails(
            SEAM,
            "its base is not in the registry",
            ("registry", "image_not_found"),
            "failed in image: image_not_found (registry): the base image …/base/none:1 could not be pulled: …/base/none:1: not found (built because…; nothing serves. Push the image, correct the tag, or set `source` to build from the commit.",
            |scene| build(scene, &format!("FROM {}/base/none:1\n", peers().registry), ""),
        ),
        fails(
            SEAM,
            "the registry of its base does not answer",
            ("network", "registry_unreachable"),
            "failed in image: registry_unreachable (network): the base image …/base/python:3 could not be pulled: failed to do request: Head \"http://127.0.0.1:9/v2/base…; nothing serves. Check the route, DNS and security group egress from this instance to the registry.",
            |scene| build(scene, "FROM 127.0.0.1:9/base/python:3\n", ""),
        ),
    ]
}

/// What the engine does meanwhile.
fn engines() -> Vec<Case> {
    vec![
        fails(
            SEAM,
            "the engine answers 500",
            FAILED,
            "failed in image: build_failed (build): Docker could not build the image: failed to mount overlay: invalid argument (built because…; nothing serves. Read the tail or `agent logs build`; the same Dockerfile fails on any machine.",
            |scene| pretended(scene, || refusal(500, "failed to mount overlay: invalid argument")),
        ),
        fails(
            SEAM,
            "the engine has no BuildKit",
            ("docker", "docker_too_old"),
            "failed in image: docker_too_old (docker): the Docker Engine cannot build with BuildKit: BuildKit is not supported by daemon (built because…; nothing serves. Install Docker Engine 20.10 or newer.",
            |scene| pretended(scene, || refusal(400, "BuildKit is not supported by daemon")),
        ),
        fails(
            SEAM,
            "the engine breaks off",
            ("docker", "docker_unavailable"),
            "failed in image: docker_unavailable (docker): the Docker Engine broke off the build: …; nothing serves. Start Docker (`systemctl start docker`) and look at `journalctl -u docker`.",
            |scene| pretended(scene, || cut_off("{\"stream\":\"Step 1\"}\n{\"stre")),
        ),
    ]
}

fn after_base(scene: &mut Scene, step: &str) -> Ran {
    build(scene, &format!("ARG BASE\nFROM ${{BASE}}\n{step}\n"), "deadlines: { build: 2m }\n")
}

/// A run whose image the registry lacks, with this Dockerfile.
fn build(scene: &mut Scene, dockerfile: &str, more: &str) -> Ran {
    let archive = Tarball::new().file("server.py", "").file("Dockerfile", dockerfile).gz();
    let github = GitHub::serving(archive);
    scene.run_once(&config(scene, &github, more))
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

fn config(scene: &Scene, github: &GitHub, more: &str) -> String {
    let (base, api) = (&peers().platform_base, github.api.url());
    let config = scene.config("none-of-these", &format!("database: off\n{}", scene.app("")));
    format!(
        "{config}{more}source:\n  repository: acme/api\n  ref: {COMMIT}\n  api_url: {api}\n  \
         build_args: {{ BASE: \"{base}\" }}\n"
    )
}
