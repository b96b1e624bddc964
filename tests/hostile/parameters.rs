//! What the parameter store answers, and values that somebody stored there.

use axum::Router;
use axum::body::Body;
use axum::response::Response;
use bytes::Bytes;
use preview_agent::aws::{Aws, Endpoints};
use preview_agent::status::Fault;
use serde_json::json;

use crate::row::{Row, refused, row};
use crate::support::docker::{FakeDocker, document, refusal};
use crate::support::imds::FakeImds;
use crate::support::registry::architecture;
use crate::support::server::Server;
use crate::support::wait::block_on;
use crate::support::world::World;

const ANSWERS: &str = "answer of the parameter store";
const VALUES: &str = "parameter or tag";

/// What a question ends in that is answered with these bytes.
fn answered(body: Bytes) -> String {
    rustls::crypto::ring::default_provider().install_default().ok();
    let imds = FakeImds::start();
    let answer = move || async move {
        let mut response = Response::new(Body::from(body));
        response.headers_mut().insert("content-type", "application/x-amz-json-1.1".parse().unwrap());
        response
    };
    let server = Server::start(Router::new().fallback(answer));
    let endpoints = Endpoints { imds: Some(imds.endpoint()), ssm: Some(server.url()), ecr: None };
    block_on(async {
        let aws = Aws::connect(endpoints, Some("eu-central-1")).await.unwrap();
        match aws.parameters().fetch(&["/a".to_owned()]).await {
            Ok(found) => match &found["/a"] {
                preview_agent::aws::Fetched::Value(_) => "a value".to_owned(),
                other => format!("{other:?}").to_lowercase(),
            },
            Err(error) => {
                let words = refused(Fault::from(error));
                words.replace(&server.url(), "SSM")
            }
        }
    })
}

fn answer(input: &'static str, becomes: &'static str, body: fn() -> String) -> Row {
    row(ANSWERS, input, becomes, move || answered(Bytes::from(body())))
}

pub fn rows() -> Vec<Row> {
    [answers(), values()].into_iter().flatten().collect()
}

fn answers() -> Vec<Row> {
    const UNREADABLE: &str = "`parameters_unreachable`";
    vec![
        answer("garbage", UNREADABLE, || "garbage".into()),
        answer("a page of HTML", UNREADABLE, || "<html>Welcome</html>".into()),
        answer("nothing", "missing", String::new),
        answer("null", UNREADABLE, || "null".into()),
        answer("a list", UNREADABLE, || "[]".into()),
        answer("an empty document", "missing", || "{}".into()),
        answer("parameters that are null", "missing", || r#"{"Parameters":null}"#.into()),
        answer("parameters that are a text", UNREADABLE, || r#"{"Parameters":"x"}"#.into()),
        answer("a parameter without name and value", "missing", || r#"{"Parameters":[{}]}"#.into()),
        answer("a value that is a number", UNREADABLE, || {
            r#"{"Parameters":[{"Name":"/a","Value":1}]}"#.into()
        }),
        answer("a value that is null", "missing", || r#"{"Parameters":[{"Name":"/a","Value":null}]}"#.into()),
        answer("100,000 open brackets", UNREADABLE, || format!("{{\"Parameters\":{}", "[".repeat(100_000))),
        answer("100,000 open brackets where nobody reads", UNREADABLE, || {
            format!("{{\"x\":{}", "[".repeat(100_000))
        }),
        answer("a document that is cut", UNREADABLE, || r#"{"Parameters":[{"Name":"/a","Val"#.into()),
        answer("a value of 20 MB: the AWS client bounds no answer", "a value", || {
            json!({"Parameters": [{"Name": "/a", "Value": "x".repeat(20 << 20)}]}).to_string()
        })
        .within(200),
    ]
}

/// A run whose deployment's name and environment are these; what became of it, with its status held
/// against the schema, its length and `{{`.
fn deployed(tag: &'static [u8], value: &'static str) -> String {
    let image = json!({"Id": "sha256:1", "Architecture": architecture(), "RepoDigests": []});
    let created = std::sync::Arc::new(std::sync::Mutex::new(false));
    let seen = created.clone();
    let fake = FakeDocker::start(move |method, path| match (method, path) {
        ("POST", path) if path.starts_with("/containers/create") => {
            *seen.lock().unwrap() = true;
            Some(refusal(500, "the end of this test"))
        }
        ("POST", "/networks/create") => Some(document(&json!({"Id": "n1", "Warning": ""}))),
        ("GET", path) if path.starts_with("/images/") => Some(document(&image)),
        _ => None,
    });
    let mut world = World::new();
    world.imds.set("/latest/meta-data/tags/instance/Pr", tag);
    world.ssm.set("/test/value", value);
    world.set_env("DOCKER_HOST", &fake.host());
    let digest = format!("sha256:{}", "0".repeat(64));
    let ran = world.run_once(&format!(
        "image: ghcr.io/acme/api@{digest}\ndeployment: {{ id: \"${{instance.tag.Pr}}\" }}\ndatabase: off\nmigrate: off\n\
         report: {{ parameter: /test/status }}\n{}",
        world.app("    VALUE: { ssm: /test/value }\n    TAG: \"${instance.tag.Pr}\"\n")
    ));
    let text = String::from_utf8(world.status_bytes()).unwrap();
    assert!(!text.contains("{{"), "{text}");
    let odd = text.chars().find(|c| c.is_control() && *c != '\n');
    assert_eq!(odd, None, "{text}");
    assert!(!world.written().is_empty(), "nothing reached the parameter");
    let fault = &ran.status["fault"];
    let told =
        ran.status["run"]["deployment"].as_str().map_or("without its name".into(), |id| format!("as {id}"));
    if *created.lock().unwrap() {
        format!("deployed {told}")
    } else {
        format!("`{}`: {}", fault["code"].as_str().unwrap(), fault["message"].as_str().unwrap())
    }
}

fn tag(input: &'static str, becomes: &'static str, tag: &'static [u8]) -> Row {
    row(VALUES, input, becomes, move || deployed(tag, "a-plain-value"))
}

fn value(input: &'static str, becomes: &'static str, value: impl Fn() -> String + Send + 'static) -> Row {
    row(VALUES, input, becomes, move || deployed(b"pr-42", Box::leak(value().into_boxed_str())))
}

fn values() -> Vec<Row> {
    const PLAIN: &str = "deployed as pr-42";
    vec![
        tag("a tag with double braces", "deployed as {{ssm:/x}}", b"{{ssm:/x}}"),
        tag("a tag with three braces in a row", "deployed as {{{{{{x", b"{{{{{{x"),
        tag("a tag with quotes and backslashes", "deployed as a\"b\\c'd", b"a\"b\\c'd"),
        tag("a tag with marks that turn the direction of writing", "deployed as ab", "a\u{202e}b".as_bytes()),
        tag(
            "a tag of 1,000 characters",
            "deployed as xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx…",
            &[b'x'; 1000],
        ),
        tag("a tag with terminal escapes", "`config_invalid`", b"\x1b[31mred"),
        tag("a tag of two lines", "`config_invalid`", b"two\nlines"),
        tag("an empty tag", "`config_invalid`", b""),
        value("a value with double braces", PLAIN, || "{{ssm:/x}}".into()),
        value("a value with terminal escapes", PLAIN, || "\u{1b}[31mred\u{7}".into()),
        value("a value of three lines", PLAIN, || "one\ntwo\r\nthree\n".into()),
        value("a value of 200 KB", "deployed as pr-42", || "x".repeat(200_000)),
        value("a value with a NUL", "`config_invalid`: app.env.VALUE…NUL", || "secret\0value".into()),
        value("an empty value", PLAIN, String::new),
        value("a value of one space", PLAIN, || " ".into()),
    ]
}
