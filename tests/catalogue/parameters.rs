//! Reading parameters and secrets, before anything is touched.

use crate::case::{Case, MIGRATED, NOTES, fails, ready, within};
use crate::scene::Scene;
use crate::support::agent::Ran;
use crate::support::ssm::{Failure, FakeSsm};
use crate::support::tls::Untrusted;

const SEAM: &str = "parameters";
const UNREACHABLE: (&str, &str) = ("network", "parameters_unreachable");
const CREDENTIALS: (&str, &str) = ("iam", "aws_credentials");
const DENIED: (&str, &str) = ("iam", "parameter_denied");
const MISSING: (&str, &str) = ("config", "parameter_missing");
const CREDENTIAL: (&str, &str) = ("config", "credential_missing");
const FIELD: (&str, &str) = ("config", "secret_field_missing");
const FOR_EVER: usize = usize::MAX;

pub fn rows() -> Vec<Case> {
    within("resolve", [answers(), values()])
}

/// The service is not well, or what it says is not.
fn answers() -> Vec<Case> {
    vec![
        fails(SEAM, "nobody listens", UNREACHABLE, |scene| with(scene, |ssm| ssm.stop()))
            .says("Connection refused"),
        fails(SEAM, "no such host", UNREACHABLE, |scene| at(scene, "http://ssm.invalid"))
            .says("Name or service not known"),
        fails(SEAM, "a certificate that nobody has signed", UNREACHABLE, |scene| {
            let impostor = Untrusted::start("127.0.0.1");
            at(scene, &impostor.url())
        })
        .says("UnknownIssuer"),
        fails(SEAM, "speaks HTTP where TLS is expected", UNREACHABLE, |scene| {
            let plain = scene.ssm.endpoint().replace("http://", "https://");
            at(scene, &plain)
        })
        .says("InvalidContentType"),
        ready(SEAM, "throttled twice, then answers", |scene| {
            with(scene, |ssm| ssm.fail(2, Failure::Throttled))
        })
        .has(MIGRATED, "0002"),
        fails(SEAM, "throttled for ever", UNREACHABLE, |scene| fail(scene, Failure::Throttled))
            .says("throttled"),
        fails(SEAM, "500 with a page of HTML for ever", UNREACHABLE, |scene| fail(scene, Failure::Internal))
            .says("HTTP 500"),
        fails(SEAM, "200 with a captive portal's page", UNREACHABLE, |scene| fail(scene, Failure::Garbage))
            .says("HTTP 200"),
        fails(SEAM, "accepts and never answers", UNREACHABLE, |scene| fail(scene, Failure::Hang))
            .says("timed out"),
        fails(SEAM, "breaks off in the middle of the answer", UNREACHABLE, |scene| fail(scene, Failure::Cut))
            .says("connection closed"),
        fails(SEAM, "redirects in a circle", UNREACHABLE, |scene| fail(scene, Failure::Redirect))
            .says("HTTP 307"),
        fails(SEAM, "the session token has expired", CREDENTIALS, |scene| {
            refused(scene, "ExpiredTokenException", "The security token is expired")
        })
        .says("token is expired"),
        fails(SEAM, "the keys are unknown", CREDENTIALS, |scene| {
            refused(scene, "UnrecognizedClientException", "The security token is invalid.")
        })
        .says("token is invalid"),
        fails(SEAM, "an error that nobody has heard of", MISSING, |scene| {
            refused(scene, "FluxException", "out of flux")
        })
        .says("database.password…FluxException")
        .has(NOTES, "refused"),
    ]
}

/// The service is well, and what was asked for is not.
fn values() -> Vec<Case> {
    vec![
        fails(SEAM, "one does not exist", MISSING, |scene| with_env(scene, "{ ssm: /test/none }"))
            .says("app.env.EXTRA…/test/none"),
        ready(SEAM, "an optional one does not exist", |scene| {
            with_env(scene, "{ ssm: /test/none, optional: true }")
        })
        .has(MIGRATED, "0002"),
        fails(SEAM, "one is denied", DENIED, |scene| with(scene, |ssm| ssm.deny("/test/dsn"))).prose(),
        fails(SEAM, "its key is denied", DENIED, |scene| with(scene, |ssm| ssm.deny_key("/test/dsn")))
            .says("app.env.SENTRY_DSN: kms:Decrypt…/test/dsn"),
        fails(SEAM, "a secret without the field", FIELD, |scene| {
            scene.ssm.set_secret("prod/api", r#"{"user": "app"}"#);
            with_env(scene, "{ secretsmanager: prod/api, key: password }")
        })
        .says("app.env.EXTRA…field password"),
        fails(SEAM, "a secret that is no JSON", FIELD, |scene| {
            scene.ssm.set_secret("prod/text", "no json");
            with_env(scene, "{ secretsmanager: prod/text, key: password }")
        })
        .says("app.env.EXTRA…JSON object"),
        fails(SEAM, "a variable that is not set", CREDENTIAL, |scene| {
            with_env(scene, "{ env: NO_SUCH_VARIABLE }")
        })
        .says("app.env.EXTRA…NO_SUCH_VARIABLE"),
        fails(SEAM, "a file that is not there", CREDENTIAL, |scene| {
            with_env(scene, "{ file: /no/such/secret }")
        })
        .says("app.env.EXTRA: /no/such/secret"),
        fails(SEAM, "a directory in a file's place", ("config", "config_invalid"), |scene| {
            with_env(scene, "{ file: / }")
        })
        .says("/config.yaml:15:20: app.env.EXTRA.file")
        .phase("")
        .exit(78),
        fails(SEAM, "a credential outside systemd", CREDENTIAL, |scene| {
            with_env(scene, "{ credential: token }")
        })
        .says("app.env.EXTRA…credential token"),
        fails(SEAM, "a database URL with an unencoded @", ("config", "database_url_invalid"), |scene| {
            scene.secret("/test/url", "postgresql://app:hunter2@hunter3@db.example/app");
            let config = scene.config("good", "database: { url: { ssm: /test/url } }\n");
            scene.run_once(&config)
        })
        .says("database.url…%40"),
        ready(SEAM, "they are gone while the last good application serves", |scene| {
            scene.serves();
            scene.ssm.fail(FOR_EVER, Failure::Internal);
            deploy(scene)
        })
        .has(NOTES, "parameters_unreachable…HTTP 500"),
    ]
}

fn deploy(scene: &Scene) -> Ran {
    scene.run_once(&scene.config("good", ""))
}

/// A run beside a parameter store to which this was done.
fn with(scene: &mut Scene, broken: impl Fn(&mut FakeSsm)) -> Ran {
    broken(&mut scene.ssm);
    deploy(scene)
}

fn at(scene: &mut Scene, url: &str) -> Ran {
    scene.set_env("AWS_ENDPOINT_URL_SSM", url);
    deploy(scene)
}

fn fail(scene: &Scene, failure: Failure) -> Ran {
    scene.ssm.fail(FOR_EVER, failure);
    deploy(scene)
}

fn refused(scene: &Scene, error: &'static str, words: &'static str) -> Ran {
    fail(scene, Failure::Error(error, words))
}

fn with_env(scene: &Scene, value: &str) -> Ran {
    let app = scene.app(&format!("    EXTRA: {value}\n"));
    scene.run_once(&scene.config("good", &app))
}
