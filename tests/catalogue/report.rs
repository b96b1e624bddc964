//! Writing the status parameter: it never fails a deployment, nor changes its end.

use crate::case::{Case, ready};
use crate::scene::Scene;
use crate::support::agent::Ran;
use crate::support::ssm::Failure;

const SEAM: &str = "status parameter";

pub fn rows() -> Vec<Case> {
    vec![
        ready(SEAM, "denied", |scene| {
            scene.ssm.deny("/test/status");
            deploy(scene)
        }),
        ready(SEAM, "throttled for ever", |scene| fail(scene, Failure::Throttled)),
        ready(SEAM, "TooManyUpdates for ever", |scene| fail(scene, Failure::TooManyUpdates)),
        ready(SEAM, "500 for ever", |scene| fail(scene, Failure::Internal)),
        ready(SEAM, "200 with a captive portal's page", |scene| fail(scene, Failure::Garbage)),
        ready(SEAM, "accepts and never answers", |scene| fail(scene, Failure::Hang)),
        ready(SEAM, "breaks off in the middle of the answer", |scene| fail(scene, Failure::Cut)),
        ready(SEAM, "the session token expires", |scene| {
            fail(
                scene,
                Failure::Error(
                    "ExpiredTokenException",
                    "The security token included in the request is expired",
                ),
            )
        }),
        ready(SEAM, "a value that the store refuses", |scene| {
            fail(
                scene,
                Failure::Error("ValidationException", "Parameter value can't nest another parameter."),
            )
        }),
        ready(SEAM, "the clock is off for writes only", |scene| {
            fail(scene, Failure::Error("RequestTimeTooSkewed", "The difference is too large"))
        }),
    ]
}

fn fail(scene: &Scene, failure: Failure) -> Ran {
    scene.ssm.fail_writes(failure);
    deploy(scene)
}

/// A run that has tried to write, and could not.
fn deploy(scene: &Scene) -> Ran {
    let ran = scene.run_once(&scene.config("good", ""));
    assert!(scene.ssm.calls().iter().any(|call| call.action == "PutParameter"), "it was never asked");
    assert!(scene.ssm.value("/test/status").is_none(), "it was written");
    ran
}
