//! The instance metadata service, version 2 only.
//!
//! A client of our own: the SDK's keeps a token that IMDS has refused until its
//! six hours are over, reads bodies of any size, and does not tell a service
//! that is not there from one whose answers are lost on the way.

mod error;

pub use error::ImdsError;

use std::net::{IpAddr, Ipv4Addr};
use std::time::{Duration, Instant};

use reqwest::header::HeaderValue;
use reqwest::{Method, Response, StatusCode, Url};
use serde::Deserialize;
use tokio::sync::Mutex;

use crate::cause::innermost;
use crate::retry::{self, Policy, Verdict};

/// Limit of one connect.
const CONNECT: Duration = Duration::from_secs(1);
/// Limit of one wait for bytes. The client counts the connect into the first
/// wait, so it must be the longer one, else the two cannot be told apart.
const READ: Duration = Duration::from_millis(1500);
/// Limit of one request, against a body that trickles.
const REQUEST: Duration = Duration::from_secs(5);
/// Waits are short so that four tries at nobody end within five seconds.
const POLICY: Policy = Policy {
    tries: 4,
    first: Duration::from_millis(50),
    max: Duration::from_millis(200),
    total: Duration::from_secs(30),
};
/// An answer that asks for patience (5xx, throttled) gets this much at least.
const BREATH: Duration = Duration::from_millis(500);
/// Largest body that is read; an identity document has about 500 bytes.
const BODY_LIMIT: usize = 64 * 1024;
/// Largest single fact; a tag's value has at most 256 characters.
const FACT_LIMIT: usize = 1024;
/// Longest life IMDS grants a token.
const TOKEN_TTL: Duration = Duration::from_secs(21_600);
/// A token is renewed this long before its end.
const TOKEN_MARGIN: Duration = Duration::from_secs(120);

const TOKEN_PATH: &str = "latest/api/token";
const IDENTITY_PATH: &str = "latest/dynamic/instance-identity/document";

/// What the instance knows of itself.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Instance {
    /// `i-…`
    #[serde(rename = "instanceId")]
    pub id: String,
    /// Region, as in `eu-central-1`.
    pub region: String,
    /// Availability zone.
    pub availability_zone: Option<String>,
    /// Type, as in `t4g.small`.
    pub instance_type: Option<String>,
    /// AMI it was started from.
    pub image_id: Option<String>,
    /// Account it belongs to, twelve digits.
    pub account_id: Option<String>,
    /// `x86_64` or `arm64`.
    pub architecture: Option<String>,
    /// Primary private address.
    pub private_ip: Option<IpAddr>,
    /// Public IPv4 address, if it has one.
    #[serde(skip)]
    pub public_ip: Option<Ipv4Addr>,
}

/// A client of the metadata service.
#[derive(Debug)]
pub struct Imds {
    /// `None` where `AWS_EC2_METADATA_DISABLED` is set.
    base: Option<Url>,
    http: reqwest::Client,
    token: Mutex<Option<Token>>,
}

#[derive(Debug, Clone)]
struct Token {
    value: HeaderValue,
    renew_at: Instant,
}

/// The service's address as the SDK's variables give it; `None` if switched off.
pub(super) fn endpoint(env: impl Fn(&str) -> Option<String>) -> Option<String> {
    let set = |name| env(name).filter(|value| !value.is_empty());
    if set("AWS_EC2_METADATA_DISABLED").is_some_and(|v| v.eq_ignore_ascii_case("true")) {
        return None;
    }
    let ipv6 = set("AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE").is_some_and(|v| v.eq_ignore_ascii_case("ipv6"));
    let default = if ipv6 { "http://[fd00:ec2::254]" } else { "http://169.254.169.254" };
    Some(set("AWS_EC2_METADATA_SERVICE_ENDPOINT").unwrap_or_else(|| default.to_owned()))
}

impl Imds {
    /// A client for the service at `endpoint` ([`super::Endpoints::imds`]); asks nothing yet.
    ///
    /// # Errors
    /// `endpoint` is not a URL.
    pub fn connect(endpoint: Option<&str>) -> Result<Self, ImdsError> {
        let wrong = || ImdsError::Endpoint { endpoint: endpoint.unwrap_or_default().to_owned() };
        let base = endpoint.map(|e| Url::parse(&format!("{}/", e.trim_end_matches('/')))).transpose();
        let base = base.map_err(|_| wrong())?;
        if base.as_ref().is_some_and(|url| url.scheme() != "http") {
            return Err(wrong());
        }
        let http = reqwest::Client::builder()
            .no_proxy() // a PUT that a proxy forwards is refused
            .redirect(reqwest::redirect::Policy::none())
            .tls_certs_only([]) // plain HTTP: must work on a machine without CA certificates
            .connect_timeout(CONNECT)
            .read_timeout(READ)
            .timeout(REQUEST)
            .build()
            .map_err(|_| wrong())?;
        Ok(Self { base, http, token: Mutex::new(None) })
    }

    /// Who this instance is; `None` where the service is switched off by environment.
    ///
    /// # Errors
    /// No usable answer within the policy (4 tries, 30 s).
    pub async fn instance(&self) -> Result<Option<Instance>, ImdsError> {
        if self.base.is_none() {
            return Ok(None);
        }
        let body = self.get(IDENTITY_PATH).await?;
        let body = body.ok_or_else(|| self.malformed(IDENTITY_PATH, "it is absent"))?;
        let mut instance: Instance = serde_json::from_str(&body)
            .map_err(|_| self.malformed(IDENTITY_PATH, "not an identity document"))?;
        for fact in instance.facts() {
            self.check(IDENTITY_PATH, fact)?;
        }
        let path = "latest/meta-data/public-ipv4";
        instance.public_ip = match self.fact(path).await? {
            Some(ip) => Some(ip.parse().map_err(|_| self.malformed(path, "not an IPv4 address"))?),
            None => None,
        };
        Ok(Some(instance))
    }

    /// The value of an instance tag; `None` where there is no such tag, or where
    /// tags are not enabled in the metadata (the default of EC2).
    ///
    /// # Errors
    /// No usable answer within the policy (4 tries, 30 s).
    pub async fn tag(&self, name: &str) -> Result<Option<String>, ImdsError> {
        // The names that EC2 refuses when it enables tags would ask for another path.
        let legal = |c: char| c.is_ascii_alphanumeric() || "+-=.,_:@".contains(c);
        if name.is_empty() || [".", "..", "_index"].contains(&name) || !name.chars().all(legal) {
            return Ok(None);
        }
        self.fact(&format!("latest/meta-data/tags/instance/{name}")).await
    }

    /// One fact on one line; `None` where it is absent.
    async fn fact(&self, path: &str) -> Result<Option<String>, ImdsError> {
        let Some(fact) = self.get(path).await? else { return Ok(None) };
        self.check(path, &fact)?;
        Ok(Some(fact))
    }

    async fn get(&self, path: &str) -> Result<Option<String>, ImdsError> {
        let Some(base) = &self.base else { return Ok(None) };
        let tries = retry::run(POLICY, async |_| self.attempt(base, path).await);
        match tokio::time::timeout(POLICY.total, tries).await {
            Ok(Ok((body, _))) => Ok(body),
            Ok(Err(gave_up)) => Err(gave_up.error),
            Err(_) => Err(self.unreachable(format!("no answer within {} s", POLICY.total.as_secs()))),
        }
    }

    async fn attempt(&self, base: &Url, path: &str) -> Result<Option<String>, Verdict<ImdsError>> {
        let token = self.token(base).await?;
        let request = self.http.get(self.url(base, path)?).header("X-aws-ec2-metadata-token", token);
        let response = request.send().await.map_err(|e| Verdict::Again(self.unreachable(reason(&e))))?;
        match response.status() {
            StatusCode::OK => self.body(path, response).await.map(Some),
            StatusCode::NOT_FOUND => Ok(None),
            StatusCode::UNAUTHORIZED => {
                *self.token.lock().await = None;
                Err(Verdict::Again(self.status(path, StatusCode::UNAUTHORIZED)))
            }
            status => Err(self.refusal(path, status)),
        }
    }

    /// The session token, from memory or anew; callers at the same time share one request.
    async fn token(&self, base: &Url) -> Result<HeaderValue, Verdict<ImdsError>> {
        let mut kept = self.token.lock().await;
        if let Some(token) = kept.as_ref().filter(|token| Instant::now() < token.renew_at) {
            return Ok(token.value.clone());
        }
        let request = self
            .http
            .request(Method::PUT, self.url(base, TOKEN_PATH)?)
            .header("X-aws-ec2-metadata-token-ttl-seconds", TOKEN_TTL.as_secs());
        let response = request.send().await.map_err(|e| {
            let lost = e.is_timeout() && !e.is_connect();
            let lost = lost.then(|| ImdsError::TokenLost { endpoint: self.endpoint() });
            Verdict::Again(lost.unwrap_or_else(|| self.unreachable(reason(&e))))
        })?;
        if response.status() != StatusCode::OK {
            return Err(self.refusal(TOKEN_PATH, response.status()));
        }
        let value = self.body(TOKEN_PATH, response).await?;
        self.check(TOKEN_PATH, &value).map_err(Verdict::Final)?;
        let mut value = HeaderValue::from_str(&value)
            .map_err(|_| Verdict::Final(self.malformed(TOKEN_PATH, "not a token")))?;
        value.set_sensitive(true);
        *kept = Some(Token { value: value.clone(), renew_at: Instant::now() + TOKEN_TTL - TOKEN_MARGIN });
        Ok(value)
    }

    /// Reads a body to its end or to the limit, whichever is first.
    async fn body(&self, path: &str, mut response: Response) -> Result<String, Verdict<ImdsError>> {
        let mut body = Vec::new();
        while let Some(chunk) =
            response.chunk().await.map_err(|e| Verdict::Again(self.unreachable(reason(&e))))?
        {
            if body.len() + chunk.len() > BODY_LIMIT {
                return Err(Verdict::Final(self.malformed(path, "larger than 64 KiB")));
            }
            body.extend_from_slice(&chunk);
        }
        String::from_utf8(body).map_err(|_| Verdict::Final(self.malformed(path, "not UTF-8")))
    }

    fn refusal(&self, path: &str, status: StatusCode) -> Verdict<ImdsError> {
        match status {
            StatusCode::FORBIDDEN => {
                Verdict::Final(ImdsError::Forbidden { endpoint: self.endpoint(), path: path.to_owned() })
            }
            StatusCode::TOO_MANY_REQUESTS => Verdict::After(self.status(path, status), BREATH),
            status if status.is_server_error() => Verdict::After(self.status(path, status), BREATH),
            status => Verdict::Final(self.status(path, status)),
        }
    }

    /// A fact is one short line of text: a page of HTML or a listing is none.
    fn check(&self, path: &str, fact: &str) -> Result<(), ImdsError> {
        let reason = match fact {
            "" => "empty",
            long if long.len() > FACT_LIMIT => "too long for a fact",
            odd if odd.chars().any(char::is_control) => "it has control characters",
            _ => return Ok(()),
        };
        Err(self.malformed(path, reason))
    }

    fn url(&self, base: &Url, path: &str) -> Result<Url, Verdict<ImdsError>> {
        base.join(path).map_err(|_| Verdict::Final(self.malformed(path, "not a path")))
    }

    fn endpoint(&self) -> String {
        self.base.as_ref().map_or_else(String::new, |url| url.as_str().trim_end_matches('/').to_owned())
    }

    fn unreachable(&self, reason: String) -> ImdsError {
        ImdsError::Unreachable { endpoint: self.endpoint(), reason }
    }

    fn status(&self, path: &str, status: StatusCode) -> ImdsError {
        ImdsError::Status { endpoint: self.endpoint(), path: path.to_owned(), status: status.as_u16() }
    }

    fn malformed(&self, path: &str, reason: &'static str) -> ImdsError {
        ImdsError::Malformed { endpoint: self.endpoint(), path: path.to_owned(), reason }
    }
}

impl Instance {
    fn facts(&self) -> impl Iterator<Item = &str> {
        let optional = [
            &self.availability_zone,
            &self.instance_type,
            &self.image_id,
            &self.account_id,
            &self.architecture,
        ];
        [self.id.as_str(), self.region.as_str()]
            .into_iter()
            .chain(optional.into_iter().flatten().map(String::as_str))
    }
}

fn reason(error: &reqwest::Error) -> String {
    if !error.is_timeout() {
        return innermost(error).to_string();
    }
    let what = if error.is_connect() { "connecting" } else { "waiting for the answer" };
    format!("timed out {what}")
}
