//! What a Docker Engine streams while it pulls or builds.

use std::collections::HashMap;
use std::path::Path;
use std::time::Duration;

use bytes::Bytes;
use futures_util::{Stream, stream};
use preview_agent::config::ImageReference;
use preview_agent::docker::build::{BuildError, BuildRequest, build};
use preview_agent::docker::{Engine, Scope};
use preview_agent::redact::Redactor;
use preview_agent::status::Fault;
use serde_json::json;

use crate::row::{Row, refused, row};
use crate::support::docker::{Answer, FakeDocker, cut_off, document, lines, refusal, stream_of};
use crate::support::registry::architecture;
use crate::support::wait::block_on;

const PULL: &str = "pull stream";
const BUILD: &str = "build stream";

/// Longer than a loaded machine needs for the next piece.
const STALL: Duration = Duration::from_secs(120);

pub async fn connect(fake: &FakeDocker) -> Engine {
    let scope = Scope::new(Path::new("/nowhere/of-the-hostile-tests"));
    Engine::connect(&fake.host(), scope, Duration::from_secs(10)).await.unwrap()
}

/// Bytes in pieces of a size.
pub fn pieces(bytes: impl Into<Bytes>, size: usize) -> impl Stream<Item = Bytes> + Send + 'static {
    let bytes = bytes.into();
    let starts = (0..bytes.len()).step_by(size);
    stream::iter(starts.map(move |at| bytes.slice(at..bytes.len().min(at + size))).collect::<Vec<_>>())
}

/// How a pull ends that the engine answers so, with the image there afterwards.
fn pulled(answer: impl Fn() -> Answer + Send + 'static) -> String {
    let image = json!({"Id": "sha256:1", "Architecture": architecture(), "RepoDigests": []});
    let fake = FakeDocker::start(move |method, path| match (method, path) {
        ("POST", path) if path.starts_with("/images/create") => Some(answer()),
        ("GET", path) if path.starts_with("/images/") => Some(document(&image)),
        _ => None,
    });
    block_on(async {
        let engine = connect(&fake).await;
        let image = ImageReference::parse("ghcr.io/acme/api:1").unwrap();
        match engine.pull(&image, None, STALL, |_| {}).await {
            Ok((_, digest)) => format!("pulled as {}", digest.unwrap_or_default()),
            Err(error) => refused(Fault::from(error)),
        }
    })
}

fn pull(input: &'static str, becomes: &'static str, answer: fn() -> Answer) -> Row {
    row(PULL, input, becomes, move || pulled(answer))
}

/// How every engine ends a pull that went well.
const END: &str =
    "{\"status\":\"Digest: sha256:2\"}\r\n{\"status\":\"Status: Image is up to date for x\"}\r\n";

fn bytes(text: &'static [u8]) -> Answer {
    stream_of(stream::iter([Bytes::from_static(text)]))
}

/// Lines without end, for those who stop listening.
fn endless(line: impl Fn(u64) -> String + Send + 'static) -> Answer {
    stream_of(stream::iter((0_u64..).map(move |n| Bytes::from(line(n)))))
}

/// How a build ends that the engine answers so, and the lines it told.
fn built(limit: Duration, answer: impl Fn() -> Answer + Send + 'static) -> String {
    let fake = FakeDocker::start(move |method, path| match (method, path) {
        ("POST", path) if path.starts_with("/build") => Some(answer()),
        _ => None,
    });
    let mut told = (0, 0);
    let outcome = block_on(async {
        let engine = connect(&fake).await;
        let request = BuildRequest {
            context: stream::iter([Ok(Bytes::from_static(b"tar"))]),
            dockerfile: "Dockerfile".into(),
            build_args: HashMap::new(),
            tag: "a/b:c".into(),
            labels: HashMap::new(),
            credentials: HashMap::new(),
            redactor: Redactor::default(),
            stall: STALL,
        };
        let work = build(engine.client(), request, |line| {
            assert!(!line.contains(char::is_control) && line.len() < 9000, "{line:?}");
            told = (told.0 + 1, told.1.max(line.len()));
        });
        // A build has a deadline of its caller.
        tokio::time::timeout(limit, work).await
    });
    let outcome = match outcome {
        Ok(Ok(_)) => "built".to_owned(),
        Ok(Err(error)) => ended(&error),
        Err(_) => "goes on until the deadline of the build".to_owned(),
    };
    format!("{outcome} ({} told)", if told.0 > 0 { "lines" } else { "nothing" })
}

/// The error's name and its words.
fn ended(error: &BuildError) -> String {
    let (name, text) = (format!("{error:?}"), error.to_string());
    assert!(text.len() < 8 * 1024, "{} bytes", text.len());
    format!("`{}`: {text}", name.split(['(', ' ']).next().unwrap_or_default())
}

fn building(input: &'static str, becomes: &'static str, answer: fn() -> Answer) -> Row {
    row(BUILD, input, becomes, move || built(STALL, answer))
}

/// One field of a protobuf message: its number and its bytes.
pub fn field(number: u8, content: &[u8]) -> Vec<u8> {
    let mut bytes = vec![number << 3 | 2];
    let mut length = content.len();
    loop {
        let low = u8::try_from(length & 0x7f).unwrap();
        length >>= 7;
        bytes.push(if length > 0 { low | 0x80 } else { low });
        if length == 0 {
            break;
        }
    }
    bytes.extend_from_slice(content);
    bytes
}

/// A line of the engine's that carries BuildKit's message.
pub fn trace(message: &[u8]) -> String {
    use base64::Engine as _;
    let aux = base64::engine::general_purpose::STANDARD.encode(message);
    format!("{{\"id\":\"moby.buildkit.trace\",\"aux\":\"{aux}\"}}\r\n")
}

/// BuildKit's message of what a step printed.
pub fn printed(step: &str, content: &[u8]) -> Vec<u8> {
    field(3, &[field(1, step.as_bytes()), vec![3 << 3, 1], field(4, content)].concat())
}

pub fn rows() -> Vec<Row> {
    [pulls(), builds()].into_iter().flatten().collect()
}

fn pulls() -> Vec<Row> {
    const UNREADABLE: &str = "`pull_failed`: could not be read";
    const BROKE_OFF: &str = "`pull_failed`: broke off";
    const PULLED: &str = "pulled as sha256:2";
    vec![
        pull("a line of garbage", UNREADABLE, || bytes(b"garbage\n")),
        pull("bytes that are not UTF-8", UNREADABLE, || bytes(b"{\"status\":\"\xff\xfe\"}\n")),
        pull("NUL bytes", UNREADABLE, || bytes(b"\0\0\0\0\n\0\n")),
        pull("a page of HTML", UNREADABLE, || bytes(b"<html>502 Bad Gateway</html>\n")),
        pull("null", BROKE_OFF, || bytes(b"null\n")),
        pull("a list", UNREADABLE, || bytes(b"[1,2]\n")),
        pull("a number", UNREADABLE, || bytes(b"7\n")),
        pull("a status that is a number", UNREADABLE, || bytes(b"{\"status\":7}\n")),
        pull("an error that is a list", UNREADABLE, || bytes(b"{\"errorDetail\":[1]}\n")),
        pull("a progress that is a text", UNREADABLE, || bytes(b"{\"progressDetail\":\"half\"}\n")),
        pull("keys given twice", UNREADABLE, || bytes(b"{\"status\":\"a\",\"status\":\"b\"}\n")),
        pull("100,000 open brackets", UNREADABLE, || lines(&format!("{}\n", "[".repeat(100_000)))),
        pull("100,000 open maps", BROKE_OFF, || lines(&format!("{}\n", "{\"a\":".repeat(100_000)))),
        pull("a line of 10 MB", "`registry_denied`", || {
            lines(&json!({"errorDetail": {"message": "denied ".repeat(10_000_000 / 7)}}).to_string())
        })
        .within(128),
        pull("an error in the last line", "`registry_denied`: denied: denied", || {
            lines("{\"status\":\"Pulling\"}\r\n{\"errorDetail\":{\"message\":\"denied: denied\"}}\r\n")
        }),
        pull("an error after the last words", "`registry_denied`: denied: denied", || {
            lines(&format!("{END}{{\"errorDetail\":{{\"message\":\"denied: denied\"}}}}\r\n"))
        }),
        pull("an error with terminal escapes", "`pull_failed`: red", || {
            lines("{\"errorDetail\":{\"message\":\"\\u001b[31mred\\u0007\"}}\r\n")
        }),
        pull("an error that is empty", "`pull_failed`", || lines("{\"errorDetail\":{\"message\":\"\"}}\r\n")),
        pull("no line break at the end", PULLED, || lines(END.trim_end())),
        pull("single bytes", PULLED, || stream_of(pieces(END, 1))),
        pull("two documents in a line", UNREADABLE, || lines("{\"status\":\"a\"}{\"status\":\"b\"}\n")),
        pull("a document over two lines", PULLED, || lines(&END.replacen("\":\"D", "\":\n\"D", 1))),
        pull("empty lines between", "`pull_failed`: broke off", || lines(&END.replace("\r\n", "\r\n\r\n\r\n"))),
        pull("nothing at all", BROKE_OFF, || lines("")),
        pull("an early end", BROKE_OFF, || lines("{\"status\":\"Pulling from acme/api\"}\r\n")),
        pull("a connection that breaks inside a line", "`docker_unavailable`", || cut_off("{\"status\":\"Pul")),
        pull("progress that runs backwards and below zero", PULLED, || {
            let line = |n: i64| format!("{{\"status\":\"Downloading\",\"id\":\"a\",\"progressDetail\":{{\"current\":{n},\"total\":-5}}}}\n");
            lines(&format!("{}{}{}{END}", line(9), line(-9), line(i64::MIN)))
        }),
        pull("progress of 9223372036854775807 bytes in three layers", PULLED, || {
            let line = |id: &str| format!("{{\"status\":\"Downloading\",\"id\":\"{id}\",\"progressDetail\":{{\"current\":{0},\"total\":{0}}}}}\n", i64::MAX);
            lines(&format!("{}{}{}{END}", line("a"), line("b"), line("c")))
        }),
        pull("100,000 layers", PULLED, || {
            let layers = (0..1000).map(|n| {
                let lines: String = (0..100).map(|m| format!("{{\"status\":\"Downloading\",\"id\":\"{n}-{m}\",\"progressDetail\":{{\"current\":1,\"total\":2}}}}\r\n")).collect();
                Bytes::from(lines)
            });
            stream_of(stream::iter(layers.chain([Bytes::from(END)])))
        })
        .within(64),
        pull("a digest that is none", "pulled as ../../etc/passwd", || lines(&END.replace("sha256:2", "../../etc/passwd"))),
        pull("a refusal of 10 MB", "`registry_denied`", || refusal(500, &"denied ".repeat(10_000_000 / 7))).within(128),
        pull("a refusal in HTML", "`pull_failed`: <html>", || refusal(500, "<html>")),
    ]
}

fn builds() -> Vec<Row> {
    const BROKEN: &str = "`Engine`";
    const INCOMPLETE: &str = "`Incomplete`: nothing told";
    const ENDLESS: &str = "goes on until the deadline of the build (lines told)";
    vec![
        building("a line of garbage", BROKEN, || bytes(b"garbage\n")),
        building("bytes that are not UTF-8", BROKEN, || bytes(b"{\"stream\":\"\xff\xfe\"}\n")),
        building("a list", BROKEN, || bytes(b"[]\n")),
        building("null", INCOMPLETE, || bytes(b"null\n")),
        building("nothing at all", INCOMPLETE, || lines("")),
        building("an image's id and an end", INCOMPLETE, || {
            lines("{\"id\":\"moby.image.id\",\"aux\":{\"ID\":\"sha256:0\"}}\r\n")
        }),
        building("an id that is a number", BROKEN, || {
            lines("{\"id\":\"moby.image.id\",\"aux\":{\"ID\":0}}\r\n")
        }),
        building("a message that is not base64", BROKEN, || {
            lines("{\"id\":\"moby.buildkit.trace\",\"aux\":\"%%%\"}\r\n")
        }),
        building("a message that is no protobuf", BROKEN, || lines(&trace(&[0xff; 64]))),
        building("a message cut short", BROKEN, || lines(&trace(&printed("v", b"hello\n")[..8]))),
        building("an error in the last line", "`Refused`: the daemon fell over", || {
            lines("{\"errorDetail\":{\"message\":\"the daemon fell over\"}}")
        }),
        building("an error of 1 MB", "`Dockerfile`", || {
            stream_of(pieces(
                json!({"errorDetail": {"message": "dockerfile parse error ".repeat(43_000)}}).to_string(),
                1 << 16,
            ))
        })
        .within(128),
        building("an error with terminal escapes", "`Refused`: red", || {
            lines("{\"errorDetail\":{\"message\":\"\\u001b[31mred\\u0007\"}}\r\n")
        }),
        building("a step's output of 10 MB without a line break", "`Incomplete`: lines told", || {
            let piece = Bytes::from(trace(&printed("v", &[b'x'; 1 << 16])));
            stream_of(stream::iter(std::iter::repeat_n(piece, 160)))
        })
        .within(64),
        building("a step's output in single bytes", "`Incomplete`: lines told", || {
            stream_of(stream::iter(b"one\ntwo\n".map(|byte| Bytes::from(trace(&printed("v", &[byte]))))))
        }),
        building("output that is not UTF-8 and full of terminal escapes", "`Incomplete`: lines told", || {
            lines(&trace(&printed("v", b"\xff\x1b[2J\x1b]0;title\x07\xc3\n\x00\x08\n")))
        }),
        building("output of 100,000 steps that do not exist", "`Incomplete`: lines told", || {
            let steps = (0..200).map(|n| {
                let lines: String =
                    (0..100).map(|m| trace(&printed(&format!("{n}-{m}"), &[b'x'; 100]))).collect();
                Bytes::from(lines)
            });
            stream_of(stream::iter(steps))
        })
        .within(64),
        row(BUILD, "output without end", ENDLESS, || {
            built(Duration::from_secs(3), || {
                endless(|n| trace(&printed("v", format!("line {n}\n").as_bytes())))
            })
        })
        .within(64),
    ]
}
