//! What a Docker Engine says of containers: their output, their end, their state.

use std::time::{Duration, SystemTime};

use bytes::Bytes;
use futures_util::{StreamExt as _, stream};
use preview_agent::docker::{Error, Event, Role};
use preview_agent::redact::Redactor;
use preview_agent::redact::output::{Outputs, Tail};
use serde_json::json;

use crate::row::{Row, refused, row};
use crate::streams::{connect, pieces};
use crate::support::docker::{Answer, FakeDocker, document, lines, refusal, stream_of};
use crate::support::wait::block_on;

const LOGS: &str = "log stream";
const EVENTS: &str = "event stream";
const ANSWERS: &str = "answer of Docker";

/// A frame of the engine's: 1 is standard output, 2 standard error.
pub fn frame(stream: u8, content: &[u8]) -> Vec<u8> {
    let length = u32::try_from(content.len()).unwrap().to_be_bytes();
    [&[stream, 0, 0, 0], &length[..], content].concat()
}

/// The last line of what was told and how many there were, or the error.
fn told(follow: bool, answer: impl Fn() -> Answer + Send + 'static) -> String {
    let fake = FakeDocker::start(move |_, path| path.contains("/logs?").then(&answer));
    block_on(async {
        let engine = connect(&fake).await;
        let chunks = match follow {
            true => engine.follow_logs("c1", None).left_stream(),
            false => engine.last_logs("c1", 100).right_stream(),
        };
        let mut chunks = std::pin::pin!(chunks);
        let mut outputs = Outputs::new(&Redactor::default());
        let (mut tail, mut count, mut error) = (Tail::default(), 0, None);
        let mut keep = |lines: Vec<String>| {
            for line in lines {
                assert!(!line.contains(char::is_control) && line.len() < 9000, "{line:?}");
                count += 1;
                tail.push(line);
            }
        };
        while let Some(chunk) = chunks.next().await {
            match chunk {
                Ok((stream, chunk)) => keep(outputs.push(stream, &chunk)),
                Err(broken) => error = Some(refused(broken)),
            }
        }
        keep(outputs.finish().collect());
        let last: String = tail.text().lines().last().unwrap_or_default().chars().take(40).collect();
        let lines = format!("{count} lines, the last: {last}");
        error.unwrap_or(lines)
    })
}

fn logs(input: &'static str, becomes: &'static str, answer: fn() -> Answer) -> Row {
    row(LOGS, input, becomes, move || told(true, answer))
}

fn raw(bytes: impl Into<Bytes>) -> Answer {
    stream_of(stream::iter([bytes.into()]))
}

pub fn rows() -> Vec<Row> {
    [outputs(), events(), answers()].into_iter().flatten().collect()
}

fn two() -> Vec<u8> {
    [frame(1, b"hello\n"), frame(2, b"world\n")].concat()
}

fn megabytes(count: usize) -> Answer {
    let piece = Bytes::from(frame(1, &[b'x'; 1 << 14]));
    stream_of(stream::iter(std::iter::repeat_n(piece, count * 64)))
}

fn outputs() -> Vec<Row> {
    vec![
        logs("frames in single bytes", "2 lines, the last: world", || stream_of(pieces(two(), 1))),
        logs("a frame whose header says 4 GiB", "1 lines, the last: abc", || {
            raw([&[1, 0, 0, 0, 255, 255, 255, 255], &b"abc\n"[..]].concat())
        }),
        logs("frames without content", "1 lines, the last: x", || {
            raw([frame(1, b"").repeat(10_000), frame(1, b"x")].concat())
        }),
        logs("a frame cut inside its header", "3 lines, the last: world", || {
            raw([two(), vec![1, 0, 0]].concat())
        }),
        logs("a frame of an unknown output", "1 lines, the last:  xy", || {
            raw([frame(9, b"x"), frame(1, b"y\n")].concat())
        }),
        logs("no frames, as of a terminal", "2 lines, the last: two", || raw(b"one\ntwo\n".as_slice())),
        logs("100 MB without a line break", "1 lines, the last: xxxxxxxx…", || megabytes(100)).within(64),
        logs("2 MB in lines of one byte", "1048576 lines, the last: x", || {
            let piece = Bytes::from(frame(1, &b"x\n".repeat(1 << 13)));
            stream_of(stream::iter(std::iter::repeat_n(piece, 128)))
        })
        .within(64),
        row(LOGS, "a tail of 100 lines that brings 1 GB", "1 lines, the last: xxxxxxxx…", || {
            told(false, || megabytes(1024))
        })
        .within(64),
        logs("terminal escapes, bells and titles", "2 lines, the last: red", || {
            raw(frame(1, b"\x1b]0;title\x07\x1b[2J\n\x1b[31mred\x07\x08\n"))
        }),
        logs("a sequence that never ends", "2 lines, the last: next", || {
            raw(frame(1, b"\x1b]0;title\nnext\n"))
        }),
        logs("bytes that are not UTF-8", "1 lines, the last: a\u{fffd}\u{fffd}b", || {
            raw(frame(1, b"a\xff\xfeb\n"))
        }),
        logs("a character parted by two frames", "1 lines, the last: \u{e4}", || {
            raw([frame(1, b"\xc3"), frame(1, b"\xa4\n")].concat())
        }),
        logs("carriage returns alone", "1 lines, the last: 10%20%", || raw(frame(1, b"10%\r20%\r\n"))),
        logs("marks that turn the direction of writing", "1 lines, the last: ab", || {
            raw(frame(1, "a\u{202e}\u{2066}b\n".as_bytes()))
        }),
        logs("a refusal in place of the output", "`docker_failed`: no such object", || {
            refusal(404, "no such object")
        }),
    ]
}

/// The first event that comes through, when the engine first says this.
fn first_event(answer: impl Fn() -> Answer + Send + 'static) -> String {
    let good = json!({"Type": "container", "Action": "die", "time": 2, "timeNano": 2,
        "Actor": {"ID": "c1", "Attributes": {"exitCode": "3"}}});
    let mut asked = 0;
    let fake = FakeDocker::start(move |_, path| {
        path.starts_with("/events").then(|| {
            asked += 1;
            if asked == 1 { answer() } else { lines(&format!("{good}\n")) }
        })
    });
    block_on(async {
        let engine = connect(&fake).await;
        let mut events = std::pin::pin!(engine.events(SystemTime::now()));
        match tokio::time::timeout(Duration::from_secs(20), events.next()).await {
            Ok(Some(Event::Died { id, code })) => format!("asked again: {id} died with {code}"),
            Ok(other) => format!("{other:?}"),
            Err(_) => "nothing comes".to_owned(),
        }
    })
}

fn event(input: &'static str, answer: fn() -> Answer) -> Row {
    row(EVENTS, input, "asked again: c1 died with 3", move || first_event(answer))
}

fn events() -> Vec<Row> {
    vec![
        event("a line of garbage", || lines("garbage\n")),
        event("bytes that are not UTF-8", || raw(b"{\"Action\":\"\xff\"}\n".as_slice())),
        event("null, and an end", || lines("null\n")),
        event("wrong types", || lines("{\"Action\":1,\"Actor\":[]}\n")),
        event("an end without an exit code", || {
            lines("{\"Action\":\"die\",\"Actor\":{\"ID\":\"c1\",\"Attributes\":{}}}\n")
        }),
        event("an exit code that is no number", || {
            lines("{\"Action\":\"die\",\"Actor\":{\"ID\":\"c1\",\"Attributes\":{\"exitCode\":\"x\"}}}\n")
        }),
        event("an event of nobody", || lines("{\"Action\":\"die\"}\n")),
        event("an unknown action", || lines("{\"Action\":\"exec_create: sh\",\"Actor\":{\"ID\":\"c1\"}}\n")),
        event("a time before 1970", || {
            lines("{\"Action\":\"top\",\"timeNano\":-9223372036854775808,\"Actor\":{\"ID\":\"c1\"}}\n")
        }),
        event("a time in the year 2262", || {
            lines("{\"Action\":\"top\",\"timeNano\":9223372036854775807,\"Actor\":{\"ID\":\"c1\"}}\n")
        }),
        event("a refusal", || refusal(500, "no events today")),
        event("a line of 1 MB", || lines(&format!("{{\"Action\":\"{}\"}}\n", "x".repeat(1_000_000))))
            .within(128),
    ]
}

/// What the three questions end in that are answered so: the list, one container, its end.
fn answered(path: &'static str, answer: impl Fn() -> Answer + Send + 'static) -> String {
    let fake = FakeDocker::start(move |_, asked| asked.starts_with(path).then(&answer));
    block_on(async {
        let engine = connect(&fake).await;
        let told = match path {
            "/containers/json" => {
                engine.containers(Role::App).await.map(|found| format!("{} containers", found.len()))
            }
            "/containers/c1/json" => engine.inspect("c1").await.map(|found| match found {
                Some(container) => format!("a container {:?}", container.state),
                None => "no container".to_owned(),
            }),
            _ => engine.wait("c1").await.map(|exit| format!("ended with {}", exit.code)),
        };
        told.unwrap_or_else(|error: Error| refused(error))
    })
}

fn answer(input: &'static str, becomes: &'static str, path: &'static str, answer: fn() -> Answer) -> Row {
    row(ANSWERS, input, becomes, move || answered(path, answer))
}

fn answers() -> Vec<Row> {
    const LIST: &str = "/containers/json";
    const ONE: &str = "/containers/c1/json";
    const WAIT: &str = "/containers/c1/wait";
    const FAILED: &str = "`docker_failed`";
    vec![
        answer("a list that is a map", FAILED, LIST, || document(&json!({}))),
        answer("a list of numbers", FAILED, LIST, || document(&json!([1, 2]))),
        answer("a list that is cut", FAILED, LIST, || lines("[{\"Id\":\"c1\"")),
        answer("a list of containers without names and ids", "0 containers", LIST, || {
            document(&json!([{}, {}]))
        }),
        answer("a list of containers that are gone", "0 containers", LIST, || {
            document(&json!([{"Id": "c1"}, {"Id": "c2"}]))
        }),
        answer("a list of 100,000 open brackets", FAILED, LIST, || lines(&"[".repeat(100_000))),
        answer("a container that is a number", FAILED, ONE, || document(&json!(7))),
        answer("a container that is empty", "a container Exited", ONE, || document(&json!({}))),
        answer("a container in an unknown state", FAILED, ONE, || {
            document(&json!({"State": {"Status": "levitating"}}))
        }),
        answer("a container with an exit code of 9223372036854775807", "a container Exited", ONE, || {
            document(&json!({"State": {"ExitCode": i64::MAX, "Status": "exited"}, "RestartCount": -1}))
        }),
        answer("a container that is a page of HTML", FAILED, ONE, || lines("<html>")),
        answer("an end that is null", "`docker_unavailable`", WAIT, || lines("null\n")),
        answer("an end that is garbage", FAILED, WAIT, || lines("garbage\n")),
        answer("an end that does not come", "`docker_unavailable`: ended while waiting", WAIT, || lines("")),
        answer("an end whose code is a text", FAILED, WAIT, || lines("{\"StatusCode\":\"3\"}\n")),
        answer("an end of a container that nobody knows", "ended with 0", WAIT, || {
            lines("{\"StatusCode\":3}\n")
        }),
        answer("a refusal of 10 MB", "`docker_failed`", LIST, || refusal(500, &"no ".repeat(3_000_000)))
            .within(128),
        answer("a refusal with terminal escapes", "`docker_failed`: red", LIST, || {
            refusal(500, "\u{1b}[31mred")
        }),
    ]
}
