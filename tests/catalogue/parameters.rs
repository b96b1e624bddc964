//! Reading parameters and secrets, before anything is touched.

use crate::case::{Case, fails, ready};
use crate::scene::Scene;
use crate::support::agent::Ran;
use crate::support::ssm::Failure;
use crate::support::tls::Untrusted;

const SEAM: &str = "parameters";
const UNREACHABLE: (&str, &str) = ("network", "parameters_unreachable");
const CREDENTIALS: (&str, &str) = ("iam", "aws_credentials");
const DENIED: (&str, &str) = ("iam", "parameter_denied");
const MISSING: (&str, &str) = ("config", "parameter_missing");
const FOR_EVER: usize = usize::MAX;

pub fn rows() -> Vec<Case> {
    let mut rows = vec![
        fails(
            SEAM,
            "nobody listens",
            UNREACHABLE,
            "failed in resolve: parameters_unreachable (network): ssm:GetParameters: SSM in eu-central-1 cannot be reached: Connection refused; nothing serves. Check the route to the SSM endpoint: internet gateway, NAT or VPC endpoint, and its security group.",
            |scene| {
                scene.ssm.stop();
                deploy(scene)
            },
        ),
        fails(
            SEAM,
            "no such host",
            UNREACHABLE,
            "failed in resolve: parameters_unreachable (network): ssm:GetParameters: SSM in eu-central-1 cannot be reached: failed to lookup address information: Name or service not …; nothing serves. Check the route to the SSM endpoint: internet gateway, NAT or VPC endpoint, and its security group.",
            |scene| {
                scene.set_env("AWS_ENDPOINT_URL_SSM", "http://ssm.invalid");
                deploy(scene)
            },
        ),
        fails(
            SEAM,
            "a certificate that nobody has signed",
            UNREACHABLE,
            "failed in resolve: parameters_unreachable (network): ssm:GetParameters: SSM in eu-central-1 cannot be reached: invalid peer certificate: UnknownIssuer; nothing serves. Check the route to the SSM endpoint: internet gateway, NAT or VPC endpoint, and its security group.",
            |scene| {
                let impostor = Untrusted::start("127.0.0.1");
                scene.set_env("AWS_ENDPOINT_URL_SSM", &impostor.url());
                deploy(scene)
            },
        ),
        fails(
            SEAM,
            "speaks HTTP where TLS is expected",
            UNREACHABLE,
            "failed in resolve: parameters_unreachable (network): ssm:GetParameters: SSM in eu-central-1 cannot be reached: received corrupt message of type InvalidContentType; nothing serves. Check the route to the SSM endpoint: internet gateway, NAT or VPC endpoint, and its security group.",
            |scene| {
                let plain = scene.ssm.endpoint().replace("http://", "https://");
                scene.set_env("AWS_ENDPOINT_URL_SSM", &plain);
                deploy(scene)
            },
        ),
        ready(
            SEAM,
            "throttled twice, then answers",
            "ready: 127.0.0.1:…/acme/tasks-api:good (sha256:…) serves http://127.0.0.1:…, migrated to 0002, … s",
            |scene| {
                scene.ssm.fail(2, Failure::Throttled);
                deploy(scene)
            },
        ),
        fails(
            SEAM,
            "throttled for ever",
            UNREACHABLE,
            "failed in resolve: parameters_unreachable (network): ssm:GetParameters: throttled: Rate exceeded; nothing serves. Check the route to the SSM endpoint: internet gateway, NAT or VPC endpoint, and its security group.",
            |scene| fail(scene, Failure::Throttled),
        ),
        fails(
            SEAM,
            "500 with a page of HTML for ever",
            UNREACHABLE,
            "failed in resolve: parameters_unreachable (network): ssm:GetParameters: SSM in eu-central-1 fails: unreadable answer, HTTP 500; nothing serves. Check the route to the SSM endpoint: internet gateway, NAT or VPC endpoint, and its security group.",
            |scene| fail(scene, Failure::Internal),
        ),
        fails(
            SEAM,
            "200 with a captive portal's page",
            UNREACHABLE,
            "failed in resolve: parameters_unreachable (network): ssm:GetParameters: SSM in eu-central-1 fails: unreadable answer, HTTP 200; nothing serves. Check the route to the SSM endpoint: internet gateway, NAT or VPC endpoint, and its security group.",
            |scene| fail(scene, Failure::Garbage),
        ),
        fails(
            SEAM,
            "accepts and never answers",
            UNREACHABLE,
            "failed in resolve: parameters_unreachable (network): ssm:GetParameters: SSM in eu-central-1 cannot be reached: timed out; nothing serves. Check the route to the SSM endpoint: internet gateway, NAT or VPC endpoint, and its security group.",
            |scene| fail(scene, Failure::Hang),
        ),
        fails(
            SEAM,
            "breaks off in the middle of the answer",
            UNREACHABLE,
            "failed in resolve: parameters_unreachable (network): ssm:GetParameters: SSM in eu-central-1 cannot be reached: connection closed before message completed; nothing serves. Check the route to the SSM endpoint: internet gateway, NAT or VPC endpoint, and its security group.",
            |scene| fail(scene, Failure::Cut),
        ),
        fails(
            SEAM,
            "redirects in a circle",
            UNREACHABLE,
            "failed in resolve: parameters_unreachable (network): ssm:GetParameters: SSM in eu-central-1 fails: unreadable answer, HTTP 307; nothing serves. Check the route to the SSM endpoint: internet gateway, NAT or VPC endpoint, and its security group.",
            |scene| fail(scene, Failure::Redirect),
        ),
        fails(
            SEAM,
            "the session token has expired",
            CREDENTIALS,
            "failed in resolve: aws_credentials (iam): ssm:GetParameters: no valid credentials: The security token included in the request is expired; nothing serves. Attach an instance profile to the instance; a new one takes a minute to appear.",
            |scene| {
                fail(
                    scene,
                    Failure::Error(
                        "ExpiredTokenException",
                        "The security token included in the request is expired",
                    ),
                )
            },
        ),
        fails(
            SEAM,
            "the keys are unknown",
            CREDENTIALS,
            "failed in resolve: aws_credentials (iam): ssm:GetParameters: no valid credentials: The security token included in the request is invalid.; nothing serves. Attach an instance profile to the instance; a new one takes a minute to appear.",
            |scene| {
                fail(
                    scene,
                    Failure::Error(
                        "UnrecognizedClientException",
                        "The security token included in the request is invalid.",
                    ),
                )
            },
        ),
        fails(
            SEAM,
            "an error that nobody has heard of",
            MISSING,
            "failed in resolve: parameter_missing (config): database.password: ssm:GetParameters: FluxException: out of flux; registries.127.0.0.1:….password: …; nothing serves. Create the parameter or correct its name; parameters are per region and account. (the status parameter is refu…",
            |scene| fail(scene, Failure::Error("FluxException", "out of flux")),
        ),
    ];
    rows.extend(values());
    rows
}

/// The service is well, and what was asked for is not.
fn values() -> Vec<Case> {
    vec![
        fails(SEAM, "one does not exist", MISSING, "failed in resolve: parameter_missing (config): app.env.EXTRA: there is no parameter /test/none; nothing serves. Create the parameter or correct its name; parameters are per region and account.", |scene| with_env(scene, "{ ssm: /test/none }")),
        ready(SEAM, "an optional one does not exist", "ready: 127.0.0.1:…/acme/tasks-api:good (sha256:…) serves http://127.0.0.1:…, migrated to 0002, … s", |scene| {
            with_env(scene, "{ ssm: /test/none, optional: true }")
        }),
        fails(SEAM, "one is denied", DENIED, "failed in resolve: parameter_denied (iam): app.env.SENTRY_DSN: ssm:GetParameters is denied on arn:aws:ssm:eu-central-1:123456789012:parameter/test/dsn; nothing serves. Allow the named action on the named resource in the instance role's policy.", |scene| {
            scene.ssm.deny("/test/dsn");
            deploy(scene)
        }),
        fails(SEAM, "its key is denied", DENIED, "failed in resolve: parameter_denied (iam): app.env.SENTRY_DSN: kms:Decrypt is denied on the key of /test/dsn; nothing serves. Allow the named action on the named resource in the instance role's policy.", |scene| {
            scene.ssm.deny_key("/test/dsn");
            deploy(scene)
        }),
        fails(SEAM, "a secret without the field", ("config", "secret_field_missing"), "failed in resolve: secret_field_missing (config): app.env.EXTRA: the secret has no field password; nothing serves. Correct `key`, or store the secret as a JSON object with that field.", |scene| {
            scene.ssm.set_secret("prod/api", r#"{"user": "app"}"#);
            with_env(scene, "{ secretsmanager: prod/api, key: password }")
        }),
        fails(SEAM, "a secret that is no JSON", ("config", "secret_field_missing"), "failed in resolve: secret_field_missing (config): app.env.EXTRA: the secret is not a JSON object; nothing serves. Correct `key`, or store the secret as a JSON object with that field.", |scene| {
            scene.ssm.set_secret("prod/text", "no json");
            with_env(scene, "{ secretsmanager: prod/text, key: password }")
        }),
        fails(SEAM, "a variable that is not set", ("config", "credential_missing"), "failed in resolve: credential_missing (config): app.env.EXTRA: the environment variable NO_SUCH_VARIABLE is not set; nothing serves. Provide the file, environment variable or systemd credential, or mark the value optional.", |scene| {
            with_env(scene, "{ env: NO_SUCH_VARIABLE }")
        }),
        fails(SEAM, "a file that is not there", ("config", "credential_missing"), "failed in resolve: credential_missing (config): app.env.EXTRA: /no/such/secret: No such file or directory; nothing serves. Provide the file, environment variable or systemd credential, or mark the value optional.", |scene| {
            with_env(scene, "{ file: /no/such/secret }")
        }),
        fails(SEAM, "a directory in a file's place", ("config", "config_invalid"), "failed: config_invalid (config): …/config.yaml:15:20: app.env.EXTRA.file: expected an absolute path, without `..`; nothing serves. Write or correct the file; `agent check` names every line that is wrong.", |scene| {
            with_env(scene, "{ file: / }")
        })
        .exit(78),
        fails(SEAM, "a credential outside systemd", ("config", "credential_missing"), "failed in resolve: credential_missing (config): app.env.EXTRA: there is no systemd credential token (CREDENTIALS_DIRECTORY is not set); nothing serves. Provide the file, environment variable or systemd credential, or mark the value optional.", |scene| {
            with_env(scene, "{ credential: token }")
        }),
        fails(
            SEAM,
            "a database URL with an unencoded @",
            ("config", "database_url_invalid"),
            "failed in resolve: database_url_invalid (config): database.url: the user or password contains an unencoded `@`; write it as %40; nothing serves. Percent-encode user and password (`@` is %40, `:` is %3A, `/` is %2F), or give the parts instead of the URL.",
            |scene| {
                scene.secret("/test/url", "postgresql://app:hunter2@hunter3@db.example/app");
                let config = scene.config("good", "database: { url: { ssm: /test/url } }\n");
                scene.run_once(&config)
            },
        ),
        ready(SEAM, "they are gone while the last good application serves", "ready: 127.0.0.1:…/acme/tasks-api:good (sha256:…) serves http://127.0.0.1:…, … s (not refreshed: parameters_unreachable: ssm:GetParameters: SSM in eu-central-1 fails: unreadable answer, HTTP 500)", |scene| {
            scene.serves();
            scene.ssm.fail(FOR_EVER, Failure::Internal);
            deploy(scene)
        }),
    ]
}

fn deploy(scene: &Scene) -> Ran {
    scene.run_once(&scene.config("good", ""))
}

fn fail(scene: &Scene, failure: Failure) -> Ran {
    scene.ssm.fail(FOR_EVER, failure);
    deploy(scene)
}

fn with_env(scene: &Scene, value: &str) -> Ran {
    let app = scene.app(&format!("    EXTRA: {value}\n"));
    scene.run_once(&scene.config("good", &app))
}
