//! The engine in trouble as tests plan it: requests that fail, with and without
//! effect, and answers that are held. What tests of outages stand on.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use std::sync::mpsc::{RecvTimeoutError, channel};
use std::thread;
use std::time::Duration;

use serde_json::json;
use support::docker::{FakeDocker, document, lines};
use support::engine::{docker, docker_try, remove_all, tiny_image};
use support::proxy::Proxy;
use support::trouble::{Moment, Trouble, WORDS};
use support::wait::PATIENCE;

/// The real engine through the proxy, with an image and a label of its own.
struct Troubled {
    proxy: Proxy,
    host: String,
    image: String,
    filter: String,
}

impl Troubled {
    fn new() -> Self {
        let label = format!("preview-agent.test-proxy={:08x}", fastrand::u32(..));
        let (proxy, image) = (Proxy::start(), tiny_image(&[&label]));
        Self { host: proxy.docker(), proxy, image, filter: format!("label={label}") }
    }

    /// The id of a new container, which has the image's label and such a name as an application's.
    fn create(&self) -> Result<String, String> {
        let name = format!("preview-agent-{:08x}-app-1-000001", fastrand::u32(..));
        self.docker(&["create", "--name", &name, &self.image, "true"])
    }

    fn docker(&self, args: &[&str]) -> Result<String, String> {
        docker_try(&[&["--host", &self.host], args].concat())
    }

    /// The next request of this kind meets a trouble that fails it; how many containers there are then.
    fn fails(&self, kind: &str, trouble: Trouble, ask: impl FnOnce() -> Result<String, String>) -> usize {
        self.proxy.plan(kind, 1, trouble);
        assert!(ask().unwrap_err().contains(WORDS));
        self.containers()
    }

    /// How many containers there are while the next request of this kind is held at this moment.
    fn held(&self, kind: &str, at: Moment, ask: impl FnOnce() -> Result<String, String> + Send) -> usize {
        self.proxy.plan(kind, 1, Trouble::Held(at));
        let (answered, answer) = channel();
        thread::scope(|scope| {
            scope.spawn(move || answered.send(ask()).unwrap());
            assert!(self.proxy.halted(PATIENCE), "nothing was held");
            let meanwhile = self.containers();
            let early = answer.recv_timeout(Duration::from_millis(300));
            assert_eq!(early, Err(RecvTimeoutError::Timeout), "answered while it was held");
            self.proxy.go_on();
            answer.recv_timeout(PATIENCE).unwrap().unwrap();
            meanwhile
        })
    }

    /// By the engine itself.
    fn containers(&self) -> usize {
        docker(&["ps", "-aq", "--filter", &self.filter]).lines().count()
    }
}

impl Drop for Troubled {
    fn drop(&mut self) {
        remove_all(&self.filter, &[("ps -aq", "rm -f"), ("images -q", "rmi -f")]);
    }
}

#[test]
fn a_delete_that_is_refused_leaves_the_container_there() {
    let engine = Troubled::new();
    let container = engine.create().unwrap();
    let delete = || engine.docker(&["rm", &container]);
    assert_eq!(engine.fails("docker.delete.app.1", Trouble::Refused(500), delete), 1);
    // It was planned once.
    delete().unwrap();
    assert_eq!(engine.containers(), 0);
}

#[test]
fn a_delete_that_is_carried_out_and_disowned_leaves_no_container() {
    let engine = Troubled::new();
    let container = engine.create().unwrap();
    let delete = || engine.docker(&["rm", &container]);
    assert_eq!(engine.fails("docker.delete.app", Trouble::Disowned(500), delete), 0);
}

#[test]
fn a_create_that_is_refused_makes_no_container_and_one_that_is_disowned_makes_one() {
    let engine = Troubled::new();
    let create = || engine.create();
    assert_eq!(engine.fails("docker.create", Trouble::Refused(500), create), 0);
    assert_eq!(engine.fails("docker.create.app.2", Trouble::Disowned(500), create), 1);
    engine.proxy.plan("docker.create", 1, Trouble::Refused(500));
    engine.proxy.recover();
    create().unwrap();
}

#[test]
fn a_create_that_is_held_is_answered_only_after_the_release() {
    let engine = Troubled::new();
    assert_eq!(engine.held("docker.create.app", Moment::Before, || engine.create()), 0);
    assert_eq!(engine.held("docker.create.app", Moment::After, || engine.create()), 2);
}

#[test]
fn a_delete_that_is_held_is_answered_only_after_the_release() {
    let engine = Troubled::new();
    for (moment, meanwhile) in [(Moment::Before, 1), (Moment::After, 0)] {
        let container = engine.create().unwrap();
        let delete = || engine.docker(&["rm", &container]);
        assert_eq!(engine.held("docker.delete.app", moment, delete), meanwhile);
        assert_eq!(engine.containers(), 0);
    }
}

#[test]
fn a_fake_engine_gets_into_the_same_trouble() {
    let fake = FakeDocker::start(|method, path| match (method, path.split('?').next()?) {
        ("POST", "/containers/create") => Some(document(&json!({"Id": "abc", "Warnings": []}))),
        ("DELETE", "/containers/abc") => Some(lines("")),
        _ => None,
    });
    let proxy = Proxy::start();
    let host = proxy.before(&fake.socket());
    let asked = |args: &[&str]| docker_try(&[&["--host", &host], args].concat());
    let seen = |path: &str| fake.seen().iter().filter(|seen| seen.path.starts_with(path)).count();
    asked(&["create", "--name", "preview-agent-01234567-app-1-000001", "image"]).unwrap();
    for (trouble, times) in [(Trouble::Refused(500), 0), (Trouble::Disowned(503), 1)] {
        proxy.plan("docker.delete.app.1", 1, trouble);
        assert!(asked(&["rm", "abc"]).unwrap_err().contains(WORDS));
        assert_eq!(seen("/containers/abc"), times, "{trouble:?}");
    }
}
