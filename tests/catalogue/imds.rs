//! The metadata service. The sample's configuration asks the parameter store, in a region and with
//! keys that only this service knows.

use crate::case::{Case, fails, ready};
use crate::scene::Scene;
use crate::support::agent::Ran;
use crate::support::imds::IDENTITY;
use crate::support::peers::peers;

const SEAM: &str = "IMDS";
const UNREACHABLE: (&str, &str) = ("instance", "imds_unreachable");
const CREDENTIALS: (&str, &str) = ("iam", "aws_credentials");
const ROLE_KEYS: &str = "/latest/meta-data/iam/security-credentials/preview-role";

pub fn rows() -> Vec<Case> {
    vec![
        fails(
            SEAM,
            "switched off: 403 to everything",
            ("instance", "imds_forbidden"),
            "failed in resolve: imds_forbidden (instance): the metadata service at http://127.0.0.1:… forbids latest/api/token (HTTP 403); nothing serves. Enable the instance metadata service (HttpEndpoint=enabled) for this instance. (no status pa…",
            |scene| {
                scene.imds.forbid();
                deploy(scene)
            },
        ),
        fails(
            SEAM,
            "nobody listens",
            UNREACHABLE,
            "failed in resolve: imds_unreachable (instance): the metadata service at http://127.0.0.1:… does not answer: Connection refused; nothing serves. Check that the metadata service is enabled; inside a container raise the response hop limit to 2. (no status pa…",
            |scene| {
                scene.imds.stop();
                deploy(scene)
            },
        ),
        fails(
            SEAM,
            "the token never arrives (hop limit)",
            UNREACHABLE,
            "failed in resolve: imds_unreachable (instance): the metadata service at http://127.0.0.1:… accepts connections but its token does not arrive (response hop limit); nothing serves. Check that the metadata service is enabled; inside a container raise the response hop limit to 2. (no status pa…",
            |scene| {
                scene.imds.lose_tokens();
                deploy(scene)
            },
        ),
        fails(
            SEAM,
            "no token is ever accepted: 401 for ever",
            UNREACHABLE,
            "failed in resolve: imds_unreachable (instance): the metadata service at http://127.0.0.1:… answers HTTP 401 to latest/dynamic/instance-identity/document; nothing serves. Check that the metadata service is enabled; inside a container raise the response hop limit to 2. (no status pa…",
            |scene| {
                scene.imds.reject_tokens();
                deploy(scene)
            },
        ),
        ready(
            SEAM,
            "a token expires between two requests",
            "ready: 127.0.0.1:…/acme/tasks-api:good (sha256:…) serves http://127.0.0.1:…, migrated to 0002, … s",
            |scene| {
                scene.imds.expire_tokens_after(1);
                deploy(scene)
            },
        ),
        ready(
            SEAM,
            "500 twice, then answers",
            "ready: 127.0.0.1:…/acme/tasks-api:good (sha256:…) serves http://127.0.0.1:…, migrated to 0002, … s",
            |scene| {
                scene.imds.fail(2, 500);
                deploy(scene)
            },
        ),
        fails(
            SEAM,
            "500 for ever",
            UNREACHABLE,
            "failed in resolve: imds_unreachable (instance): the metadata service at http://127.0.0.1:… answers HTTP 500 to latest/dynamic/instance-identity/document; nothing serves. Check that the metadata service is enabled; inside a container raise the response hop limit to 2. (no status pa…",
            |scene| {
                scene.imds.fail(1000, 500);
                deploy(scene)
            },
        ),
        fails(
            SEAM,
            "redirects",
            UNREACHABLE,
            "failed in resolve: imds_unreachable (instance): the metadata service at http://127.0.0.1:… answers HTTP 302 to latest/dynamic/instance-identity/document; nothing serves. Check that the metadata service is enabled; inside a container raise the response hop limit to 2. (no status pa…",
            |scene| {
                scene.imds.fail(1000, 302);
                deploy(scene)
            },
        ),
        fails(
            SEAM,
            "a page of HTML instead of the identity",
            UNREACHABLE,
            "failed in resolve: imds_unreachable (instance): the metadata service at http://127.0.0.1:… gives no usable answer to latest/dynamic/instance-identity/document: …; nothing serves. Check that the metadata service is enabled; inside a container raise the response hop limit to 2. (no status pa…",
            |scene| {
                scene.imds.set(IDENTITY, "<html>Welcome</html>");
                deploy(scene)
            },
        ),
        fails(
            SEAM,
            "no identity: 404",
            UNREACHABLE,
            "failed in resolve: imds_unreachable (instance): the metadata service at http://127.0.0.1:… gives no usable answer to latest/dynamic/instance-identity/document: …; nothing serves. Check that the metadata service is enabled; inside a container raise the response hop limit to 2. (no status pa…",
            |scene| {
                scene.imds.remove(IDENTITY);
                deploy(scene)
            },
        ),
        fails(
            SEAM,
            "no role is attached",
            CREDENTIALS,
            "failed in resolve: aws_credentials (iam): ssm:GetParameters: no valid credentials: none in environment or profile, and this instance has no role; nothing serves. Attach an instance profile to the instance; a new one takes a minute to appear.",
            |scene| {
                scene.imds.remove_role();
                deploy(scene)
            },
        ),
        fails(
            SEAM,
            "the role has no keys yet",
            CREDENTIALS,
            "failed in resolve: aws_credentials (iam): ssm:GetParameters: no valid credentials: error response from IMDS (code: 404).; nothing serves. Attach an instance profile to the instance; a new one takes a minute to appear.",
            |scene| {
                scene.imds.remove(ROLE_KEYS);
                deploy(scene)
            },
        ),
        fails(
            SEAM,
            "the role's keys are garbage",
            CREDENTIALS,
            "failed in resolve: aws_credentials (iam): ssm:GetParameters: no valid credentials: unexpected credentials error: Expected field `AccessKeyId` in response but …; nothing serves. Attach an instance profile to the instance; a new one takes a minute to appear.",
            |scene| {
                scene.imds.set(ROLE_KEYS, "{\"Code\": \"Success\"}");
                deploy(scene)
            },
        ),
        fails(
            SEAM,
            "a tag that a value names is not there",
            ("config", "config_invalid"),
            "failed in resolve: config_invalid (config): app.env.PR: the instance has no tag pr in its metadata (are instance tags enabled there?); nothing serves. Write or correct the file; `agent check` names every line that is wrong.",
            |scene| {
                let app = scene.app("    PR: \"${instance.tag.pr}\"\n");
                scene.run_once(&scene.config("good", &app))
            },
        ),
        ready(
            SEAM,
            "silent, and nothing of it is needed",
            "ready: 127.0.0.1:…/acme/tasks-api:good (sha256:…) serves http://127.0.0.1:…, migrated to 0002, … s",
            |scene| {
                scene.imds.lose_tokens();
                needs_nothing(scene)
            },
        ),
    ]
}

fn deploy(scene: &Scene) -> Ran {
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
