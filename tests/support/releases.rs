//! A folder of releases over HTTP, which counts what is fetched.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, Uri};
use axum::response::{IntoResponse, Response};

use super::registry::digest;
use super::server::Server;

#[derive(Default)]
struct Inner {
    files: BTreeMap<String, Vec<u8>>,
    seen: Vec<String>,
}

pub struct Releases {
    server: Server,
    inner: Arc<Mutex<Inner>>,
}

impl Releases {
    pub fn start() -> Self {
        let inner = Arc::new(Mutex::new(Inner::default()));
        let server = Server::start(Router::new().fallback(answer).with_state(Arc::clone(&inner)));
        Self { server, inner }
    }

    pub fn url(&self) -> String {
        self.server.url()
    }

    /// Serves this program as the agent for this machine; its SHA-256.
    pub fn publish(&self, program: &Path) -> String {
        let bytes = std::fs::read(program).unwrap();
        let sum = digest(&bytes).replace("sha256:", "");
        let path = format!("/agent-{}", std::env::consts::ARCH);
        self.inner.lock().unwrap().files.insert(path, bytes);
        sum
    }

    /// Every path that was asked for, in order.
    pub fn seen(&self) -> Vec<String> {
        self.inner.lock().unwrap().seen.clone()
    }
}

/// The static binary that instances get; panics with what to do where it is missing.
pub fn static_agent() -> PathBuf {
    let target = std::env::var_os("CARGO_TARGET_DIR")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("target"), PathBuf::from);
    let path = target.join(format!("dist/agent-{}", std::env::consts::ARCH));
    assert!(path.exists(), "no {}; run packaging/build-static {}", path.display(), std::env::consts::ARCH);
    path
}

async fn answer(State(inner): State<Arc<Mutex<Inner>>>, uri: Uri) -> Response {
    let mut inner = inner.lock().unwrap();
    inner.seen.push(uri.path().to_owned());
    match inner.files.get(uri.path()) {
        Some(bytes) => bytes.clone().into_response(),
        None => StatusCode::NOT_FOUND.into_response(),
    }
}
