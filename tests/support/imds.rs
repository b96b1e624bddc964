//! A metadata service, version 2, that misbehaves on command.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard};

use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, Method, StatusCode, Uri};
use axum::response::{IntoResponse, Response};

use super::server::Server;

pub const INSTANCE_ID: &str = "i-0abc123def4567890";
pub const REGION: &str = "eu-central-1";
pub const ACCOUNT: &str = "123456789012";
/// The instance role's keys; what the fake SSM sees as the caller.
pub const ROLE_ACCESS_KEY: &str = "ASIAROLEOFTHEINSTANCE";
pub const IDENTITY: &str = "/latest/dynamic/instance-identity/document";
const TOKEN: &str = "/latest/api/token";
const ROLE: &str = "/latest/meta-data/iam/security-credentials/";

/// One request as it came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen {
    pub method: String,
    pub path: String,
    pub token: Option<String>,
}

#[derive(Default)]
struct Inner {
    facts: BTreeMap<String, Vec<u8>>,
    valid: BTreeSet<String>,
    issued: usize,
    seen: Vec<Seen>,
    forbidden: bool,
    tokens_lost: bool,
    tokens_rejected: bool,
    /// Requests until all tokens are forgotten.
    expiry: Option<usize>,
    failures: Vec<StatusCode>,
}

pub struct FakeImds {
    server: Server,
    inner: Arc<Mutex<Inner>>,
}

impl FakeImds {
    /// An instance with a public address and a role, without tags.
    pub fn start() -> Self {
        let inner = Arc::new(Mutex::new(Inner::default()));
        let server = Server::start(Router::new().fallback(answer).with_state(Arc::clone(&inner)));
        let imds = Self { server, inner };
        imds.identify(INSTANCE_ID, "t3.small");
        imds.set("/latest/meta-data/public-ipv4", "203.0.113.7");
        imds.set(ROLE, "preview-role");
        let keys = serde_json::json!({
            "Code": "Success", "LastUpdated": "2026-11-21T08:00:00Z", "Type": "AWS-HMAC",
            "AccessKeyId": ROLE_ACCESS_KEY, "SecretAccessKey": "secret-key-of-the-role",
            "Token": "session-token-of-the-role", "Expiration": "2099-01-01T00:00:00Z"
        });
        imds.set(&format!("{ROLE}preview-role"), keys.to_string());
        imds
    }

    pub fn endpoint(&self) -> String {
        self.server.url()
    }

    /// Which instance it is that of.
    pub fn identify(&self, id: &str, kind: &str) {
        let identity = serde_json::json!({
            "accountId": ACCOUNT, "architecture": "x86_64", "availabilityZone": "eu-central-1a",
            "billingProducts": null, "imageId": "ami-0123456789abcdef0", "instanceId": id,
            "instanceType": kind, "kernelId": null, "pendingTime": "2026-11-21T08:00:00Z",
            "privateIp": "172.31.5.6", "ramdiskId": null, "region": REGION, "version": "2017-09-30"
        });
        self.set(IDENTITY, identity.to_string());
    }

    /// What a path answers.
    pub fn set(&self, path: &str, body: impl Into<Vec<u8>>) {
        self.lock().facts.insert(path.to_owned(), body.into());
    }

    pub fn set_tag(&self, name: &str, value: &str) {
        self.set(&format!("/latest/meta-data/tags/instance/{name}"), value);
    }

    /// The path answers 404.
    pub fn remove(&self, path: &str) {
        self.lock().facts.remove(path);
    }

    /// An instance without a role.
    pub fn remove_role(&self) {
        self.remove(ROLE);
    }

    /// No token that was given out is accepted any more: 401.
    pub fn expire_tokens(&self) {
        self.lock().valid.clear();
    }

    /// The same, once so many requests with a token have been answered.
    pub fn expire_tokens_after(&self, requests: usize) {
        self.lock().expiry = Some(requests);
    }

    /// No token is accepted from now on.
    pub fn reject_tokens(&self) {
        self.lock().tokens_rejected = true;
    }

    /// Connections are refused from now on.
    pub fn stop(&mut self) {
        self.server.stop();
    }

    /// Switched off: everything answers 403.
    pub fn forbid(&self) {
        self.lock().forbidden = true;
    }

    /// The hop limit is too low: TCP connects, the token never arrives.
    pub fn lose_tokens(&self) {
        self.lock().tokens_lost = true;
    }

    /// The next `times` requests that carry a valid token fail with this status.
    pub fn fail(&self, times: usize, status: u16) {
        let status = StatusCode::from_u16(status).unwrap();
        self.lock().failures.extend(std::iter::repeat_n(status, times));
    }

    /// Every request so far.
    pub fn seen(&self) -> Vec<Seen> {
        self.lock().seen.clone()
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap()
    }
}

async fn answer(
    State(inner): State<Arc<Mutex<Inner>>>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
) -> Response {
    let answer = inner.lock().unwrap().answer(&method, uri.path(), &headers);
    match answer {
        Some(answer) => answer,
        None => std::future::pending().await,
    }
}

impl Inner {
    /// `None`: nothing is ever answered.
    fn answer(&mut self, method: &Method, path: &str, headers: &HeaderMap) -> Option<Response> {
        let header = |name| headers.get(name).map(|v| v.to_str().unwrap().to_owned());
        let token = header("x-aws-ec2-metadata-token");
        self.seen.push(Seen { method: method.to_string(), path: path.to_owned(), token: token.clone() });
        if self.forbidden || header("x-forwarded-for").is_some() {
            return Some(StatusCode::FORBIDDEN.into_response());
        }
        if self.tokens_lost && path == TOKEN {
            return None;
        }
        if path == TOKEN && method == Method::PUT {
            return Some(self.issue(header("x-aws-ec2-metadata-token-ttl-seconds")));
        }
        match &mut self.expiry {
            Some(0) => {
                self.expiry = None;
                self.valid.clear();
            }
            Some(left) => *left -= 1,
            None => {}
        }
        if self.tokens_rejected
            || method != Method::GET
            || !token.is_some_and(|token| self.valid.contains(&token))
        {
            return Some(StatusCode::UNAUTHORIZED.into_response());
        }
        if let Some(status) = self.failures.pop() {
            return Some(status.into_response());
        }
        Some(match self.facts.get(path) {
            Some(body) => body.clone().into_response(),
            None => StatusCode::NOT_FOUND.into_response(),
        })
    }

    fn issue(&mut self, ttl: Option<String>) -> Response {
        if !ttl.and_then(|ttl| ttl.parse().ok()).is_some_and(|ttl: u32| (1..=21_600).contains(&ttl)) {
            return StatusCode::BAD_REQUEST.into_response();
        }
        self.issued += 1;
        let token = format!("token-{}==", self.issued);
        self.valid.insert(token.clone());
        ([("x-aws-ec2-metadata-token-ttl-seconds", "21600")], token).into_response()
    }
}
