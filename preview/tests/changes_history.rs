//! The way back: which images a stack ran, and what a tag stands for.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::exit)]

mod support;

use std::sync::{Arc, Mutex};

use axum::Router;
use axum::http::{HeaderMap, StatusCode, Uri};
use axum::response::{IntoResponse as _, Response};
use serde_json::Value;
use support::calls::Trouble;
use support::server::Server;
use support::templates::service;
use support::world::{Ran, World, act_as_preview};

#[test]
fn preview() {
    act_as_preview();
}

const STACK: &str = "xray-poc-compute";

/// A registry that knows one tag, and wants a token that it gives to anybody.
struct Registry {
    server: Server,
    latest: Arc<Mutex<Option<char>>>,
}

impl Registry {
    fn start() -> Self {
        let latest = Arc::new(Mutex::new(Some('a')));
        let known = Arc::clone(&latest);
        let answer = move |uri: Uri, headers: HeaderMap| async move { answered(&known, &uri, &headers) };
        Self { server: Server::start(Router::new().fallback(answer)), latest }
    }

    fn host(&self) -> String {
        self.server.url().replace("http://", "")
    }

    fn app(&self, rest: &str) -> String {
        format!("{}/app{rest}", self.host())
    }

    /// `latest` stands for another image from now on, or for none.
    fn pushes(&self, digit: Option<char>) {
        *self.latest.lock().unwrap() = digit;
    }
}

fn digest(digit: char) -> String {
    format!("sha256:{}", digit.to_string().repeat(64))
}

fn answered(latest: &Mutex<Option<char>>, uri: &Uri, headers: &HeaderMap) -> Response {
    let host = headers["host"].to_str().unwrap();
    match uri.path() {
        "/token" if uri.query() == Some("service=here&scope=repository%3Aapp%3Apull") => {
            "{\"token\":\"given-to-anybody\"}".into_response()
        }
        "/v2/app/manifests/latest" if headers.get("authorization").is_none() => {
            let realm = format!(
                "Bearer realm=\"http://{host}/token\",service=\"here\",scope=\"repository:app:pull\""
            );
            (StatusCode::UNAUTHORIZED, [("www-authenticate", realm)]).into_response()
        }
        "/v2/app/manifests/latest" if headers["authorization"] == "Bearer given-to-anybody" => {
            match *latest.lock().unwrap() {
                Some(digit) => ([("docker-content-digest", digest(digit))], "").into_response(),
                None => StatusCode::NOT_FOUND.into_response(),
            }
        }
        _ => StatusCode::FORBIDDEN.into_response(),
    }
}

/// A stack that runs this image.
fn world(image: &str) -> World {
    let world = World::without_file();
    let has = [("ContainerImage", image), ("Environment", "prod"), ("DatabaseStackName", "db")];
    world.account.lock().stacks.add(STACK, &service(), &has);
    world
}

fn changes(world: &World, arguments: &[&str]) -> Ran {
    world.run(&[&["changes"], arguments].concat())
}

fn image(world: &World) -> String {
    world.account.lock().stacks.stack(STACK).unwrap().parameters["ContainerImage"].clone()
}

/// Applies a change to this image.
fn runs(world: &World, image: &str) {
    let ran = changes(world, &["create", STACK, "--set", &format!("ContainerImage={image}")]);
    let set = ran.ended(0).value("change_set").unwrap().to_owned();
    changes(world, &["apply", STACK, &set, "--yes"]).ended(0);
}

fn back(world: &World, arguments: &[&str]) -> Ran {
    let ran = changes(world, &[&["rollback", STACK], arguments].concat());
    if let Some(set) = ran.value("change_set").filter(|set| !set.is_empty()) {
        changes(world, &["apply", STACK, set, "--yes"]).ended(0);
    }
    ran
}

#[test]
fn latest_is_a_change_whenever_it_stands_for_another_image() {
    let registry = Registry::start();
    let world = world(&registry.app(":latest"));
    let latest = format!("ContainerImage={}", registry.app(":latest"));
    runs(&world, &registry.app(":latest"));
    assert_eq!(image(&world), registry.app(&format!("@{}", digest('a'))));
    // Nothing was pushed.
    let ran = changes(&world, &["create", STACK, "--set", &latest]);
    assert_eq!(ran.ended(0).value("outcome"), Some("empty"));
    registry.pushes(Some('b'));
    runs(&world, &registry.app(":latest"));
    assert_eq!(image(&world), registry.app(&format!("@{}", digest('b'))));
}

#[test]
fn an_image_that_is_not_there_is_told_before_anything_is_made() {
    let registry = Registry::start();
    registry.pushes(None);
    let world = world("app:1");
    let latest = format!("ContainerImage={}", registry.app(":latest"));
    changes(&world, &["create", STACK, "--set", &latest])
        .ended(1)
        .says("is not in its registry")
        .says("Push it");
    assert_eq!(world.account.count("CreateChangeSet"), 0);
}

#[test]
fn a_tag_that_nobody_can_resolve_is_refused_where_it_is_the_one_that_runs() {
    let registry = Registry::start();
    let (old, other) = (format!("{}/other:latest", registry.host()), format!("{}/other:2", registry.host()));
    let world = world(&old);
    let set = |image: &str| format!("ContainerImage={image}");
    changes(&world, &["create", STACK, "--set", &set(&old)]).ended(1).says("sha256");
    assert_eq!(world.account.count("CreateChangeSet"), 0);
    changes(&world, &["create", STACK, "--set", &set(&other)]).ended(0).says("not pinned");
    let ran = changes(&world, &["create", STACK, "--set", &set(&old), "--keep-tag"]);
    assert_eq!(ran.ended(0).value("outcome"), Some("empty"));
}

#[test]
fn one_step_back_is_the_image_before_with_the_template_and_all_else_of_today() {
    let world = world("127.0.0.1:9/app:1");
    runs(&world, "127.0.0.1:9/app:2");
    runs(&world, "127.0.0.1:9/app:3");
    let ran = changes(&world, &["rollback", STACK, "--steps", "1"]);
    ran.ended(0).says("back to 127.0.0.1:9/app:2");
    // Shown, and not applied.
    assert_eq!(image(&world), "127.0.0.1:9/app:3");
    let last = world.account.calls("CreateChangeSet").pop().unwrap();
    assert_eq!((last["UsePreviousTemplate"].as_str(), last.get("TemplateBody")), ("true", None));
    back(&world, &["--steps", "2"]).ended(0).says("back to 127.0.0.1:9/app:1");
    assert_eq!(image(&world), "127.0.0.1:9/app:1");
    assert_eq!(world.account.lock().stacks.stack(STACK).unwrap().parameters["Environment"], "prod");
    back(&world, &["--to", "127.0.0.1:9/app:7"]).ended(0);
    assert_eq!(image(&world), "127.0.0.1:9/app:7");
}

#[test]
fn what_failed_is_nothing_to_go_back_to() {
    let world = world("127.0.0.1:9/app:1");
    runs(&world, "127.0.0.1:9/app:2");
    let ran = changes(&world, &["create", STACK, "--set", "ContainerImage=fails: no"]);
    changes(&world, &["apply", STACK, ran.value("change_set").unwrap(), "--yes"]).ended(1);
    changes(&world, &["history", STACK]).ended(0).says_not("fails");
    back(&world, &["--steps", "1"]).ended(0).says("back to 127.0.0.1:9/app:1");
    changes(&world, &["rollback", STACK, "--steps", "9"]).ended(1).says("--to IMAGE");
}

#[test]
fn history_knows_what_was_recorded_and_what_aws_remembers() {
    let world = world("127.0.0.1:9/app:1");
    runs(&world, "127.0.0.1:9/app:2");
    runs(&world, "127.0.0.1:9/app:3");
    let images = || {
        let ran = changes(&world, &["history", STACK, "--json"]);
        let all: Value = serde_json::from_str(&ran.ended(0).out).unwrap();
        let images = all["images"].as_array().unwrap().iter();
        images
            .map(|it| it["image"].as_str().unwrap().rsplit(':').next().unwrap().to_owned())
            .collect::<Vec<_>>()
    };
    assert_eq!(images(), ["1", "2", "3"]);
    // The record is gone: AWS remembers what it did.
    world.account.lock().parameters.clear();
    assert_eq!(images(), ["2", "3"]);
}

#[test]
fn a_record_that_cannot_be_written_fails_no_update() {
    let world = world("127.0.0.1:9/app:1");
    let denied = "User: x is not authorized to perform: ssm:PutParameter on resource: y";
    world.account.trouble("PutParameter", 9, Trouble::Error(400, "AccessDeniedException", denied));
    runs(&world, "127.0.0.1:9/app:2");
    assert_eq!(image(&world), "127.0.0.1:9/app:2");
}

#[test]
fn the_way_back_leads_to_an_image_and_not_to_a_task_definition() {
    let world = World::new();
    let task = "arn:aws:ecs:eu-central-1:123456789012:task-definition/app:7";
    for to in [task, "", "two words"] {
        world.run(&["changes", "rollback", "app", "--to", to]).ended(2);
    }
    assert_eq!(world.account.lock().seen.len(), 0);
}
