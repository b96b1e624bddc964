//! A registry behind the real engine, which takes any on 127.0.0.0/8 without
//! TLS. It misbehaves on command and remembers who asked with what.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, Method, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use futures_util::{StreamExt as _, stream};
use serde_json::{Value, json};

use super::engine::remove_all;
use super::github::gzip;
use super::peers::{Peers, peers};
use super::server::Server;

const MANIFEST: &str = "application/vnd.docker.distribution.manifest.v2+json";
const INDEX: &str = "application/vnd.docker.distribution.manifest.list.v2+json";

/// Which requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum At {
    /// `GET /v2/`, which the engine asks first.
    Base,
    Token,
    Manifest,
    /// A layer or a configuration.
    Blob,
    Layer,
}

/// How a request fails.
#[derive(Debug, Clone, Copy)]
pub enum Trouble {
    /// A status with the registry API's error body: code and message.
    Status(u16, &'static str, &'static str),
    /// 403, and the words repeat the login, as it came and decoded.
    Echo,
    /// A status with a page of HTML, as a proxy would.
    Page(u16),
    /// Half of the body, then nothing, for ever.
    Stall,
    /// Other bytes than the digest says.
    Corrupt,
    /// Nothing is ever answered.
    Silence,
    /// Half of the body, then the connection breaks off.
    Cut,
    /// So many bytes at a time, with a second between.
    Drip(usize),
    /// To where it came from.
    Redirect,
    /// Something else than was stored, with its own right length.
    Instead(&'static [u8]),
}

/// Who may pull.
#[derive(Debug, Clone, Default)]
pub enum Access {
    #[default]
    Everybody,
    /// HTTP Basic.
    Basic(String, String),
    /// A token for this login, and without a login if `anonymous`; a wrong login gets 403.
    Bearer { user: String, password: String, anonymous: bool },
}

/// One request as it came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen {
    pub method: String,
    pub path: String,
    /// `user:password` of HTTP Basic.
    pub login: Option<String>,
}

#[derive(Default)]
struct Inner {
    access: Access,
    manifests: BTreeMap<String, (&'static str, Vec<u8>)>,
    blobs: BTreeMap<String, Vec<u8>>,
    troubles: BTreeMap<At, (usize, Trouble)>,
    seen: Vec<Seen>,
    tokens: usize,
    layers: Vec<String>,
    host: String,
    /// Answers what is not stored here.
    behind: Option<&'static Peers>,
}

pub struct FakeRegistry {
    server: Server,
    inner: Arc<Mutex<Inner>>,
}

impl FakeRegistry {
    /// An open registry with an image for this machine at `acme/tiny:1`.
    pub fn start() -> Self {
        let inner = Arc::new(Mutex::new(Inner::default()));
        let server = Server::start(Router::new().fallback(answer).with_state(Arc::clone(&inner)));
        let registry = Self { server, inner };
        registry.lock().host = registry.host();
        registry.put("1", architecture());
        registry
    }

    /// Passes on to the real registry what is not stored here, with its login.
    pub fn before_the_real_one() -> Self {
        rustls::crypto::ring::default_provider().install_default().ok();
        let registry = Self::start();
        registry.lock().behind = Some(peers());
        registry
    }

    /// `127.0.0.1:port`
    pub fn host(&self) -> String {
        self.server.url().replace("http://", "")
    }

    /// `127.0.0.1:port/acme/tiny:tag`
    pub fn image(&self, tag: &str) -> String {
        format!("{}/acme/tiny:{tag}", self.host())
    }

    /// Stores an image under this tag and returns its digest. It holds `/data`
    /// (a file), and `/garbage` (executable, and no program); no two are alike.
    pub fn put(&self, tag: &str, architecture: &str) -> String {
        let layer = layer(64 * 1024);
        let compressed = gzip(&layer);
        self.put_layer(tag, architecture, &layer, compressed)
    }

    /// The same with two files of so many MiB, not compressed.
    pub fn put_large(&self, tag: &str, megabytes: usize) -> String {
        let layer = layer(megabytes << 20);
        self.put_layer(tag, architecture(), &layer, layer.clone())
    }

    fn put_layer(&self, tag: &str, architecture: &str, layer: &[u8], compressed: Vec<u8>) -> String {
        let config = json!({
            "architecture": architecture, "os": "linux", "config": {"Cmd": ["/data"]},
            "rootfs": {"type": "layers", "diff_ids": [digest(layer)]}
        });
        let config = config.to_string().into_bytes();
        let manifest = json!({
            "schemaVersion": 2, "mediaType": MANIFEST,
            "config": {
                "mediaType": "application/vnd.docker.container.image.v1+json",
                "size": config.len(), "digest": digest(&config)
            },
            "layers": [{
                "mediaType": "application/vnd.docker.image.rootfs.diff.tar.gzip",
                "size": compressed.len(), "digest": digest(&compressed)
            }]
        });
        let mut inner = self.lock();
        inner.layers.push(digest(&compressed));
        inner.blobs.insert(digest(&config), config);
        inner.blobs.insert(digest(&compressed), compressed);
        inner.put_manifest(tag, MANIFEST, &manifest)
    }

    /// Stores a list of images, one for each architecture.
    pub fn put_index(&self, tag: &str, architectures: &[&str]) -> String {
        let manifests: Vec<Value> = architectures
            .iter()
            .map(|architecture| {
                let digest = self.put(&format!("{tag}-{architecture}"), architecture);
                let size = self.lock().manifests[&digest].1.len();
                json!({
                    "mediaType": MANIFEST, "size": size, "digest": digest,
                    "platform": {"architecture": architecture, "os": "linux"}
                })
            })
            .collect();
        let index = json!({"schemaVersion": 2, "mediaType": INDEX, "manifests": manifests});
        self.lock().put_manifest(tag, INDEX, &index)
    }

    /// From now on this digest is answered with another manifest.
    pub fn forge(&self, digest: &str) {
        if let Some((_, manifest)) = self.lock().manifests.get_mut(digest) {
            manifest.push(b'\n');
        }
    }

    /// Bytes of the compressed layer that was stored last.
    pub fn layer_size(&self) -> u64 {
        let inner = self.lock();
        inner.blobs[inner.layers.last().unwrap()].len() as u64
    }

    pub fn allow(&self, access: Access) {
        self.lock().access = access;
    }

    /// The next `times` of these requests fail so.
    pub fn trouble(&self, at: At, times: usize, trouble: Trouble) {
        self.lock().troubles.insert(at, (times, trouble));
    }

    /// Connections are refused from now on.
    pub fn stop(&mut self) {
        self.server.stop();
    }

    /// Listens again, at the same address.
    pub fn restart(&mut self) {
        self.server.restart();
    }

    /// Every request so far.
    pub fn seen(&self) -> Vec<Seen> {
        self.lock().seen.clone()
    }

    /// Every login that was shown so far, once each.
    pub fn logins(&self) -> Vec<String> {
        let mut logins: Vec<String> = self.seen().into_iter().filter_map(|seen| seen.login).collect();
        logins.sort();
        logins.dedup();
        logins
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap()
    }
}

impl Drop for FakeRegistry {
    fn drop(&mut self) {
        remove_all(&format!("reference={}/*/*", self.host()), &[("images -q --no-trunc", "rmi -f")]);
    }
}

/// This machine's architecture in Go's terms.
pub fn architecture() -> &'static str {
    if cfg!(target_arch = "aarch64") { "arm64" } else { "amd64" }
}

/// An architecture that is not this machine's.
pub fn other_architecture() -> &'static str {
    if cfg!(target_arch = "aarch64") { "amd64" } else { "arm64" }
}

async fn answer(
    State(inner): State<Arc<Mutex<Inner>>>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
) -> Response {
    let (answer, behind) = {
        let mut inner = inner.lock().unwrap();
        (inner.answer(&method, uri.path(), &headers), inner.behind)
    };
    match (answer, behind) {
        (Some(response), Some(peers)) if response.status() == StatusCode::NOT_FOUND => {
            pass_on(peers, method, &uri, &headers).await
        }
        (Some(response), _) => response,
        (None, _) => std::future::pending().await,
    }
}

async fn pass_on(peers: &Peers, method: Method, uri: &Uri, headers: &HeaderMap) -> Response {
    let mut request = reqwest::Client::new()
        .request(method, format!("http://{}{uri}", peers.registry))
        .basic_auth(&peers.registry_user, Some(&peers.registry_password));
    for accepted in headers.get_all("accept") {
        request = request.header("accept", accepted);
    }
    let answer = request.send().await.unwrap();
    let (status, headers) = (answer.status(), answer.headers().clone());
    (status, headers, Body::from_stream(answer.bytes_stream())).into_response()
}

impl Inner {
    fn put_manifest(&mut self, tag: &str, kind: &'static str, manifest: &Value) -> String {
        let bytes = manifest.to_string().into_bytes();
        let digest = digest(&bytes);
        self.manifests.insert(tag.to_owned(), (kind, bytes.clone()));
        self.manifests.insert(digest.clone(), (kind, bytes));
        digest
    }

    fn answer(&mut self, method: &Method, path: &str, headers: &HeaderMap) -> Option<Response> {
        let authorization = headers.get("authorization").and_then(|value| value.to_str().ok());
        let login = authorization
            .and_then(|value| value.strip_prefix("Basic "))
            .map(|text| String::from_utf8(STANDARD.decode(text).unwrap()).unwrap());
        self.seen.push(Seen { method: method.to_string(), path: path.to_owned(), login: login.clone() });
        let name = path.rsplit('/').next().unwrap_or_default();
        let at = match path {
            "/v2/" => At::Base,
            "/token" => At::Token,
            path if path.contains("/manifests/") => At::Manifest,
            _ if self.layers.iter().any(|layer| layer == name) => At::Layer,
            path if path.contains("/blobs/") => At::Blob,
            _ => return Some(StatusCode::NOT_FOUND.into_response()),
        };
        let bearer = authorization.and_then(|value| value.strip_prefix("Bearer ")).map(str::to_owned);
        if at != At::Token
            && let Some(refusal) = self.refusal(login.as_deref(), bearer.as_deref())
        {
            return Some(refusal);
        }
        let trouble = self.trouble(at);
        match trouble {
            Some(Trouble::Status(status, code, message)) => return Some(error(status, code, message)),
            Some(Trouble::Page(status)) => {
                let status = StatusCode::from_u16(status).unwrap();
                return Some((status, "<html>The bad gateway's page</html>").into_response());
            }
            Some(Trouble::Echo) => {
                let header = authorization.unwrap_or_default();
                let words = format!("denied: {header}, which is {}", login.as_deref().unwrap_or_default());
                return Some(error(403, "DENIED", &words));
            }
            Some(Trouble::Silence) => return None,
            Some(Trouble::Redirect) => {
                return Some(
                    (StatusCode::TEMPORARY_REDIRECT, [("location", path.to_owned())]).into_response(),
                );
            }
            _ => {}
        }
        Some(match at {
            At::Base => "{}".into_response(),
            At::Token => self.token(login.as_deref()),
            At::Manifest => match self.manifests.get(name) {
                Some((kind, bytes)) => {
                    let digest = digest(bytes);
                    ([("content-type", *kind), ("docker-content-digest", &digest)], bytes.clone())
                        .into_response()
                }
                None => error(404, "MANIFEST_UNKNOWN", "manifest unknown"),
            },
            At::Blob | At::Layer => match self.blobs.get(name) {
                Some(bytes) => blob(bytes.clone(), trouble),
                None => error(404, "BLOB_UNKNOWN", "blob unknown to registry"),
            },
        })
    }

    fn trouble(&mut self, at: At) -> Option<Trouble> {
        let (times, trouble) = self.troubles.get_mut(&at)?;
        *times = times.checked_sub(1)?;
        Some(*trouble)
    }

    /// The challenge, unless the request shows what it asks for.
    fn refusal(&self, login: Option<&str>, bearer: Option<&str>) -> Option<Response> {
        let challenge = match &self.access {
            Access::Everybody => return None,
            Access::Basic(user, password) => {
                if login.is_some_and(|login| login == format!("{user}:{password}")) {
                    return None;
                }
                "Basic realm=\"registry\"".to_owned()
            }
            Access::Bearer { .. } => {
                if bearer.is_some_and(|token| token.starts_with("good-")) {
                    return None;
                }
                format!(
                    "Bearer realm=\"http://{}/token\",service=\"registry\",scope=\"repository:acme/tiny:pull\"",
                    self.host
                )
            }
        };
        let mut refusal = error(401, "UNAUTHORIZED", "authentication required");
        refusal.headers_mut().insert("www-authenticate", challenge.parse().unwrap());
        Some(refusal)
    }

    fn token(&mut self, login: Option<&str>) -> Response {
        let Access::Bearer { user, password, anonymous } = &self.access else {
            return StatusCode::NOT_FOUND.into_response();
        };
        let good = match login {
            Some(login) => login == format!("{user}:{password}"),
            None => *anonymous,
        };
        if !good {
            // What GHCR says, to a wrong token also for public images.
            return error(403, "DENIED", "denied");
        }
        self.tokens += 1;
        json!({"token": format!("good-{}", self.tokens)}).to_string().into_response()
    }
}

fn error(status: u16, code: &str, message: &str) -> Response {
    let body = json!({"errors": [{"code": code, "message": message}]}).to_string();
    let kind = [("content-type", "application/json")];
    (StatusCode::from_u16(status).unwrap(), kind, body).into_response()
}

fn blob(mut bytes: Vec<u8>, trouble: Option<Trouble>) -> Response {
    let length = [("content-length", bytes.len().to_string())];
    match trouble {
        Some(Trouble::Stall) => {
            bytes.truncate(bytes.len() / 2);
            let half = stream::iter([Ok::<_, std::io::Error>(Bytes::from(bytes))]);
            (length, Body::from_stream(half.chain(stream::pending()))).into_response()
        }
        Some(Trouble::Cut) => {
            bytes.truncate(bytes.len() / 2);
            let half = stream::iter([Ok(Bytes::from(bytes)), Err(std::io::Error::other("cut"))]);
            (length, Body::from_stream(half)).into_response()
        }
        Some(Trouble::Drip(size)) => {
            let pieces: Vec<_> = bytes.chunks(size).map(Bytes::copy_from_slice).collect();
            let pieces = stream::iter(pieces).then(async |piece| {
                tokio::time::sleep(Duration::from_secs(1)).await;
                Ok::<_, std::io::Error>(piece)
            });
            (length, Body::from_stream(pieces)).into_response()
        }
        Some(Trouble::Instead(other)) => other.into_response(),
        Some(Trouble::Corrupt) => {
            let middle = bytes.len() / 2;
            bytes[middle] ^= 0xff;
            (length, bytes).into_response()
        }
        _ => (length, bytes).into_response(),
    }
}

fn layer(size: usize) -> Vec<u8> {
    let mut noise = vec![0; size];
    fastrand::fill(&mut noise);
    let mut tar = tar::Builder::new(Vec::new());
    for (path, mode) in [("data", 0o644), ("garbage", 0o755)] {
        let mut header = tar::Header::new_gnu();
        header.set_mode(mode);
        header.set_size(noise.len() as u64);
        tar.append_data(&mut header, path, noise.as_slice()).unwrap();
    }
    tar.into_inner().unwrap()
}

pub fn digest(bytes: &[u8]) -> String {
    let digest = ring::digest::digest(&ring::digest::SHA256, bytes);
    digest.as_ref().iter().fold("sha256:".to_owned(), |text, byte| format!("{text}{byte:02x}"))
}
