//! The application's answers while it is proven healthy, and after.

use crate::case::{Case, fails, ready, within};
use crate::scene::{Scene, ended};
use crate::support::agent::Ran;
use crate::support::engine::docker;

const SEAM: &str = "health";
const TIMEOUT: (&str, &str) = ("app", "health_timeout");
const STATUS: (&str, &str) = ("app", "health_status");
const UNHEALTHY: (&str, &str) = ("app", "health_unhealthy");
/// One stage that has to be answered.
const PLAIN: &str = "health: [{ http: /readyz }]\n";
/// One whose body has to say that all is well.
const JSON: &str = "health: [{ http: /health, json: { status: healthy } }]\n";

pub fn rows() -> Vec<Case> {
    within("health", [answers(), connections(), in_time()])
}

/// It answers, and not well.
fn answers() -> Vec<Case> {
    vec![
        fails(SEAM, "500", STATUS, |scene| probed(scene, "500 Internal Server Error|it broke", PLAIN))
            .says("/readyz answered 500 it broke"),
        fails(SEAM, "503 for ever", STATUS, |scene| {
            probed(scene, "503 Service Unavailable|warming up", PLAIN)
        })
        .says("/readyz answered 503 warming up"),
        fails(SEAM, "404 to everything that is usually asked", STATUS, |scene| {
            probed(scene, "404 Not Found|nothing here", "")
        })
        .prose(),
        fails(SEAM, "says that it is unhealthy", UNHEALTHY, |scene| {
            probed(scene, "200 OK|{\"status\": \"unhealthy\", \"database\": \"disconnected\"}", JSON)
        })
        .says("disconnected"),
        fails(SEAM, "not JSON where JSON is wanted", UNHEALTHY, |scene| {
            probed(scene, "200 OK|fine, thank you", JSON)
        })
        .says("200 fine, thank you"),
        fails(SEAM, "a body without end where JSON is wanted", UNHEALTHY, |scene| {
            probed(scene, "endless", JSON)
        })
        .says("/health answered 200 x"),
        ready(SEAM, "a body without end", |scene| probed(scene, "endless", PLAIN)),
        ready(SEAM, "redirects in a circle: a redirect is an answer", |scene| probed(scene, "circle", PLAIN)),
    ]
}

/// What comes over the connection is no answer.
fn connections() -> Vec<Case> {
    vec![
        fails(SEAM, "accepts and never answers", TIMEOUT, |scene| probed(scene, "silent", PLAIN))
            .says("no answer"),
        fails(SEAM, "answers a byte a second", TIMEOUT, |scene| probed(scene, "drip", PLAIN))
            .says("no answer"),
        fails(SEAM, "hangs up without a word", TIMEOUT, |scene| probed(scene, "hangs-up", PLAIN))
            .says("hung up"),
        fails(SEAM, "not HTTP", TIMEOUT, |scene| probed(scene, "ssh", PLAIN)).says("does not speak HTTP"),
        fails(SEAM, "a header of 1 MB", TIMEOUT, |scene| probed(scene, "head", PLAIN)).says("header"),
    ]
}

/// It changes its mind.
fn in_time() -> Vec<Case> {
    vec![
        ready(SEAM, "becomes healthy late", |scene| {
            scene.run_once(&config(scene, "late", &format!("{PLAIN}deadlines: {{ health: 60s }}\n")))
        }),
        ready(SEAM, "becomes unhealthy while serving", |scene| {
            let config = config(scene, "sickens", PLAIN);
            let mut agent = scene.start(&config);
            agent.wait_for_end_of_run(1);
            docker(&["exec", &scene.app_container(), "touch", "/tmp/sick"]);
            let status =
                agent.wait_for("degraded service", |status| status["service"]["state"] == "degraded");
            ended(agent, status)
        })
        .says("/readyz answered 500 it broke")
        .because("degraded", STATUS),
    ]
}

fn config(scene: &Scene, how: &str, stages: &str) -> String {
    let app = scene.answering(how).replace(PLAIN, stages);
    scene.config("good", &format!("database: off\n{app}"))
}

/// A run that gives the application a few seconds, and each probe what the policy gives it.
fn probed(scene: &mut Scene, how: &str, stages: &str) -> Ran {
    scene.run_once(&config(scene, how, &format!("{stages}deadlines: {{ health: 10s }}\n")))
}
