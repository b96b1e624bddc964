//! The metadata service. The sample's configuration asks the parameter store, in a region and with
//! keys that only this service knows.

use crate::case::{Case, MIGRATED, NOTES, fails, ready, within};
use crate::scene::Scene;
use crate::support::agent::Ran;
use crate::support::imds::{FakeImds, IDENTITY};
use crate::support::peers::peers;

const SEAM: &str = "IMDS";
const UNREACHABLE: (&str, &str) = ("instance", "imds_unreachable");
const CREDENTIALS: (&str, &str) = ("iam", "aws_credentials");
const ROLE_KEYS: &str = "/latest/meta-data/iam/security-credentials/preview-role";

pub fn rows() -> Vec<Case> {
    let rows = vec![
        fails(SEAM, "switched off: 403 to everything", ("instance", "imds_forbidden"), |scene| {
            with(scene, |imds| imds.forbid())
        })
        .says("HTTP 403"),
        fails(SEAM, "nobody listens", UNREACHABLE, |scene| with(scene, |imds| imds.stop()))
            .says("Connection refused"),
        fails(SEAM, "the token never arrives (hop limit)", UNREACHABLE, |scene| {
            with(scene, |imds| imds.lose_tokens())
        })
        .prose(),
        fails(SEAM, "no token is ever accepted: 401 for ever", UNREACHABLE, |scene| {
            with(scene, |imds| imds.reject_tokens())
        })
        .says("HTTP 401"),
        ready(SEAM, "a token expires between two requests", |scene| {
            with(scene, |imds| imds.expire_tokens_after(1))
        })
        .has(MIGRATED, "0002"),
        ready(SEAM, "500 twice, then answers", |scene| with(scene, |imds| imds.fail(2, 500)))
            .has(MIGRATED, "0002"),
        fails(SEAM, "500 for ever", UNREACHABLE, |scene| with(scene, |imds| imds.fail(1000, 500)))
            .says("HTTP 500"),
        fails(SEAM, "redirects", UNREACHABLE, |scene| with(scene, |imds| imds.fail(1000, 302)))
            .says("HTTP 302"),
        fails(SEAM, "a page of HTML instead of the identity", UNREACHABLE, |scene| {
            with(scene, |imds| imds.set(IDENTITY, "<html>Welcome</html>"))
        })
        .says("no usable answer"),
        fails(SEAM, "no identity: 404", UNREACHABLE, |scene| with(scene, |imds| imds.remove(IDENTITY)))
            .says("no usable answer"),
        fails(SEAM, "no role is attached", CREDENTIALS, |scene| with(scene, |imds| imds.remove_role()))
            .says("this instance has no role"),
        fails(SEAM, "the role has no keys yet", CREDENTIALS, |scene| {
            with(scene, |imds| imds.remove(ROLE_KEYS))
        })
        .says("404"),
        fails(SEAM, "the role's keys are garbage", CREDENTIALS, |scene| {
            with(scene, |imds| imds.set(ROLE_KEYS, "{\"Code\": \"Success\"}"))
        })
        .says("AccessKeyId"),
        fails(SEAM, "a tag that a value names is not there", ("config", "config_invalid"), |scene| {
            let app = scene.app("    PR: \"${instance.tag.pr}\"\n");
            scene.run_once(&scene.config("good", &app))
        })
        .says("app.env.PR…tag pr"),
        ready(SEAM, "silent, and nothing of it is needed", |scene| {
            scene.imds.lose_tokens();
            needs_nothing(scene)
        })
        .has(MIGRATED, "0002"),
    ];
    // Who does not know the region does not know the way to the parameter store.
    let lost = |row: Case| row.has(NOTES, "no status parameter");
    let rows = within("resolve", [rows]).into_iter();
    rows.map(|row| if row.wants.class == Some("instance") { lost(row) } else { row }).collect()
}

/// A run beside a metadata service to which this was done.
fn with(scene: &mut Scene, broken: impl Fn(&mut FakeImds)) -> Ran {
    broken(&mut scene.imds);
    scene.run_once(&scene.config("good", ""))
}

/// The sample without any parameter.
fn needs_nothing(scene: &mut Scene) -> Ran {
    scene.set_env("REGISTRY_PASSWORD", &peers().registry_password);
    scene.set_env("DATABASE_PASSWORD", &peers().postgres_password);
    let config = scene.config("good", "").replace("report: { parameter: /test/status }\n", "");
    scene.run_once(
        &config
            .replace("{ ssm: /test/registry-password }", "{ env: REGISTRY_PASSWORD }")
            .replace("{ ssm: /test/database-password }", "{ env: DATABASE_PASSWORD }")
            .replace("    SENTRY_DSN: { ssm: /test/dsn, optional: true }\n", "    NOTHING: ''\n"),
    )
}
