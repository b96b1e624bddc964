//! A secret at the borders of what is read in pieces: reads, frames, lines, the places where text is
//! cut. It is masked wherever the output ends up, and no half of it is left either.
//!
//! The engine is a fake, which alone can cut where a test wants; the agent is whole.

use std::fs;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use futures_util::stream;
use serde_json::json;

use crate::containers::frame;
use crate::row::{Row, row};
use crate::streams::{field, pieces, printed, trace};
use crate::support::docker::{Answer, FakeDocker, document, lines, refusal, stream_of};
use crate::support::github::{COMMIT, GitHub, Tarball};
use crate::support::registry::architecture;
use crate::support::world::World;

const KIND: &str = "secret at a border";
/// Parts that are told apart, so that a half is recognised too.
const SECRET: &str = "hunter2-left/half+right-half-2retnuh";
const HALVES: [&str; 4] = ["hunter2-left", "right-half-2retnuh", "unter2-left/half", "half+right-half"];
/// Longest line that is kept.
const LINE: usize = 8 * 1024;

/// Every text that must not show, and what the secret is called there.
fn shows(place: &str, text: &str) {
    for half in HALVES {
        assert!(!text.contains(half), "{place} shows {half}");
    }
    for whole in [STANDARD.encode(SECRET), STANDARD.encode(format!("app:{SECRET}"))] {
        assert!(!text.contains(whole.trim_end_matches('=')), "{place} shows the secret in base64");
    }
}

fn created() -> Answer {
    let body = json!({"Id": "c1", "Warning": "", "Warnings": []}).to_string();
    Answer::Response(axum::response::IntoResponse::into_response((axum::http::StatusCode::CREATED, body)))
}

/// An engine whose only container, a failed job, has printed this.
fn engine(
    output: impl Fn() -> Answer + Send + 'static,
    build: impl Fn() -> Answer + Send + 'static,
) -> FakeDocker {
    let image = json!({"Id": "sha256:1", "Architecture": architecture(), "RepoDigests": []});
    let container = json!({"Id": "c1", "Name": "/c1", "State": {"Status": "exited", "ExitCode": 1},
        "Config": {"Labels": {"preview-agent.secrets": "SECRET,LOGIN"},
            "Env": [format!("SECRET={SECRET}"), format!("LOGIN=app:{SECRET}")]}});
    FakeDocker::start(move |method, path| {
        let path = path.split('?').next().unwrap();
        Some(match (method, path) {
            ("POST", "/images/create") => refusal(404, "manifest unknown"),
            ("POST", "/build") => build(),
            // The application's image is here; the one that a build made is not.
            ("GET", path) if path.contains("@sha256") => document(&image),
            ("POST", "/networks/create" | "/containers/create") => created(),
            ("POST", "/containers/c1/wait") => lines("{\"StatusCode\":1}\n"),
            ("GET", "/containers/c1/logs") => output(),
            ("GET", "/containers/c1/json") => document(&container),
            ("GET", "/containers/json") => document(&json!([{"Id": "c1", "Created": 1}])),
            ("POST" | "DELETE", path) if path.starts_with("/containers/") => lines(""),
            _ => return None,
        })
    })
}

fn world(fake: &FakeDocker) -> World {
    let mut world = World::new();
    world.secret("/test/secret", SECRET);
    world.secret("/test/login", &format!("app:{SECRET}"));
    world.set_env("DOCKER_HOST", &fake.host());
    world
}

/// What `agent logs app` prints of this output.
fn app(output: impl Fn() -> Answer + Send + 'static) -> String {
    let fake = engine(output, || lines(""));
    let told = ["-n", "-f"].map(|how| {
        let world = world(&fake);
        let more: &[&str] = if how == "-f" { &["-f"] } else { &["-n", "100"] };
        let output = world.command(&[&["logs", "app"], more].concat()).output().unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        shows("agent logs", &text);
        shows("stderr", &String::from_utf8_lossy(&output.stderr));
        text
    });
    assert_eq!(told[0], told[1]);
    masked(&told[0])
}

/// What a migration that failed leaves of this output, in the log and in the status.
fn job(output: impl Fn() -> Answer + Send + 'static) -> String {
    let fake = engine(output, || lines(""));
    let world = world(&fake);
    let digest = format!("sha256:{}", "0".repeat(64));
    let ran = world.run_once(&format!(
        "image: ghcr.io/acme/api@{digest}\ndatabase: off\nmigrate: {{ command: [migrate] }}\n\
         tries: {{ migrate: 1 }}\nreport: {{ parameter: /test/status }}\n{}",
        world.app("    SECRET: { ssm: /test/secret }\n    LOGIN: { ssm: /test/login }\n")
    ));
    assert_eq!(ran.status["fault"]["class"], "migration", "{} {}", ran.status, ran.stderr);
    let log = fs::read_to_string(world.path("state/migrate.log")).unwrap();
    told(&world, &ran.stderr, &log, "migrate.log")
}

/// What a build that failed leaves of this output.
fn build(output: impl Fn() -> Answer + Send + 'static) -> String {
    let fake = engine(|| lines(""), output);
    let world = world(&fake);
    let github = GitHub::serving(Tarball::new().file("Dockerfile", "FROM scratch").gz());
    let ran = world.run_once(&format!(
        "image: ghcr.io/acme/api:1\ndatabase: off\n{}report: {{ parameter: /test/status }}\n{}",
        github.api.source(COMMIT),
        world.app("    SECRET: { ssm: /test/secret }\n    LOGIN: { ssm: /test/login }\n")
    ));
    assert_eq!(ran.status["fault"]["class"], "build", "{} {}", ran.status, ran.stderr);
    let log = fs::read_to_string(world.path("state/build.log")).unwrap();
    told(&world, &ran.stderr, &log, "build.log")
}

fn told(world: &World, stderr: &str, log: &str, name: &str) -> String {
    shows(name, log);
    shows("stderr", stderr);
    shows("the status", &String::from_utf8(world.status_bytes()).unwrap());
    world.ssm.writes().iter().for_each(|write| shows("the parameter", &write.value));
    masked(log)
}

/// The log's end around the mask.
fn masked(log: &str) -> String {
    // A sequence that is taken out may take the mask's first bracket with it.
    if log.contains("redacted]") {
        "masked".to_owned()
    } else if log.contains("[line cut]") {
        "cut off with its line".to_owned()
    } else {
        format!("neither masked nor cut: {}", &log[..log.len().min(300)])
    }
}

fn at(becomes: &'static str, input: &'static str, play: impl Fn() -> String + Send + 'static) -> Row {
    row(KIND, input, becomes, play)
}

fn frames(frames: &[(u8, Vec<u8>)]) -> Vec<u8> {
    frames.iter().flat_map(|(stream, content)| frame(*stream, content)).collect()
}

fn once(bytes: Vec<u8>) -> Answer {
    stream_of(stream::iter([Bytes::from(bytes)]))
}

/// A line whose secret stands so that the line is cut inside it.
fn cut_inside() -> Vec<u8> {
    format!("{}{SECRET} and more\nnext\n", "x".repeat(LINE - 12)).into_bytes()
}

/// A line in two frames of 16 KiB, as the engine cuts them, with the secret across the border.
fn across(between: &[u8]) -> Vec<u8> {
    let (left, right) = SECRET.split_at(12);
    let first = format!("{}{left}", "x".repeat(16 * 1024 - left.len()));
    let second = format!("{right} and more\n");
    [frame(1, first.as_bytes()), between.to_vec(), frame(1, second.as_bytes())].concat()
}

pub fn rows() -> Vec<Row> {
    [outputs("the app's log", app), outputs("a job's log", job), builds()].into_iter().flatten().collect()
}

/// Output in which the secret stands: what becomes of it, how it stands there, and the output.
type Shape = (&'static str, &'static str, Arc<dyn Fn() -> Answer + Send + Sync>);

fn hidden(shape: &'static str, answer: impl Fn() -> Answer + Send + Sync + 'static) -> Shape {
    ("masked", shape, Arc::new(answer))
}

fn cut(shape: &'static str, answer: impl Fn() -> Answer + Send + Sync + 'static) -> Shape {
    ("cut off with its line", shape, Arc::new(answer))
}

fn outputs<P>(place: &'static str, play: P) -> Vec<Row>
where
    P: Fn(Box<dyn Fn() -> Answer + Send>) -> String + Copy + Send + 'static,
{
    let (left, right) = SECRET.split_at(12);
    let line = format!("token={SECRET}\n").into_bytes();
    let shapes = [
        hidden("in single bytes, the frames' headers too", {
            let bytes = frame(1, &line);
            move || stream_of(pieces(bytes.clone(), 1))
        }),
        hidden("in two frames of one line", move || {
            once(frames(&[(1, format!("token={left}").into()), (1, format!("{right}\n").into())]))
        }),
        hidden("in two frames, a line of the other output between", move || {
            once(frames(&[
                (1, format!("token={left}").into()),
                (2, b"a warning\n".to_vec()),
                (1, format!("{right}\n").into()),
            ]))
        }),
        hidden("in frames of one byte", {
            let line = line.clone();
            move || once(line.iter().flat_map(|byte| frame(1, &[*byte])).collect())
        }),
        hidden("in its last line, which has no line break", || once(frame(2, SECRET.as_bytes()))),
        hidden("before a carriage return and line feed in two frames", || {
            once(frames(&[(1, format!("{SECRET}\r").into()), (1, b"\n".to_vec())]))
        }),
        cut("where a line of 8 KB is cut", || once(frame(1, &cut_inside()))),
        cut("in two frames of a line of 16 KB", || once(across(b""))),
        cut("in two frames of a line of 16 KB, the other output between", || {
            once(across(&frame(2, b"a warning\n")))
        }),
        hidden("in base64 of user and value, in two frames", || {
            let login = STANDARD.encode(format!("app:{SECRET}"));
            let (a, b) = login.split_at(login.len() / 2);
            once(frames(&[(1, format!("Authorization: Basic {a}").into()), (1, format!("{b}\n").into())]))
        }),
        hidden("in a JSON string, parted inside an escape", || {
            let escaped = SECRET.replace('/', "\\/");
            let (a, b) = escaped.split_at(escaped.find('\\').unwrap() + 1);
            once(frames(&[(1, format!("{{\"token\":\"{a}").into()), (1, format!("{b}\"}}\n").into())]))
        }),
        hidden("percent-encoded, parted inside an escape", || {
            let encoded = SECRET.replace('/', "%2f").replace('+', "%2b");
            let (a, b) = encoded.split_at(encoded.find('%').unwrap() + 2);
            once(frames(&[(1, format!("postgresql://app:{a}").into()), (1, format!("{b}@db/app\n").into())]))
        }),
        hidden("parted by a colour of the terminal", move || {
            once(frame(1, format!("{left}\u{1b}[31m{right}\n").as_bytes()))
        }),
        hidden("behind an escape sequence that would swallow its first letter", || {
            once(frame(1, format!("\u{1b}[{SECRET}\n").as_bytes()))
        }),
        hidden("beside bytes that are not UTF-8", || {
            once(frame(1, &[b"\xff\xe2\x82", SECRET.as_bytes(), b"\xc3\n"].concat()))
        }),
    ];
    shapes
        .into_iter()
        .map(|(becomes, shape, answer)| {
            // Names live as long as the program: there are as many as rows.
            let input: &'static str = Box::leak(format!("{place}: {shape}").into_boxed_str());
            at(becomes, input, move || {
                let answer = Arc::clone(&answer);
                play(Box::new(move || answer()))
            })
        })
        .collect()
}

/// A step's output in these pieces, and the failure of the build.
fn steps(pieces: &[&[u8]]) -> String {
    let vertex = |more| field(1, &[field(1, b"v"), field(3, b"[2/2] RUN x"), more].concat());
    let mut lines = trace(&vertex(field(5, &[8, 1])));
    pieces.iter().for_each(|piece| lines.push_str(&trace(&printed("v", piece))));
    let words = format!("process \"x {SECRET}\" did not complete: exit code: 1");
    lines.push_str(&trace(&vertex(field(7, words.as_bytes()))));
    lines.push_str(&format!("{}\r\n", json!({"errorDetail": {"message": words}})));
    lines
}

fn builds() -> Vec<Row> {
    let (left, right) = SECRET.split_at(12);
    let whole = format!("token={SECRET}\n");
    vec![
        at("masked", "a build's log: in two messages", move || {
            build(move || lines(&steps(&[left.as_bytes(), right.as_bytes(), b"\n"])))
        }),
        at("masked", "a build's log: in messages of one byte", {
            let whole = whole.clone();
            move || {
                let whole = whole.clone();
                build(move || lines(&steps(&whole.as_bytes().chunks(1).collect::<Vec<_>>())))
            }
        }),
        at("masked", "a build's log: the engine's stream in single bytes", move || {
            let whole = whole.clone();
            build(move || stream_of(pieces(steps(&[whole.as_bytes()]), 1)))
        }),
        at("masked", "a build's log: in its last line, which has no line break", || {
            build(|| lines(&steps(&[SECRET.as_bytes()])))
        }),
        at("cut off with its line", "a build's log: where a line of 8 KB is cut", || {
            build(|| lines(&steps(&[&cut_inside()])))
        }),
        at("masked", "a build's log: in base64 of user and value, in two messages", || {
            let login = STANDARD.encode(format!("app:{SECRET}"));
            let (a, b) = login.split_at(20);
            let (a, b) = (a.to_owned(), b.to_owned());
            build(move || lines(&steps(&[a.as_bytes(), b.as_bytes(), b"\n"])))
        }),
    ]
}
