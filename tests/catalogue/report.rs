//! Writing the status parameter: it never fails a deployment, nor changes its end.

use crate::case::{Case, ready};
use crate::scene::Scene;
use crate::support::agent::Ran;
use crate::support::ssm::Failure;

const SEAM: &str = "status parameter";
const READY: &str = "ready: … serves http://…";

pub fn rows() -> Vec<Case> {
    vec![
        ready(SEAM, "denied", READY, |scene| {
            scene.ssm.deny("/test/status");
            deploy(scene)
        }),
        ready(SEAM, "throttled for ever", READY, |scene| fail(scene, Failure::Throttled)),
        ready(SEAM, "TooManyUpdates for ever", READY, |scene| fail(scene, Failure::TooManyUpdates)),
        ready(SEAM, "500 for ever", READY, |scene| fail(scene, Failure::Internal)),
        ready(SEAM, "200 with a captive portal's page", READY, |scene| fail(scene, Failure::Garbage)),
        ready(SEAM, "accepts and never answers", READY, |scene| fail(scene, Failure::Hang)),
        ready(SEAM, "breaks off in the middle of the answer", READY, |scene| fail(scene, Failure::Cut)),
        ready(SEAM, "the session token expires", READY, |scene| {
            fail(
                scene,
                Failure::Error(
                    "ExpiredTokenException",
                    "The security token included in the request is expired",
                ),
            )
        }),
        ready(SEAM, "a value that the store refuses", READY, |scene| {
            fail(
                scene,
                Failure::Error("ValidationException", "Parameter value can't nest another parameter."),
            )
        }),
        ready(SEAM, "the clock is off for writes only", READY, |scene| {
            fail(scene, Failure::Error("RequestTimeTooSkewed", "The difference is too large"))
        }),
    ]
}

fn deploy(scene: &Scene) -> Ran {
    scene.run_once(&scene.config("good", ""))
}

fn fail(scene: &Scene, failure: Failure) -> Ran {
    scene.ssm.fail_writes(failure);
    deploy(scene)
}
