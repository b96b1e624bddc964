//! The image is not to be had: it is built from the source of its commit, in a whole run.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use std::sync::{Arc, Mutex};

use axum::Router;
use axum::http::{HeaderMap, StatusCode, Uri};
use support::agent::{Ran, has};
use support::configs::SERVER;
use support::engine::docker;
use support::github::{Answer, COMMIT, GitHub, Tarball};
use support::peers::{Peers, peers};
use support::server::Server;
use support::world::World;

/// What the builds end with; the cache mount needs BuildKit.
const DOCKERFILE: &str = "\
ARG BASE
FROM ${BASE}
ARG GREETING=none
COPY server.py /server.py
RUN --mount=type=cache,target=/cache echo \"$GREETING\" | tee /cache/last > /greeting
CMD [\"python3\", \"/server.py\"]
";

/// The service in a folder of its own, beside what is not part of its context.
fn service(tarball: Tarball, dockerfile: &str) -> Tarball {
    tarball
        .file("README.md", "not in the context")
        .folder("service/")
        .file("service/server.py", SERVER)
        .file("service/Dockerfile", dockerfile)
}

fn archive() -> Vec<u8> {
    service(Tarball::new(), DOCKERFILE).gz()
}

/// A run with this image, built from the archives of this GitHub at this revision if it must be.
fn config(world: &World, image: &str, github: &GitHub, reference: &str) -> String {
    let Peers { registry, registry_user, platform_base, .. } = peers();
    format!(
        "image: {image}\n\
         registries:\n  {registry}: {{ username: {registry_user}, password: {{ ssm: /test/registry-password }} }}\n\
         report: {{ parameter: /test/status }}\n\
         source:\n  repository: acme/api\n  ref: {reference}\n  api_url: {}\n  context: service\n  \
         build_args: {{ BASE: \"{platform_base}\", GREETING: hello }}\n\
         database: off\nhealth: [tcp, {{ http: / }}]\n{}",
        github.api.url(),
        world.app("")
    )
}

fn absent() -> String {
    format!("{}/acme/absent:none", peers().registry)
}

fn run(world: &World, github: &GitHub) -> Ran {
    world.run_once(&config(world, &absent(), github, COMMIT))
}

#[test]
fn an_image_that_the_registry_lacks_is_built_from_the_commit() {
    let world = World::new();
    let github = GitHub::serving(archive());
    let ran = run(&world, &github).ready();
    let image = &ran.status["image"];
    assert_eq!((&image["source"], &image["commit"]), (&"built".into(), &COMMIT.into()));
    has(&image["why_built"], "image_not_found");
    assert_eq!((&ran.status["serving"]["commit"], image.get("digest")), (&COMMIT.into(), None));
    assert_eq!(docker(&["exec", &world.containers("app")[0], "cat", "/greeting"]), "hello");
}

#[test]
fn a_second_run_of_the_same_commit_neither_downloads_nor_builds() {
    let world = World::new();
    let github = GitHub::serving(archive());
    run(&world, &github).is_ready();
    let (app, asked) = (world.containers("app"), github.api.requests().len());
    let ran = run(&world, &github).ready();
    assert_eq!((github.api.requests().len(), world.containers("app")), (asked, app));
    assert_eq!((&ran.status["image"]["source"], ran.phase("start")), (&"built".into(), "kept"));
    assert_eq!(ran.status["image"]["commit"], COMMIT);
}

#[test]
fn a_branch_is_asked_for_again_and_built_anew_only_where_it_moved() {
    let world = World::new();
    let moved = "1111111111111111111111111111111111111111";
    let next = service(Tarball::of_commit(moved), DOCKERFILE).gz();
    let github = GitHub::new(vec![Answer::Body(archive()), Answer::Body(archive()), Answer::Body(next)]);
    let config = config(&world, &absent(), &github, "main");
    world.run_once(&config).is_ready();
    let app = world.containers("app");
    world.run_once(&config).is_ready();
    assert_eq!(world.containers("app"), app);
    let ran = world.run_once(&config).ready();
    assert_eq!(ran.status["image"]["commit"], moved);
    assert_ne!(world.containers("app"), app);
}

#[test]
fn a_branch_that_moved_to_a_commit_that_cannot_be_built_fails_and_the_one_before_serves() {
    let base = format!("FROM {}/acme/no-such-base:1\n", peers().registry);
    for (broken, code) in [(format!("{DOCKERFILE}RUN false\n"), "build_failed"), (base, "image_not_found")] {
        fails_and_the_one_before_serves(&broken, code);
    }
}

fn fails_and_the_one_before_serves(broken: &str, code: &str) {
    let world = World::new();
    let next = service(Tarball::of_commit("1111111111111111111111111111111111111111"), broken).gz();
    let github = GitHub::new(vec![Answer::Body(archive()), Answer::Body(next)]);
    let config = config(&world, &absent(), &github, "main");
    world.run_once(&config).is_ready();
    let app = world.containers("app");
    let ran = world.run_once(&config);
    ran.failed_with(code);
    assert_eq!((world.get("/").0, world.containers("app")), (200, app));
    assert_eq!(
        (&ran.status["service"]["state"], &ran.status["serving"]["commit"]),
        (&"up".into(), &COMMIT.into())
    );
}

#[test]
fn an_archive_that_does_not_tell_its_commit_is_built_all_the_same() {
    let world = World::new();
    let github = GitHub::serving(service(Tarball::bare().folder(""), DOCKERFILE).gz());
    let ran = world.run_once(&config(&world, &absent(), &github, "main")).ready();
    assert_eq!((&ran.status["image"]["source"], ran.status["image"].get("commit")), (&"built".into(), None));
}

#[test]
fn denied_credentials_are_tried_once_anonymously_before_the_build() {
    let world = World::new();
    let seen = Arc::new(Mutex::new(Vec::new()));
    let answer = {
        let seen = Arc::clone(&seen);
        move |uri: Uri, headers: HeaderMap| {
            seen.lock().unwrap().push((uri.path().to_owned(), headers.contains_key("authorization")));
            let basic = [
                ("www-authenticate", "Basic realm=\"all\""),
                ("docker-distribution-api-version", "registry/2.0"),
            ];
            std::future::ready((StatusCode::UNAUTHORIZED, basic, "{}"))
        }
    };
    let registry = Server::start(Router::new().fallback(answer));
    let host = registry.url().replace("http://", "");
    let github = GitHub::serving(archive());
    let config = config(&world, &format!("{host}/acme/api:1"), &github, COMMIT).replace(
        "registries:\n",
        &format!("registries:\n  \"{host}\": {{ username: octocat, password: wrong-password }}\n"),
    );
    let ran = world.run_once(&config).ready();
    assert_eq!(ran.status["image"]["source"], "built");
    has(&ran.status["image"]["why_built"], "registry_denied");
    let seen = seen.lock().unwrap();
    let greetings = seen.iter().filter(|(path, _)| path == "/v2/").count();
    assert!(seen.iter().any(|(path, known)| *known && path.contains("/manifests/")), "{seen:?}");
    assert_eq!(greetings, 2, "one pull with the credentials and one without: {seen:?}");
}

#[test]
fn without_a_source_the_registrys_refusal_is_the_end() {
    let world = World::new();
    let wrong =
        world.config("good", "database: off\n").replace("{ ssm: /test/registry-password }", "wrong-password");
    let ran = world.run_once(&wrong);
    has(&ran.failed_with("registry_denied")["hint"], "`source`");
    let ran = world.run_once(&world.config("none", "database: off\n"));
    let fault = ran.failed_with("image_not_found");
    assert_eq!((&fault["phase"], &fault["class"]), (&"image".into(), &"registry".into()));
    has(&fault["message"], "acme/tasks-api:none");
    assert!(world.in_docker().is_empty());
}

#[test]
fn a_step_that_fails_is_told_with_its_output() {
    let world = World::new();
    let failing = DOCKERFILE.replace("CMD", "RUN echo the wheel does not build >&2 && exit 5\nCMD");
    let ran = run(&world, &GitHub::serving(service(Tarball::new(), &failing).gz()));
    let fault = ran.failed_with("build_failed");
    has(&fault["message"], "RUN echo the wheel do");
    has(&fault["message"], "exit code 5");
    has(&fault["tail"], "the wheel does not build");
    assert_eq!(fault["phase"], "image");
    let logs = String::from_utf8(world.command(&["logs", "build"]).output().unwrap().stdout).unwrap();
    assert!(logs.lines().any(|line| line.ends_with("the wheel does not build")), "{logs}");
    assert!(world.containers("app").is_empty());
}

#[test]
fn a_base_image_that_is_not_there_is_told_as_that() {
    let world = World::new();
    let missing = format!("{}/base/python:none", peers().registry);
    let dockerfile = DOCKERFILE.replace("${BASE}", &missing);
    let ran = run(&world, &GitHub::serving(service(Tarball::new(), &dockerfile).gz()));
    has(&ran.failed_with("image_not_found")["message"], &format!("the base image {missing}"));
}

#[test]
fn a_source_that_is_not_there_is_told_with_the_reason_for_the_build() {
    let world = World::new();
    let mut github = GitHub::serving(archive());
    github.api = support::github::Host::new(vec![Answer::Status(
        404,
        Vec::new(),
        r#"{"message":"Not Found"}"#.into(),
    )]);
    let ran = run(&world, &github);
    has(&ran.failed_with("source_not_found")["message"], "built because of image_not_found");
}
