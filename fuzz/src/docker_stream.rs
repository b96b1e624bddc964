//! What the engine streams: every answer ends in a value or a typed error of
//! bounded length, lines are clean, and a secret split over frames is masked.

use std::collections::HashMap;
use std::sync::OnceLock;
use std::time::Duration;

use bytes::Bytes;
use futures_util::{StreamExt as _, stream};
use preview_agent::config::ImageReference;
use preview_agent::docker::build::{BuildRequest, build};
use preview_agent::docker::{Engine, Role, Scope};
use preview_agent::redact::Redactor;
use preview_agent::redact::output::Outputs;

use super::serve::{self, Script};
use super::{CANARY, block_on, fit_to_show};

/// Nothing here takes as long; what does has no end.
const STALL: Duration = Duration::from_secs(5);

/// Longest text of an error: the engine's words are cut.
const WORDS: usize = 16 * 1024;

struct Fake {
    engine: Engine,
    script: Script,
    _folder: tempfile::TempDir,
}

fn fake() -> &'static Fake {
    static FAKE: OnceLock<Fake> = OnceLock::new();
    FAKE.get_or_init(|| {
        drop(rustls::crypto::ring::default_provider().install_default());
        let folder = tempfile::tempdir().unwrap();
        let (socket, script) = serve::unix(folder.path());
        script.set(|_| vec![serve::answer("200 OK", br#"{"ApiVersion":"1.44","Arch":"amd64"}"#)]);
        let scope = Scope::new(folder.path());
        let engine = block_on(Engine::connect(socket.to_str().unwrap(), scope, Duration::ZERO)).unwrap();
        Fake { engine, script, _folder: folder }
    })
}

/// Bytes: what is asked, the size of the pieces, and what the engine answers.
pub fn check(data: &[u8]) {
    let [asked, size, body @ ..] = data else { return };
    let Fake { engine, script, .. } = fake();
    let status = if asked & 0x80 == 0 { "200 OK" } else { "500 Internal Server Error" };
    // Many small writes cost a system call each and show what few do.
    let size = (usize::from(*size) + 1).max(body.len() / 16);
    let mut pieces = vec![serve::head(status)];
    pieces.extend(body.chunks(size).map(<[u8]>::to_vec));
    script.set(move |path| {
        let after = path.contains("/images/") && !path.contains("/images/create");
        if after { vec![serve::answer("404 Not Found", b"{}")] } else { std::mem::take(&mut pieces) }
    });
    block_on(async {
        match asked & 0x07 {
            0 | 1 => pull(engine).await,
            2 | 3 => built(engine).await,
            4 => logs(engine, true).await,
            5 => logs(engine, false).await,
            6 => drop(engine.wait("c1").await.map_err(|error| shown(&error.to_string()))),
            _ => drop(engine.containers(Role::App).await.map_err(|error| shown(&error.to_string()))),
        }
    });
}

/// The engine's words may hold anything but a terminal's commands are taken out where they are shown.
#[track_caller]
fn shown(text: &str) {
    assert!(text.len() <= WORDS, "{} bytes", text.len());
}

async fn pull(engine: &Engine) {
    let image = ImageReference::parse("ghcr.io/acme/api:1").unwrap();
    let mut told = 0;
    let pulled = engine.pull(&image, None, STALL, |_| told += 1).await;
    // The image is not there afterwards, whatever the stream said.
    let error = pulled.unwrap_err();
    shown(&error.to_string());
}

async fn built(engine: &Engine) {
    let redactor = Redactor::default();
    redactor.learn(CANARY);
    let request = BuildRequest {
        context: stream::iter([Ok(Bytes::from_static(b"tar"))]),
        dockerfile: "Dockerfile".into(),
        build_args: HashMap::new(),
        tag: "a/b:c".into(),
        labels: HashMap::new(),
        credentials: HashMap::new(),
        redactor,
        stall: STALL,
    };
    let mut lines = Vec::new();
    let result = build(engine.client(), request, |line| lines.push(line.to_owned())).await;
    lines.iter().for_each(|line| clean(line));
    shown(&result.unwrap_err().to_string());
}

async fn logs(engine: &Engine, follow: bool) {
    let redactor = Redactor::default();
    redactor.learn(CANARY);
    let mut outputs = Outputs::new(&redactor);
    let mut told = Vec::new();
    let chunks = match follow {
        true => engine.follow_logs("c1", None).left_stream(),
        false => engine.last_logs("c1", 100).right_stream(),
    };
    let mut chunks = std::pin::pin!(chunks);
    while let Some(chunk) = chunks.next().await {
        match chunk {
            Ok((stream, chunk)) => told.extend(outputs.push(stream, &chunk)),
            Err(error) => shown(&error.to_string()),
        }
    }
    told.extend(outputs.finish());
    told.iter().for_each(|line| clean(line));
}

#[track_caller]
fn clean(line: &str) {
    fit_to_show(line, 3 * 8 * 1024);
    assert!(!line.contains(CANARY), "{line:?}");
}
