//! A Docker Engine on a unix socket that says what the real one here cannot.

use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures_util::{Stream, StreamExt as _, stream};
use serde_json::{Value, json};

use super::server::Server;

/// What a test wants answered: method and path (without the version) with its
/// query; `None` leaves it to the rest.
type Script = Box<dyn FnMut(&str, &str) -> Option<Answer> + Send>;

/// An answer to one request.
pub enum Answer {
    /// A response, which may be a stream.
    Response(Response),
    /// Nothing, ever.
    Silence,
}

/// One request as it came.
#[derive(Debug, Clone)]
pub struct Seen {
    pub path: String,
    /// The decoded X-Registry-Auth.
    pub login: Option<Value>,
}

struct Inner {
    script: Script,
    version: Value,
    seen: Vec<Seen>,
}

/// The fake engine; the rest of what it answers fits an empty one.
pub struct FakeDocker {
    // Dropped in this order: the socket lies in the folder.
    server: Server,
    folder: tempfile::TempDir,
    inner: Arc<Mutex<Inner>>,
}

impl FakeDocker {
    pub fn start(script: impl FnMut(&str, &str) -> Option<Answer> + Send + 'static) -> Self {
        let version = json!({"Version": "29.1.0", "ApiVersion": "1.52", "MinAPIVersion": "1.44",
            "Os": "linux", "Arch": super::registry::architecture()});
        let inner = Arc::new(Mutex::new(Inner { script: Box::new(script), version, seen: Vec::new() }));
        let folder = tempfile::tempdir().unwrap();
        let router = Router::new().fallback(answer).with_state(Arc::clone(&inner));
        let server = Server::start_unix(router, folder.path().join("docker.sock"));
        Self { folder, server, inner }
    }

    /// What `DOCKER_HOST` takes.
    pub fn host(&self) -> String {
        format!("unix://{}", self.socket().display())
    }

    pub fn socket(&self) -> PathBuf {
        self.folder.path().join("docker.sock")
    }

    /// Speaks this API version and none newer.
    pub fn speak(&self, api: &str) {
        self.inner.lock().unwrap().version["ApiVersion"] = json!(api);
    }

    /// Every request so far.
    pub fn seen(&self) -> Vec<Seen> {
        self.inner.lock().unwrap().seen.clone()
    }

    /// The logins that pulls came with, in order.
    pub fn logins(&self) -> Vec<Option<Value>> {
        let pulls = self.seen().into_iter().filter(|seen| seen.path.contains("/images/create"));
        pulls.map(|seen| seen.login).collect()
    }

    /// Listens again.
    pub fn restart(&mut self) {
        self.server.restart();
    }

    /// Closes every connection, and the socket is gone.
    pub fn stop(&mut self) {
        self.server.stop();
    }
}

/// A 200 with these bytes.
pub fn stream_of(chunks: impl Stream<Item = Bytes> + Send + 'static) -> Answer {
    let chunks = chunks.map(Ok::<_, std::io::Error>);
    Answer::Response(Body::from_stream(chunks).into_response())
}

/// A 200 with these lines.
pub fn lines(lines: &str) -> Answer {
    stream_of(stream::iter([Bytes::from(lines.to_owned())]))
}

/// These bytes, and then the connection breaks off.
pub fn cut_off(text: &'static str) -> Answer {
    let chunks = [Ok(Bytes::from(text)), Err(std::io::Error::other("cut off"))];
    Answer::Response(Body::from_stream(stream::iter(chunks)).into_response())
}

/// What the engine says when it refuses.
pub fn refusal(status: u16, message: &str) -> Answer {
    let status = StatusCode::from_u16(status).unwrap();
    Answer::Response((status, json!({"message": message}).to_string()).into_response())
}

/// Any other document.
pub fn document(body: &Value) -> Answer {
    Answer::Response(body.to_string().into_response())
}

async fn answer(State(inner): State<Arc<Mutex<Inner>>>, request: Request) -> Response {
    let path = request.uri().to_string();
    // `/v1.41/images/create` and `/images/create` are the same.
    let plain = match path.strip_prefix("/v1.").and_then(|rest| rest.split_once('/')) {
        Some((_, rest)) => format!("/{rest}"),
        None => path,
    };
    let answer = {
        use base64::Engine as _;
        let mut inner = inner.lock().unwrap();
        // As moby's authconfig reads it: base64url with padding, or nobody.
        let login = request.headers().get("x-registry-auth").and_then(|value| {
            let json = base64::engine::general_purpose::URL_SAFE.decode(value).ok()?;
            serde_json::from_slice(&json).ok()
        });
        inner.seen.push(Seen { path: plain.clone(), login });
        let scripted = (inner.script)(request.method().as_str(), &plain);
        scripted.unwrap_or_else(|| match plain.as_str() {
            "/version" => document(&inner.version),
            "/_ping" => lines("OK"),
            path if path.starts_with("/containers/json") => document(&json!([])),
            path if path.starts_with("/networks") => document(&json!([])),
            _ => refusal(404, "no such object"),
        })
    };
    // What is sent is read, else the connection is reset with the answer on its way.
    let mut sent = request.into_body().into_data_stream();
    tokio::spawn(async move { while sent.next().await.is_some() {} });
    match answer {
        Answer::Response(response) => response,
        Answer::Silence => std::future::pending().await,
    }
}
