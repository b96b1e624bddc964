//! Promises of the metadata client.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use std::net::Ipv4Addr;
use std::time::{Duration, Instant};

use preview_agent::aws::{Imds, ImdsError};
use support::imds::{FakeImds, IDENTITY, INSTANCE_ID, REGION};
use tokio::net::{TcpListener, TcpSocket, TcpStream};

const PUBLIC_IP: &str = "/latest/meta-data/public-ipv4";

fn connect(endpoint: &str) -> Imds {
    rustls::crypto::ring::default_provider().install_default().ok();
    Imds::connect(Some(endpoint)).unwrap()
}

#[tokio::test]
async fn one_document_and_the_public_address_tell_who_the_instance_is() {
    let fake = FakeImds::start();
    let instance = connect(&fake.endpoint()).instance().await.unwrap().unwrap();
    assert_eq!(instance.id, INSTANCE_ID);
    assert_eq!(instance.region, REGION);
    assert_eq!(instance.availability_zone.as_deref(), Some("eu-central-1a"));
    assert_eq!(instance.instance_type.as_deref(), Some("t3.small"));
    assert_eq!(instance.image_id.as_deref(), Some("ami-0123456789abcdef0"));
    assert_eq!(instance.account_id.as_deref(), Some("123456789012"));
    assert_eq!(instance.architecture.as_deref(), Some("x86_64"));
    assert_eq!(instance.private_ip.unwrap().to_string(), "172.31.5.6");
    assert_eq!(instance.public_ip.unwrap().to_string(), "203.0.113.7");
    let paths: Vec<String> = fake.seen().into_iter().map(|s| format!("{} {}", s.method, s.path)).collect();
    assert_eq!(
        paths,
        ["PUT /latest/api/token", &format!("GET {IDENTITY}"), &format!("GET {PUBLIC_IP}")],
        "one token, version 2 only"
    );
}

#[tokio::test]
async fn an_instance_without_a_public_address_is_no_error() {
    let fake = FakeImds::start();
    fake.remove(PUBLIC_IP);
    let instance = connect(&fake.endpoint()).instance().await.unwrap().unwrap();
    assert_eq!(instance.public_ip, None);
}

#[tokio::test]
async fn a_tag_is_read_and_an_absent_one_is_none() {
    let fake = FakeImds::start();
    let imds = connect(&fake.endpoint());
    assert_eq!(imds.tag("Name").await.unwrap(), None, "tags not enabled");
    fake.set_tag("pr-preview:number", "42 – größer");
    assert_eq!(imds.tag("pr-preview:number").await.unwrap().as_deref(), Some("42 – größer"));
    assert_eq!(imds.tag("other").await.unwrap(), None);
}

#[tokio::test]
async fn a_tag_name_cannot_ask_for_another_path() {
    let fake = FakeImds::start();
    let imds = connect(&fake.endpoint());
    for name in ["", ".", "..", "_index", "../../iam/security-credentials/", "a b", "a?b", "a%2fb"] {
        assert_eq!(imds.tag(name).await.unwrap(), None, "{name}");
    }
    assert!(fake.seen().is_empty(), "{:?}", fake.seen());
}

#[tokio::test]
async fn a_refused_token_is_replaced_by_a_new_one() {
    let fake = FakeImds::start();
    let imds = connect(&fake.endpoint());
    imds.instance().await.unwrap();
    fake.expire_tokens();
    imds.instance().await.unwrap();
    let tokens = fake.seen().iter().filter(|seen| seen.method == "PUT").count();
    assert_eq!(tokens, 2, "one at first, one after the 401");
}

#[tokio::test]
async fn a_failing_service_is_asked_again() {
    let fake = FakeImds::start();
    fake.fail(3, 503);
    let started = Instant::now();
    connect(&fake.endpoint()).instance().await.unwrap().unwrap();
    assert!(started.elapsed() >= Duration::from_millis(1500), "asked without a pause");
}

#[tokio::test]
async fn a_service_that_keeps_failing_is_given_up_after_four_tries() {
    let fake = FakeImds::start();
    fake.fail(100, 500);
    let error = connect(&fake.endpoint()).instance().await.unwrap_err();
    assert!(matches!(error, ImdsError::Status { status: 500, .. }), "{error}");
    assert_eq!(fake.seen().iter().filter(|seen| seen.path == IDENTITY).count(), 4);
}

#[tokio::test]
async fn forbidden_is_final_and_named() {
    let fake = FakeImds::start();
    fake.forbid();
    let error = connect(&fake.endpoint()).instance().await.unwrap_err();
    assert!(matches!(error, ImdsError::Forbidden { .. }), "{error}");
    assert_eq!(fake.seen().len(), 1, "asked again");
}

#[tokio::test]
async fn a_token_that_never_arrives_is_told_apart_as_hop_limit() {
    let fake = FakeImds::start();
    fake.lose_tokens();
    let started = Instant::now();
    let error = connect(&fake.endpoint()).instance().await.unwrap_err();
    assert_eq!(error, ImdsError::TokenLost { endpoint: fake.endpoint() });
    assert!(error.to_string().contains("hop limit"), "{error}");
    assert!(started.elapsed() < Duration::from_secs(8), "{:?}", started.elapsed());
}

#[tokio::test]
async fn nothing_there_is_unreachable_within_a_second() {
    let gone = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap().local_addr().unwrap();
    let started = Instant::now();
    let error = connect(&format!("http://{gone}")).instance().await.unwrap_err();
    assert!(matches!(&error, ImdsError::Unreachable { reason, .. } if reason.contains("refused")), "{error}");
    assert!(started.elapsed() < Duration::from_secs(2), "{:?}", started.elapsed());
}

#[tokio::test]
async fn a_black_hole_is_unreachable_within_five_seconds() {
    // A full accept queue: the kernel drops every further SYN, as a firewall does.
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind((Ipv4Addr::LOCALHOST, 0).into()).unwrap();
    let listener = socket.listen(1).unwrap();
    let address = listener.local_addr().unwrap();
    let mut queued = Vec::new();
    while let Ok(stream) = tokio::time::timeout(Duration::from_millis(300), TcpStream::connect(address)).await
    {
        queued.push(stream.unwrap());
    }
    let started = Instant::now();
    let error = connect(&format!("http://{address}")).instance().await.unwrap_err();
    let took = started.elapsed();
    assert!(
        matches!(&error, ImdsError::Unreachable { reason, .. } if reason.contains("connecting")),
        "{error}"
    );
    assert!(took > Duration::from_secs(3) && took < Duration::from_secs(5), "{took:?}");
}

#[tokio::test]
async fn answers_that_are_none_are_refused_without_being_quoted() {
    let fake = FakeImds::start();
    let imds = connect(&fake.endpoint());
    let control = r#"{"instanceId":"i-1\u001b[31m","region":"eu-central-1"}"#;
    let endless = r#"{"instanceId":"i-1","region":"REGION"}"#.replace("REGION", &"r".repeat(2000));
    let bodies: [&[u8]; 7] = [
        b"<html>Welcome, please log in</html>",
        b"",
        b"{}",
        br#"{"instanceId":"","region":"eu-central-1"}"#,
        control.as_bytes(),
        endless.as_bytes(),
        &[0xff, 0xfe],
    ];
    for body in bodies {
        fake.set(IDENTITY, body);
        let error = imds.instance().await.unwrap_err();
        assert!(matches!(error, ImdsError::Malformed { .. }), "{error}");
        let text = error.to_string();
        assert!(!text.contains("Welcome") && !text.contains('\u{1b}') && text.len() < 250, "{text}");
    }
    fake.set_tag("Name", "two\nlines");
    assert!(matches!(imds.tag("Name").await, Err(ImdsError::Malformed { .. })));
}

#[tokio::test]
async fn a_huge_body_is_not_read_to_its_end() {
    let fake = FakeImds::start();
    fake.set(IDENTITY, vec![b' '; 64 * 1024 * 1024]);
    let error = connect(&fake.endpoint()).instance().await.unwrap_err();
    assert!(error.to_string().contains("64 KiB"), "{error}");
}

#[tokio::test]
async fn switched_off_by_environment_is_no_instance_and_no_request() {
    rustls::crypto::ring::default_provider().install_default().ok();
    let imds = Imds::connect(None).unwrap();
    assert_eq!(imds.instance().await.unwrap(), None);
    assert_eq!(imds.tag("Name").await.unwrap(), None);
}

#[test]
fn an_address_that_is_no_url_is_refused() {
    rustls::crypto::ring::default_provider().install_default().ok();
    for endpoint in ["", "169.254.1.1", "ftp://127.0.0.1", "https://127.0.0.1"] {
        assert!(matches!(Imds::connect(Some(endpoint)), Err(ImdsError::Endpoint { .. })), "{endpoint}");
    }
}
