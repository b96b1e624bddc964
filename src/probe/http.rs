//! What the application answers to a GET request.

use std::future::pending;
use std::net::SocketAddr;
use std::time::Duration;

use serde_json::{Map, Value};

use crate::cause::innermost;
use crate::redact::{Redactor, plain};
use crate::status::{Code, Fault};

/// Largest body that is read of an answer; a health answer is far smaller.
const BODY_MAX: usize = 64 * 1024;

/// Longest part of an unhealthy answer that the status quotes, in bytes.
const QUOTE_MAX: usize = 200;

/// Asks one address.
#[derive(Debug, Clone)]
pub(super) struct HttpProbe {
    client: reqwest::Client,
    address: SocketAddr,
    redactor: Redactor,
}

impl HttpProbe {
    /// A probe of this address; a request may take `timeout`.
    ///
    /// # Errors
    /// The client could not be made.
    pub(super) fn new(address: SocketAddr, timeout: Duration, redactor: Redactor) -> reqwest::Result<Self> {
        let client = reqwest::Client::builder()
            // Plain HTTP to this host: no certificates, no proxy, a new connection each time,
            // and a redirect is an answer.
            .tls_certs_only([])
            .no_proxy()
            .pool_max_idle_per_host(0)
            .redirect(reqwest::redirect::Policy::none())
            .timeout(timeout)
            .user_agent(concat!("preview-agent/", env!("CARGO_PKG_VERSION")))
            .build()?;
        Ok(Self { client, address, redactor })
    }

    /// Returns when there is any answer to this request, else never.
    pub(super) async fn answers(&self, path: Option<&str>) {
        let Some(path) = path else { return pending().await };
        if self.client.get(self.url(path)).send().await.is_err() {
            pending().await
        }
    }

    /// The status of an answer that is 2xx or 3xx and whose JSON has these fields.
    ///
    /// # Errors
    /// The status of any other answer, if there was one, and what is wrong with it.
    pub(super) async fn probe(
        &self,
        path: &str,
        json: Option<&Map<String, Value>>,
    ) -> Result<u16, (Option<u16>, Fault)> {
        let mut response = self.client.get(self.url(path)).send().await.map_err(|error| {
            let words = if error.is_timeout() { "no answer in time".to_owned() } else { cause(&error) };
            (None, Fault::new(Code::HealthTimeout, format!("{path}: {words}")))
        })?;
        let status = response.status();
        let code = status.as_u16();
        let mut body = Vec::new();
        while let Ok(Some(chunk)) = response.chunk().await {
            body.extend_from_slice(&chunk[..chunk.len().min(BODY_MAX - body.len())]);
            if body.len() >= BODY_MAX {
                break;
            }
        }
        if let Some(expected) = json {
            let answer: Option<Value> = serde_json::from_slice(&body).ok();
            let holds = |(key, value)| answer.as_ref().and_then(|answer| answer.get(key)) == Some(value);
            if !expected.iter().all(holds) {
                let message = format!("{path} answered {code} {}", self.quote(&body));
                return Err((Some(code), Fault::new(Code::HealthUnhealthy, message)));
            }
        }
        if status.is_success() || status.is_redirection() {
            return Ok(code);
        }
        let fault = Fault::new(Code::HealthStatus, format!("{path} answered {code} {}", self.quote(&body)));
        Err((Some(code), fault))
    }

    fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// The beginning of an answer, masked before it is cut: half a secret would not be recognised.
    fn quote(&self, body: &[u8]) -> String {
        let text = String::from_utf8_lossy(body);
        let text = plain(&text);
        let line = self.redactor.apply(&text);
        line[..line.floor_char_boundary(QUOTE_MAX)].to_owned()
    }
}

/// The innermost reason, where the HTTP library's words for it mean something to a user:
/// reqwest's own only name the URL.
fn cause(error: &reqwest::Error) -> String {
    let words = innermost(error).to_string();
    // hyper 1.x, `Error::description`, and what the system says in the same cases.
    let has = |any: &[&str]| any.iter().any(|text| words.contains(text));
    if has(&["closed before message", "reset by peer", "Broken pipe", "unexpected end of file"]) {
        "hung up before its answer was complete".to_owned()
    } else if has(&["invalid HTTP"]) {
        "what answers does not speak HTTP".to_owned()
    } else if has(&["head is too large"]) {
        "the header of its answer is too large".to_owned()
    } else {
        words
    }
}
