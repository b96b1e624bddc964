//! Promises of the parameter store and the ECR login.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use preview_agent::aws::{Aws, AwsError, Endpoints, Fetched, Parameters};
use secrecy::ExposeSecret as _;
use support::imds::{FakeImds, REGION, ROLE_ACCESS_KEY};
use support::ssm::{Failure, FakeSsm, arn};

/// Turns up in no error and no Debug output, whatever goes wrong.
const CANARY: &str = "canary-value-5f1d";

/// An instance with a role, and the store it reaches.
struct Scene {
    imds: FakeImds,
    ssm: FakeSsm,
}

impl Scene {
    fn new() -> Self {
        rustls::crypto::ring::default_provider().install_default().ok();
        Self { imds: FakeImds::start(), ssm: FakeSsm::start() }
    }

    async fn aws(&self) -> Aws {
        let ssm = Some(self.ssm.endpoint());
        let endpoints = Endpoints { imds: Some(self.imds.endpoint()), ecr: ssm.clone(), ssm };
        Aws::connect(endpoints, Some(REGION)).await.unwrap()
    }

    async fn parameters(&self) -> Parameters {
        self.aws().await.parameters()
    }

    async fn fetch(&self, names: &[&str]) -> Result<BTreeMap<String, Fetched>, AwsError> {
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        self.parameters().await.fetch(&names).await
    }

    async fn fetch_error(&self) -> AwsError {
        self.ssm.set("/app/a", CANARY);
        let error = self.fetch(&["/app/a"]).await.unwrap_err();
        assert!(!format!("{error} {error:?}").contains(CANARY));
        error
    }
}

#[track_caller]
fn value(results: &BTreeMap<String, Fetched>, name: &str) -> String {
    match &results[name] {
        Fetched::Value(value) => value.expose_secret().to_owned(),
        other => panic!("{name}: {other:?}"),
    }
}

#[tokio::test]
async fn values_are_fetched_decrypted_ten_at_a_time_with_the_instance_role() {
    let scene = Scene::new();
    let names: Vec<String> = (0..23).map(|i| format!("/app/secret-{i}")).collect();
    names.iter().for_each(|name| scene.ssm.set(name, &format!("value of {name}")));
    let mut asked: Vec<&str> = names.iter().map(String::as_str).collect();
    asked.push("/app/secret-0");
    let results = scene.fetch(&asked).await.unwrap();
    assert_eq!(results.len(), 23, "asked twice, answered once");
    names.iter().for_each(|name| assert_eq!(value(&results, name), format!("value of {name}")));
    let calls = scene.ssm.calls();
    assert_eq!(calls.iter().map(|call| call.names.len()).collect::<Vec<_>>(), [10, 10, 3]);
    assert!(calls.iter().all(|call| call.access_key == ROLE_ACCESS_KEY && call.region == REGION));
}

#[tokio::test]
async fn nothing_asked_is_nothing_called() {
    let scene = Scene::new();
    assert!(scene.fetch(&[]).await.unwrap().is_empty());
    assert!(scene.ssm.calls().is_empty() && scene.imds.seen().is_empty());
}

#[tokio::test]
async fn results_are_found_under_the_name_that_was_asked_for() {
    let scene = Scene::new();
    scene.ssm.set("/app/a", "one");
    scene.ssm.set_secret("db/main", r#"{"password":"p"}"#);
    let by_arn = arn("/app/a");
    let names = ["/app/a", "/app/a:1", by_arn.as_str(), "/aws/reference/secretsmanager/db/main"];
    let results = scene.fetch(&names).await.unwrap();
    names[..3].iter().for_each(|name| assert_eq!(value(&results, name), "one"));
    assert_eq!(value(&results, names[3]), r#"{"password":"p"}"#);
}

#[tokio::test]
async fn missing_and_denied_names_hide_no_other() {
    let scene = Scene::new();
    for name in ["/app/a", "/app/denied", "/app/key", "/app/z"] {
        scene.ssm.set(name, CANARY);
    }
    scene.ssm.deny("/app/denied");
    scene.ssm.deny_key("/app/key");
    let names = ["/app/a", "/app/denied", "/app/key", "/app/missing", "/app/z", "/app/b c", "/app/a:7"];
    let results = scene.fetch(&names).await.unwrap();
    assert_eq!(value(&results, "/app/a"), CANARY);
    assert_eq!(value(&results, "/app/z"), CANARY);
    assert!(matches!(results["/app/missing"], Fetched::Missing));
    assert!(matches!(results["/app/a:7"], Fetched::Missing), "no such version");
    let Fetched::Refused(denied) = &results["/app/denied"] else { panic!("{results:?}") };
    assert_eq!(denied.to_string(), format!("ssm:GetParameters is denied on {}", arn("/app/denied")));
    let Fetched::Refused(key) = &results["/app/key"] else { panic!("{results:?}") };
    assert!(key.to_string().contains("kms:Decrypt is denied on the key of /app/key"), "{key}");
    let Fetched::Refused(odd) = &results["/app/b c"] else { panic!("{results:?}") };
    assert_eq!(odd.code(), Some("ValidationException"));
    assert!(!format!("{results:?}").contains(CANARY), "a value shows in Debug");
}

#[tokio::test]
async fn throttling_is_outlasted() {
    let scene = Scene::new();
    scene.ssm.set("/app/a", "one");
    scene.ssm.fail(2, Failure::Throttled);
    let results = scene.fetch(&["/app/a"]).await.unwrap();
    assert_eq!(value(&results, "/app/a"), "one");
    assert_eq!(scene.ssm.calls().len(), 3);
}

#[tokio::test]
async fn failures_of_all_names_are_told_apart() {
    let scene = Scene::new();
    let expired = "The security token included in the request is expired";
    let skewed = "Signature expired: 20261121T080000Z is now earlier than 20261121T081500Z";
    type Check = fn(&AwsError) -> bool;
    let cases: [(Failure, Check); 8] = [
        (Failure::Throttled, |e| matches!(e, AwsError::Throttled { .. })),
        (Failure::Internal, |e| matches!(e, AwsError::Unavailable { .. })),
        (Failure::Garbage, |e| matches!(e, AwsError::Unavailable { .. })),
        (Failure::Error("ExpiredTokenException", expired), |e| matches!(e, AwsError::Credentials { .. })),
        (Failure::Error("UnrecognizedClientException", "The security token is invalid."), |e| {
            matches!(e, AwsError::Credentials { .. })
        }),
        (Failure::Error("InvalidSignatureException", skewed), |e| matches!(e, AwsError::ClockSkew { .. })),
        (Failure::Error("RequestTimeTooSkewed", "too skewed"), |e| matches!(e, AwsError::ClockSkew { .. })),
        (Failure::Error("InvalidSignatureException", "The request signature does not match"), |e| {
            matches!(e, AwsError::Credentials { .. })
        }),
    ];
    for (failure, expected) in cases {
        scene.ssm.fail(usize::MAX, failure.clone());
        let error = scene.fetch_error().await;
        assert!(expected(&error), "{failure:?} became {error:?}");
        assert!(error.retryable() && !error.to_string().contains("html"), "{error}");
        scene.ssm.recover();
    }
}

#[tokio::test]
async fn a_store_that_cannot_be_reached_is_named_with_the_reason() {
    let mut scene = Scene::new();
    scene.ssm.stop();
    let error = scene.fetch_error().await;
    let text = error.to_string();
    assert!(matches!(error, AwsError::Unreachable { .. }), "{error:?}");
    assert!(text.contains(&scene.ssm.endpoint()) && text.contains("refused"), "{text}");
    scene.ssm.restart();
    assert!(scene.fetch(&["/app/a"]).await.is_ok());
}

#[tokio::test]
async fn a_store_that_never_answers_is_given_up_within_thirty_seconds() {
    let scene = Scene::new();
    scene.ssm.fail(usize::MAX, Failure::Hang);
    let started = Instant::now();
    let (fetched, put) = tokio::join!(scene.fetch_error(), async {
        let put = scene.parameters().await.put("/app/status", "{}").await;
        (put.unwrap_err(), started.elapsed())
    });
    assert!(matches!(fetched, AwsError::Unreachable { .. }), "{fetched}");
    assert!(started.elapsed() < Duration::from_secs(31), "{:?}", started.elapsed());
    let (put, took) = put;
    assert!(matches!(put, AwsError::Unreachable { .. }) && put.retryable(), "{put}");
    assert!(took < Duration::from_secs(11), "{took:?}");
}

#[tokio::test]
async fn credentials_that_are_not_there_are_told_with_the_reason() {
    let scene = Scene::new();
    let reason_of = async || match scene.fetch_error().await {
        AwsError::Credentials { reason, .. } => reason,
        other => panic!("{other:?}"),
    };
    let role = "/latest/meta-data/iam/security-credentials/preview-role";
    scene.imds.set(role, format!("{{\"Code\":\"Success\",\"SecretAccessKey\":\"{CANARY}\""));
    assert!(reason_of().await.contains("expected object key"), "and not what was there instead");
    scene.imds.remove_role();
    assert_eq!(reason_of().await, "none in environment or profile, and this instance has no role");
    scene.imds.fail(100, 500);
    assert!(reason_of().await.ends_with("(code: 500)."));
    scene.imds.lose_tokens();
    let reason = reason_of().await;
    assert!(reason.ends_with("the metadata service gives none: timed out"), "{reason}");
    scene.imds.forbid();
    assert!(reason_of().await.contains("IMDS is disabled"));
    assert!(scene.ssm.calls().is_empty());
}

#[tokio::test]
async fn an_endpoint_that_is_no_url_is_told_as_such() {
    let scene = Scene::new();
    let ssm = Some("not a url".to_owned());
    let endpoints = Endpoints { imds: Some(scene.imds.endpoint()), ecr: ssm.clone(), ssm };
    let aws = Aws::connect(endpoints, Some(REGION)).await.unwrap();
    let error = aws.parameters().put("/app/status", "{}").await.unwrap_err();
    assert!(matches!(&error, AwsError::Endpoint { reason } if reason.contains("not a url")), "{error:?}");
}

#[tokio::test]
async fn a_write_arrives_byte_for_byte_and_replaces_the_last() {
    let scene = Scene::new();
    let parameters = scene.parameters().await;
    let long = format!("{{\"verdict\":\"größer\",\"tail\":\"{}\"}}", "x\\n\u{1f600}".repeat(300));
    for value in ["{\"a\": {\"b\": 1} }", long.as_str()] {
        parameters.put("/pr/42/status", value).await.unwrap();
        assert_eq!(scene.ssm.value("/pr/42/status").as_deref(), Some(value));
    }
    assert_eq!(scene.ssm.writes().len(), 2);
}

#[tokio::test]
async fn a_refused_write_is_final_or_not_and_never_quotes_the_value() {
    let scene = Scene::new();
    let parameters = scene.parameters().await;
    scene.ssm.deny("/other/status");
    let error = parameters.put("/other/status", CANARY).await.unwrap_err();
    assert_eq!(error.to_string(), format!("ssm:PutParameter is denied on {}", arn("/other/status")));
    assert!(!error.retryable());
    for value in ["", &format!("{{{{{CANARY}}}}}"), &CANARY.repeat(300)] {
        let error = parameters.put("/pr/42/status", value).await.unwrap_err();
        assert_eq!(error.code(), Some("ValidationException"), "{error:?}");
        assert!(!error.retryable() && !format!("{error:?}").contains(CANARY), "{error:?}");
    }
    let echo =
        "1 validation error detected: Value 'canary-value-5f1d' at 'value' failed to satisfy constraint";
    scene.ssm.fail(1, Failure::Error("ValidationException", echo));
    let error = parameters.put("/pr/42/status", CANARY).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "ssm:PutParameter: ValidationException: 'value' failed to satisfy constraint"
    );
    scene.ssm.fail(usize::MAX, Failure::TooManyUpdates);
    let error = parameters.put("/pr/42/status", CANARY).await.unwrap_err();
    assert!(matches!(error, AwsError::Throttled { .. }) && error.retryable(), "{error:?}");
    assert!(scene.ssm.writes().is_empty());
}

#[tokio::test]
async fn the_ecr_login_comes_from_the_role_in_the_region_asked_for() {
    let scene = Scene::new();
    scene.ssm.set_ecr_password("pass:word/with=signs");
    let token = scene.aws().await.ecr_login("us-west-2").await.unwrap();
    assert_eq!(token.username, "AWS");
    assert_eq!(token.password.expose_secret(), "pass:word/with=signs");
    assert!(!format!("{token:?}").contains("with=signs"));
    let call = &scene.ssm.calls()[0];
    assert_eq!((call.action.as_str(), call.region.as_str()), ("GetAuthorizationToken", "us-west-2"));
    assert_eq!(call.access_key, ROLE_ACCESS_KEY);
}

#[tokio::test]
async fn an_ecr_login_that_is_denied_or_senseless_is_told() {
    let scene = Scene::new();
    let aws = scene.aws().await;
    let error = aws.ecr_login(REGION).await.unwrap_err();
    assert!(error.to_string().ends_with("ecr:GetAuthorizationToken is denied on *"), "{error}");
    scene.ssm.set_ecr_password("");
    let error = aws.ecr_login(REGION).await.unwrap_err();
    assert!(matches!(error, AwsError::Unavailable { .. }), "{error:?}");
}

/// Runs one of the tests below in a process with an environment of its own.
fn in_process(test: &str, env: &[(&str, &str)]) {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args([test, "--exact", "--ignored", "--nocapture"]);
    let keep = |name: &str| ["PATH", "LD_LIBRARY_PATH"].contains(&name);
    command.env_clear().envs(std::env::vars().filter(|(name, _)| keep(name)));
    let output = command.envs(env.iter().copied()).output().unwrap();
    let said =
        String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && said.contains("1 passed"), "{said}");
}

#[test]
fn the_usual_environment_of_the_sdk_is_honoured() {
    let scene = Scene::new();
    scene.ssm.set("/app/a", "one");
    scene.ssm.set_ecr_password("password");
    let (ssm, imds) = (scene.ssm.endpoint(), scene.imds.endpoint());
    let role = [
        ("AWS_ENDPOINT_URL_SSM", ssm.as_str()),
        ("AWS_ENDPOINT_URL_ECR", &ssm),
        ("AWS_EC2_METADATA_SERVICE_ENDPOINT", &imds),
    ];
    in_process("inner_fetch_and_login_by_environment", &role);
    let calls = scene.ssm.calls();
    assert_eq!(calls.len(), 2);
    assert!(calls.iter().all(|call| call.access_key == ROLE_ACCESS_KEY && call.region == "eu-west-1"));

    let asked = scene.imds.seen().len();
    let keys = [
        ("AWS_ENDPOINT_URL", ssm.as_str()),
        ("AWS_EC2_METADATA_SERVICE_ENDPOINT", &imds),
        ("AWS_ACCESS_KEY_ID", "AKIAENVIRONMENT"),
        ("AWS_SECRET_ACCESS_KEY", "secret"),
        ("AWS_REGION", "ap-south-1"),
    ];
    in_process("inner_fetch_and_login_by_environment", &keys);
    let last = &scene.ssm.calls()[2..];
    assert_eq!(last.iter().map(|call| call.access_key.as_str()).collect::<Vec<_>>(), ["AKIAENVIRONMENT"; 2]);
    assert_eq!(last[0].region, "ap-south-1", "the environment wins over the instance");
    assert_eq!(scene.imds.seen().len(), asked, "the role is the last resort");
}

#[test]
fn shared_profile_files_are_honoured() {
    let scene = Scene::new();
    scene.ssm.set("/app/a", "one");
    scene.ssm.set_ecr_password("password");
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str, text: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let endpoint = scene.ssm.endpoint();
    let config = file("config", &format!("[profile pr]\nregion = sa-east-1\nendpoint_url = {endpoint}\n"));
    let keys = file("credentials", "[pr]\naws_access_key_id = AKIAPROFILE\naws_secret_access_key = secret\n");
    let env = [
        ("AWS_PROFILE", "pr"),
        ("AWS_CONFIG_FILE", config.as_str()),
        ("AWS_SHARED_CREDENTIALS_FILE", &keys),
        ("AWS_EC2_METADATA_DISABLED", "true"),
    ];
    in_process("inner_fetch_and_login_by_environment", &env);
    let calls = scene.ssm.calls();
    assert_eq!((calls[0].access_key.as_str(), calls[0].region.as_str()), ("AKIAPROFILE", "sa-east-1"));
    assert!(scene.imds.seen().is_empty());
}

#[tokio::test]
#[ignore = "run by others in a process of its own"]
async fn inner_fetch_and_login_by_environment() {
    rustls::crypto::ring::default_provider().install_default().ok();
    let aws = Aws::connect(Endpoints::from_env(), Some("eu-west-1")).await.unwrap();
    let results = aws.parameters().fetch(&["/app/a".to_owned()]).await.unwrap();
    assert_eq!(value(&results, "/app/a"), "one");
    aws.ecr_login(aws.region()).await.unwrap();
}

#[test]
fn a_machine_without_ca_certificates_is_told_so() {
    let folder = tempfile::tempdir().unwrap();
    let nothing = folder.path().join("none.pem");
    std::fs::write(&nothing, "").unwrap();
    let nothing = nothing.to_str().unwrap();
    let folder = folder.path().to_str().unwrap();
    let env = [("SSL_CERT_FILE", nothing), ("SSL_CERT_DIR", folder), ("AWS_EC2_METADATA_DISABLED", "true")];
    in_process("inner_no_ca_certificates", &env);
}

#[tokio::test]
#[ignore = "run by others in a process of its own"]
async fn inner_no_ca_certificates() {
    rustls::crypto::ring::default_provider().install_default().ok();
    let error = Aws::connect(Endpoints::from_env(), Some("eu-west-1")).await.unwrap_err();
    assert_eq!(error, AwsError::CaCertificatesMissing);
    // The metadata service needs none.
    let fake = FakeImds::start();
    let imds = preview_agent::aws::Imds::connect(Some(&fake.endpoint())).unwrap();
    assert!(imds.instance().await.unwrap().is_some());
}

#[test]
fn without_any_region_the_error_says_where_one_could_be() {
    in_process("inner_no_region", &[("AWS_EC2_METADATA_DISABLED", "true")]);
}

#[tokio::test]
#[ignore = "run by others in a process of its own"]
async fn inner_no_region() {
    rustls::crypto::ring::default_provider().install_default().ok();
    let error = Aws::connect(Endpoints::from_env(), None).await.unwrap_err();
    assert_eq!(error, AwsError::RegionUnknown);
}

#[tokio::test]
async fn the_aws_client_reads_from_moto_what_was_written() {
    rustls::crypto::ring::default_provider().install_default().ok();
    let peers = support::peers::peers();
    let imds = FakeImds::start();
    let endpoint = Some(peers.ssm_endpoint.clone());
    let endpoints = Endpoints { imds: Some(imds.endpoint()), ssm: endpoint.clone(), ecr: endpoint };
    let aws = Aws::connect(endpoints, Some(REGION)).await.unwrap();
    let parameters = aws.parameters();
    let name = format!("/preview-agent-test/{}-{:x}/status", std::process::id(), fastrand::u64(..));
    let absent = format!("{name}-absent");
    for value in ["first", "{\"verdict\":\"ready – größer\"}"] {
        parameters.put(&name, value).await.unwrap();
        let arguments = ["ssm", "get-parameter", "--name", &name, "--query", "Parameter.[Value,Type]"];
        assert_eq!(aws_client(&peers.aws, &peers.ssm_endpoint, &arguments), format!("{value}\tString"));
    }
    let results = parameters.fetch(&[name.clone(), absent.clone()]).await.unwrap();
    assert_eq!(value(&results, &name), "{\"verdict\":\"ready – größer\"}");
    assert!(matches!(results[&absent], Fetched::Missing));
    assert_eq!(aws.ecr_login(REGION).await.unwrap().username, "AWS");
    aws_client(&peers.aws, &peers.ssm_endpoint, &["ssm", "delete-parameter", "--name", &name]);
}

fn aws_client(aws: &str, endpoint: &str, arguments: &[&str]) -> String {
    let output = Command::new(Path::new(aws))
        .args(["--region", REGION, "--output", "text", "--endpoint-url", endpoint])
        .args(arguments)
        .env("AWS_ACCESS_KEY_ID", "test")
        .env("AWS_SECRET_ACCESS_KEY", "test")
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().trim_end().to_owned()
}
