//! The client: a session token first, then one fact at a time.

use std::time::{Duration, Instant};

use reqwest::header::HeaderValue;
use reqwest::{Method, StatusCode, Url};
use tokio::sync::Mutex;

use super::answers::Answers;
use super::error::ImdsError;
use super::instance::Instance;
use crate::retry::{self, Policy, Verdict};

/// Limit of one connect.
const CONNECT: Duration = Duration::from_secs(1);
/// Limit of one wait for bytes. The client counts the connect into the first
/// wait, so it must be the longer one, else the two cannot be told apart.
const READ: Duration = Duration::from_millis(1500);
/// Limit of one request, against a body that trickles.
const REQUEST: Duration = Duration::from_secs(5);
/// Limit of one question, all tries together.
pub const IMDS_LIMIT: Duration = Duration::from_secs(30);
/// Waits are short so that four tries at nobody end within five seconds.
const POLICY: Policy =
    Policy { tries: 4, first: Duration::from_millis(50), max: Duration::from_millis(200), total: IMDS_LIMIT };
/// Longest life IMDS grants a token.
const TOKEN_TTL: Duration = Duration::from_secs(21_600);
/// A token is renewed this long before its end.
const TOKEN_MARGIN: Duration = Duration::from_secs(120);

const TOKEN_PATH: &str = "latest/api/token";
const IDENTITY_PATH: &str = "latest/dynamic/instance-identity/document";

/// A client of the metadata service.
#[derive(Debug)]
pub struct Imds {
    /// `None` where `AWS_EC2_METADATA_DISABLED` is set.
    base: Option<Url>,
    http: reqwest::Client,
    token: Mutex<Option<Token>>,
    answers: Answers,
}

#[derive(Debug, Clone)]
struct Token {
    value: HeaderValue,
    renew_at: Instant,
}

impl Imds {
    /// A client for the service at `endpoint` ([`crate::aws::Endpoints::imds`]); asks nothing yet.
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
        let endpoint = base.as_ref().map_or("", |url| url.as_str().trim_end_matches('/')).to_owned();
        Ok(Self { base, http, token: Mutex::new(None), answers: Answers { endpoint } })
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
        let body = body.ok_or_else(|| self.answers.malformed(IDENTITY_PATH, "it is absent"))?;
        let mut instance: Instance = serde_json::from_str(&body)
            .map_err(|_| self.answers.malformed(IDENTITY_PATH, "not an identity document"))?;
        for fact in instance.facts() {
            self.answers.check(IDENTITY_PATH, fact)?;
        }
        let path = "latest/meta-data/public-ipv4";
        instance.public_ip = match self.fact(path).await? {
            Some(ip) => Some(ip.parse().map_err(|_| self.answers.malformed(path, "not an IPv4 address"))?),
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
        self.answers.check(path, &fact)?;
        Ok(Some(fact))
    }

    async fn get(&self, path: &str) -> Result<Option<String>, ImdsError> {
        let Some(base) = &self.base else { return Ok(None) };
        let tries = retry::run(POLICY, async |_| self.attempt(base, path).await);
        match tokio::time::timeout(POLICY.total, tries).await {
            Ok(Ok((body, _))) => Ok(body),
            Ok(Err(gave_up)) => Err(gave_up.error),
            Err(_) => Err(self.answers.unreachable(format!("no answer within {} s", POLICY.total.as_secs()))),
        }
    }

    async fn attempt(&self, base: &Url, path: &str) -> Result<Option<String>, Verdict<ImdsError>> {
        let token = self.token(base).await?;
        let request = self.http.get(self.url(base, path)?).header("X-aws-ec2-metadata-token", token);
        let response = request.send().await.map_err(|e| Verdict::Again(self.answers.absent(&e)))?;
        match response.status() {
            StatusCode::OK => self.answers.body(path, response).await.map(Some),
            StatusCode::NOT_FOUND => Ok(None),
            StatusCode::UNAUTHORIZED => {
                *self.token.lock().await = None;
                Err(Verdict::Again(self.answers.status(path, StatusCode::UNAUTHORIZED)))
            }
            status => Err(self.answers.refusal(path, status)),
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
            let lost = lost.then(|| ImdsError::TokenLost { endpoint: self.answers.endpoint.clone() });
            Verdict::Again(lost.unwrap_or_else(|| self.answers.absent(&e)))
        })?;
        if response.status() != StatusCode::OK {
            return Err(self.answers.refusal(TOKEN_PATH, response.status()));
        }
        let value = self.answers.body(TOKEN_PATH, response).await?;
        self.answers.check(TOKEN_PATH, &value).map_err(Verdict::Final)?;
        let mut value = HeaderValue::from_str(&value)
            .map_err(|_| Verdict::Final(self.answers.malformed(TOKEN_PATH, "not a token")))?;
        value.set_sensitive(true);
        *kept = Some(Token { value: value.clone(), renew_at: Instant::now() + TOKEN_TTL - TOKEN_MARGIN });
        Ok(value)
    }

    fn url(&self, base: &Url, path: &str) -> Result<Url, Verdict<ImdsError>> {
        base.join(path).map_err(|_| Verdict::Final(self.answers.malformed(path, "not a path")))
    }
}
