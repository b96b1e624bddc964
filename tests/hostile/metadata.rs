//! What answers at the address of the metadata service: facts, tags, the role's credentials.

use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::http::Uri;
use axum::response::{IntoResponse as _, Response};
use bytes::Bytes;
use futures_util::{StreamExt as _, stream};
use preview_agent::aws::{Aws, Endpoints, Imds};
use preview_agent::status::Fault;

use crate::row::{Row, refused, row};
use crate::support::imds::{FakeImds, IDENTITY};
use crate::support::server::Server;
use crate::support::ssm::FakeSsm;
use crate::support::wait::block_on;

const KIND: &str = "metadata";
const PUBLIC_IP: &str = "/latest/meta-data/public-ipv4";
const ROLE: &str = "/latest/meta-data/iam/security-credentials/";
const TAG: &str = "/latest/meta-data/tags/instance/Name";
const LEAST: &str = r#"{"instanceId":"i-1","region":"eu-1"}"#;

/// What the instance knows of itself after this service's answers, or the fault without its address.
fn told(endpoint: &str) -> String {
    rustls::crypto::ring::default_provider().install_default().ok();
    let imds = Imds::connect(Some(endpoint)).unwrap();
    let told = block_on(async {
        let instance = imds.instance().await?.unwrap();
        let tag = imds.tag("Name").await?;
        let tag = tag.map(|tag| format!(", tagged {tag}")).unwrap_or_default();
        Ok::<_, preview_agent::aws::ImdsError>(format!("{} in {}{tag}", instance.id, instance.region))
    });
    match told {
        Ok(told) => told,
        Err(error) => {
            let words = refused(Fault::from(error));
            let (before, after) = words.split_once(" at http://").unwrap_or((&words, ""));
            format!("{before}{}", after.split_once(' ').map_or(String::new(), |(_, rest)| format!(" {rest}")))
        }
    }
}

fn answer<B: Into<Vec<u8>>>(
    input: &'static str,
    becomes: &'static str,
    path: &'static str,
    body: impl Fn() -> B + Send + 'static,
) -> Row {
    row(KIND, input, becomes, move || {
        let fake = FakeImds::start();
        fake.set(path, body());
        told(&fake.endpoint())
    })
}

fn text(input: &'static str, becomes: &'static str, path: &'static str, body: &'static str) -> Row {
    answer(input, becomes, path, move || body)
}

fn identity(input: &'static str, becomes: &'static str, body: &'static str) -> Row {
    text(input, becomes, IDENTITY, body)
}

/// A document that has these fields as well.
fn beside(input: &'static str, becomes: &'static str, more: &'static str) -> Row {
    answer(input, becomes, IDENTITY, move || LEAST.replace('}', &format!(",{more}}}")))
}

/// A service whose documents are streams.
fn streaming(body: fn() -> Body) -> String {
    let answer = move |uri: Uri| async move {
        match uri.path() {
            "/latest/api/token" => "token".into_response(),
            _ => Response::new(body()),
        }
    };
    let server = Server::start(Router::new().fallback(answer));
    told(&server.url())
}

/// What a question to the parameter store ends in with the role that the service tells.
fn credentials(role: impl Into<Vec<u8>>, path: &str, document: impl Into<Vec<u8>>) -> String {
    rustls::crypto::ring::default_provider().install_default().ok();
    let (imds, ssm) = (FakeImds::start(), FakeSsm::start());
    ssm.set("/a", "value-of-a");
    imds.set(ROLE, role);
    imds.set(&format!("{ROLE}{path}"), document);
    let endpoints = Endpoints { imds: Some(imds.endpoint()), ssm: Some(ssm.endpoint()), ecr: None };
    block_on(async {
        let aws = Aws::connect(endpoints, Some("eu-central-1")).await.unwrap();
        match aws.parameters().fetch(&["/a".to_owned()]).await {
            Ok(_) => "asked with the role's keys".to_owned(),
            Err(error) => refused(Fault::from(error)),
        }
    })
}

fn role(input: &'static str, becomes: &'static str, name: &'static [u8], document: fn() -> String) -> Row {
    row(KIND, input, becomes, move || credentials(name, "preview-role", document()))
}

pub fn rows() -> Vec<Row> {
    [documents(), facts(), streams(), roles()].into_iter().flatten().collect()
}

const NOT_ONE: &str = "`imds_unreachable`: not an identity document";
const LARGE: &str = "`imds_unreachable`: larger than 64 KiB";
const CONTROL: &str = "`imds_unreachable`: control characters";

fn documents() -> Vec<Row> {
    vec![
        identity("a page of HTML", NOT_ONE, "<html>Welcome, please log in</html>"),
        identity("nothing", NOT_ONE, ""),
        identity("null", NOT_ONE, "null"),
        identity("a number", NOT_ONE, "42"),
        identity("a text", NOT_ONE, "\"i-1\""),
        identity("an empty list", NOT_ONE, "[]"),
        identity("an empty document", NOT_ONE, "{}"),
        identity("an id that is a number", NOT_ONE, r#"{"instanceId":1,"region":"eu-1"}"#),
        identity("a region that is a list", NOT_ONE, r#"{"instanceId":"i-1","region":["eu-1"]}"#),
        identity("an id given twice", NOT_ONE, r#"{"instanceId":"i-1","instanceId":"i-2","region":"eu-1"}"#),
        beside("an address that is none", NOT_ONE, r#""privateIp":"here""#),
        identity(
            "an empty id",
            "`imds_unreachable`: /document: empty",
            r#"{"instanceId":"","region":"eu-1"}"#,
        ),
        identity(
            "terminal escapes in the region",
            CONTROL,
            r#"{"instanceId":"i-1","region":"\u001b[31meu"}"#,
        ),
        identity("a line break in the id", CONTROL, r#"{"instanceId":"i-1\n{{","region":"eu-1"}"#),
        beside("a NUL in the zone", CONTROL, r#""availabilityZone":"\u0000""#),
        identity("two documents", NOT_ONE, "{\"instanceId\":\"i-1\",\"region\":\"eu-1\"}{}"),
        identity("a byte order mark", NOT_ONE, "\u{feff}{\"instanceId\":\"i-1\",\"region\":\"eu-1\"}"),
        beside(
            "garbage in fields that nobody reads",
            "i-1 in eu-1",
            r#""kernelId":[{"a":1e999}],"version":{}"#,
        ),
        answer("100,000 open brackets", LARGE, IDENTITY, || "[".repeat(100_000)),
        answer("60,000 open brackets", NOT_ONE, IDENTITY, || format!("{{\"x\":{}", "[".repeat(60_000))),
        answer("bytes that are not UTF-8", "`imds_unreachable`: /document: not UTF-8", IDENTITY, || {
            b"\xff\xfe"
        }),
        answer("an id of 2,000 characters", "`imds_unreachable`: /document: too long", IDENTITY, || {
            format!(r#"{{"instanceId":"{}","region":"eu-1"}}"#, "i".repeat(2000))
        }),
        answer("a document of 64 KiB and one byte", LARGE, IDENTITY, || vec![b' '; 64 * 1024 + 1]),
        answer("a document in 60 KiB of spaces", "i-1 in eu-1", IDENTITY, || {
            format!("{LEAST}{}", " ".repeat(60 * 1024))
        }),
    ]
}

fn facts() -> Vec<Row> {
    const NO_IP: &str = "`imds_unreachable`: public-ipv4…not an IPv4 address";
    vec![
        text("a public address that is a page", NO_IP, PUBLIC_IP, "<html>"),
        text("a public address of IPv6", NO_IP, PUBLIC_IP, "2001:db8::1"),
        text("a public address beyond 255", NO_IP, PUBLIC_IP, "203.0.113.700"),
        text("a public address with a line break", CONTROL, PUBLIC_IP, "203.0.113.7\n"),
        text("two public addresses", NO_IP, PUBLIC_IP, "203.0.113.7 203.0.113.8"),
        text(
            "a tag with double braces",
            "i-0abc123def4567890 in eu-central-1, tagged {{ssm:/x}}",
            TAG,
            "{{ssm:/x}}",
        ),
        text("a tag with terminal escapes", CONTROL, TAG, "\u{1b}[31mred"),
        text("a tag of two lines", CONTROL, TAG, "two\nlines"),
        text("a tag with a NUL", CONTROL, TAG, "a\0b"),
        text("an empty tag", "`imds_unreachable`: /tags/instance/Name: empty", TAG, ""),
        answer("a tag of 2,000 characters", "`imds_unreachable`: /tags/instance/Name: too long", TAG, || {
            vec![b'x'; 2000]
        }),
        answer("a tag that is not UTF-8", "`imds_unreachable`: /tags/instance/Name: not UTF-8", TAG, || {
            vec![b'a', 0xc3]
        }),
    ]
}

fn streams() -> Vec<Row> {
    let stream = |input, becomes, body: fn() -> Body| row(KIND, input, becomes, move || streaming(body));
    vec![
        stream("100 MB of spaces", LARGE, || {
            let piece = Bytes::from(vec![b' '; 1 << 20]);
            Body::from_stream(stream::iter(std::iter::repeat_n(piece, 100)).map(Ok::<_, std::io::Error>))
        })
        .within(64),
        stream("a byte each 200 ms, for ever", "`imds_unreachable`: timed out", || {
            let drip = stream::unfold((), async |()| {
                tokio::time::sleep(Duration::from_millis(200)).await;
                Some((Ok::<_, std::io::Error>(Bytes::from_static(b" ")), ()))
            });
            Body::from_stream(drip)
        }),
        stream("an answer that breaks off", "`imds_unreachable`: does not answer", || {
            let pieces = [Ok(Bytes::from_static(b"{\"instanceId\":")), Err(std::io::Error::other("cut off"))];
            Body::from_stream(stream::iter(pieces))
        }),
    ]
}

fn good() -> String {
    r#"{"Code":"Success","AccessKeyId":"ASIAROLEOFTHEINSTANCE","SecretAccessKey":"k","Token":"t","Expiration":"2099-01-01T00:00:00Z"}"#.to_owned()
}

fn roles() -> Vec<Row> {
    const NONE: &str = "`aws_credentials`";
    vec![
        role("a role with a line break behind its name", NONE, b"preview-role\n", good),
        role("a role with slashes", NONE, b"../../dynamic/instance-identity/document", good),
        role("a role with a line break inside", NONE, b"a\r\nX-Injected: 1", good),
        role("a role that is a page", NONE, b"<html>Welcome</html>", good),
        role("an empty role", NONE, b"", good),
        role("a role that is not UTF-8", NONE, b"\xff\xfe", good),
        role("credentials that are garbage", NONE, b"preview-role", || "garbage".into()),
        role("credentials of wrong types", NONE, b"preview-role", || r#"{"Code":1,"AccessKeyId":[]}"#.into()),
        role("credentials of 60,000 open brackets", NONE, b"preview-role", || "[".repeat(60_000)),
        role(
            "credentials with a line break in the key",
            "`aws_credentials`: control characters",
            b"preview-role",
            || good().replace("ASIAROLE", "ASIA\\r\\nX: ROLE"),
        ),
        role("credentials of a service that says no", NONE, b"preview-role", || {
            r#"{"Code":"AssumeRoleUnauthorizedAccess","Message":"no"}"#.into()
        }),
    ]
}
