//! The application's answers while it is proven healthy, and after.

use crate::case::{Case, fails, ready};
use crate::scene::{Scene, ended};
use crate::support::agent::Ran;
use crate::support::engine::docker;

const SEAM: &str = "health";
const TIMEOUT: (&str, &str) = ("app", "health_timeout");
const STATUS: (&str, &str) = ("app", "health_status");
const UNHEALTHY: (&str, &str) = ("app", "health_unhealthy");
const READY: &str = "ready: … serves http://…";
/// One stage that has to be answered.
const PLAIN: &str = "health: [{ http: /readyz }]\n";
/// One whose body has to say that all is well.
const JSON: &str = "health: [{ http: /health, json: { status: healthy } }]\n";

pub fn rows() -> Vec<Case> {
    let mut rows = answers();
    rows.extend(connections());
    rows.extend(in_time());
    for row in &mut rows {
        if row.wants.outcome == "failed" {
            row.wants.service = "down";
        }
    }
    rows
}

/// It answers, and not well.
fn answers() -> Vec<Case> {
    vec![
        fails(
            SEAM,
            "500",
            STATUS,
            "failed in health: health_status (app): not healthy within 10 s: /readyz answered 500 it broke; the app is down. Read `agent logs app`; the path answered with an error status.",
            |scene| probed(scene, "500 Internal Server Error|it broke", PLAIN),
        ),
        fails(
            SEAM,
            "503 for ever",
            STATUS,
            "failed in health: health_status (app): not healthy within 10 s: /readyz answered 503 warming up; the app is down. Read `agent logs app`; the path answered with an error status.",
            |scene| probed(scene, "503 Service Unavailable|warming up", PLAIN),
        ),
        fails(
            SEAM,
            "404 to everything that is usually asked",
            STATUS,
            "failed in health: health_status (app): the application answers 404 to /docs, /readyz and /health/db; name a path under `health`; the app is down. Read `agent logs app`; the path answered with an error status.",
            |scene| probed(scene, "404 Not Found|nothing here", ""),
        ),
        fails(
            SEAM,
            "says that it is unhealthy",
            UNHEALTHY,
            "failed in health: health_unhealthy (app): not healthy within 10 s: /health answered 200 {\"status\": \"unhealthy\", \"database\": \"disconnected\"}; the app is down. The application says it is unhealthy; the message has its answer.",
            |scene| probed(scene, "200 OK|{\"status\": \"unhealthy\", \"database\": \"disconnected\"}", JSON),
        ),
        fails(
            SEAM,
            "not JSON where JSON is wanted",
            UNHEALTHY,
            "failed in health: health_unhealthy (app): not healthy within 10 s: /health answered 200 fine, thank you; the app is down. The application says it is unhealthy; the message has its answer.",
            |scene| probed(scene, "200 OK|fine, thank you", JSON),
        ),
        fails(
            SEAM,
            "a body without end where JSON is wanted",
            UNHEALTHY,
            "failed in health: health_unhealthy (app): not healthy within 10 s: /health answered 200 x…; the app is down. The application says it is unhealthy; the message has its answer.",
            |scene| probed(scene, "endless", JSON),
        ),
        ready(SEAM, "a body without end", READY, |scene| probed(scene, "endless", PLAIN)),
        ready(SEAM, "redirects in a circle: a redirect is an answer", READY, |scene| {
            probed(scene, "circle", PLAIN)
        }),
    ]
}

/// What comes over the connection is no answer.
fn connections() -> Vec<Case> {
    vec![
        fails(
            SEAM,
            "accepts and never answers",
            TIMEOUT,
            "failed in health: health_timeout (app): not healthy within 10 s: /readyz: no answer in time; the app is down. Check that the application listens on 0.0.0.0 at `app.port`, or raise `deadlines.health` if it starts slowly.",
            |scene| probed(scene, "silent", PLAIN),
        ),
        fails(
            SEAM,
            "answers a byte a second",
            TIMEOUT,
            "failed in health: health_timeout (app): not healthy within 10 s: /readyz: no answer in time; the app is down. Check that the application listens on 0.0.0.0 at `app.port`, or raise `deadlines.health` if it starts slowly.",
            |scene| probed(scene, "drip", PLAIN),
        ),
        fails(
            SEAM,
            "hangs up without a word",
            TIMEOUT,
            "failed in health: health_timeout (app): not healthy within 10 s: /readyz: hung up before its answer was complete; the app is down. Check that the application listens on 0.0.0.0 at `app.port`, or raise `deadlines.health` if it starts slowly.",
            |scene| probed(scene, "hangs-up", PLAIN),
        ),
        fails(
            SEAM,
            "not HTTP",
            TIMEOUT,
            "failed in health: health_timeout (app): not healthy within 10 s: /readyz: what answers does not speak HTTP; the app is down. Check that the application listens on 0.0.0.0 at `app.port`, or raise `deadlines.health` if it starts slowly.",
            |scene| probed(scene, "ssh", PLAIN),
        ),
        fails(
            SEAM,
            "a header of 1 MB",
            TIMEOUT,
            "failed in health: health_timeout (app): not healthy within 10 s: /readyz: the header of its answer is too large; the app is down. Check that the application listens on 0.0.0.0 at `app.port`, or raise `deadlines.health` if it starts slowly.",
            |scene| probed(scene, "head", PLAIN),
        ),
    ]
}

/// It changes its mind.
fn in_time() -> Vec<Case> {
    vec![
        ready(SEAM, "becomes healthy late", READY, |scene| {
            scene.run_once(&config(scene, "late", &format!("{PLAIN}deadlines: {{ health: 60s }}\n")))
        }),
        ready(SEAM, "becomes unhealthy while serving", "degraded: app: health_status: /readyz answered 500 it broke. Read `agent logs app`; the path answered with an error status.", |scene| {
            let config = config(scene, "sickens", PLAIN);
            let mut agent = scene.start(&config);
            agent.wait_for_end_of_run(1);
            docker(&["exec", &scene.app_container(), "touch", "/tmp/sick"]);
            let status =
                agent.wait_for("degraded service", |status| status["service"]["state"] == "degraded");
            ended(agent, status)
        })
        .service("degraded")
        .because("app", "health_status"),
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
