//! A client for GitHub's REST API: token, limits, tries, pages.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use preview_agent::cause::innermost;
use preview_agent::retry::{self, Policy, Verdict};
use reqwest::header::{self, HeaderMap};
use reqwest::{Client, Method, Response, StatusCode, Url};
use secrecy::{ExposeSecret as _, SecretString};
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::error::GitHubError;
use crate::names::Repository;

/// The version of the API that this code reads (docs.github.com, "API Versions").
const API_VERSION: &str = "2022-11-28";
/// Time limit of one try.
const TRY: Duration = Duration::from_secs(10);
/// Tries of one request, and the time limit for all of them: a rate limit that lasts longer is an error.
const PATIENCE: Policy = Policy {
    tries: 5,
    first: Duration::from_secs(1),
    max: Duration::from_secs(8),
    total: Duration::from_secs(90),
};
/// How long to wait for a secondary limit that names no time (docs.github.com, "Rate limits for the REST API").
const SECONDARY: Duration = Duration::from_secs(60);
/// Largest answer in bytes: 50 pull requests with texts of the greatest length.
const MOST: usize = 32 << 20;
/// Pages of one list: 100 of 100.
const PAGES: usize = 100;

/// The API of one repository.
#[derive(Debug, Clone)]
pub struct GitHub {
    client: Client,
    base: Url,
    token: SecretString,
    /// The repository of all requests.
    pub repository: Repository,
}

impl GitHub {
    /// The API at `base`, such as `https://api.github.com`; sends no request yet.
    ///
    /// # Errors
    /// An invalid address, or no certificates on this machine.
    pub fn new(base: &str, token: SecretString, repository: Repository) -> Result<Self, GitHubError> {
        let what = "reach GitHub";
        let unusable = |reason: String| GitHubError::Unreachable { what, reason };
        let base = Url::parse(&format!("{}/", base.trim_end_matches('/')));
        let base = base.map_err(|_| unusable("GITHUB_API_URL is not a URL".to_owned()))?;
        let client = Client::builder()
            .user_agent(concat!("preview/", env!("CARGO_PKG_VERSION")))
            .connect_timeout(Duration::from_secs(5))
            .timeout(TRY)
            .build()
            .map_err(|error| unusable(innermost(&error).to_string()))?;
        Ok(Self { client, base, token, repository })
    }

    /// The answer to a request below `repos/OWNER/NAME/`.
    pub(super) async fn ask<T: DeserializeOwned>(
        &self,
        what: &'static str,
        method: Method,
        path: &str,
        body: Option<&Value>,
    ) -> Result<T, GitHubError> {
        let url = self.url(what, path)?;
        let bytes = self.send(what, method, url, body, "application/vnd.github+json").await?.0;
        serde_json::from_slice(&bytes).map_err(|error| GitHubError::Unreachable {
            what,
            reason: format!("the answer is not GitHub's: {error}"),
        })
    }

    /// A file as it is.
    pub(super) async fn raw(
        &self,
        what: &'static str,
        path: &str,
        query: &[(&str, &str)],
    ) -> Result<Vec<u8>, GitHubError> {
        let mut url = self.url(what, path)?;
        url.query_pairs_mut().extend_pairs(query);
        Ok(self.send(what, Method::GET, url, None, "application/vnd.github.raw+json").await?.0)
    }

    /// Deletes what is below this path.
    pub(super) async fn raw_delete(&self, path: &str) -> Result<(), GitHubError> {
        let what = "remove a comment";
        let url = self.url(what, path)?;
        self.send(what, Method::DELETE, url, None, "application/vnd.github+json").await.map(drop)
    }

    /// All items of a list, page by page. Follows no link to another host, which would get the token.
    pub(super) async fn list<T: DeserializeOwned>(
        &self,
        what: &'static str,
        path: &str,
    ) -> Result<Vec<T>, GitHubError> {
        let mut next = Some(self.url(what, path)?);
        let mut all = Vec::new();
        for _ in 0..PAGES {
            let Some(url) = next else { return Ok(all) };
            let (bytes, headers) =
                self.send(what, Method::GET, url, None, "application/vnd.github+json").await?;
            let page: Vec<T> = serde_json::from_slice(&bytes).map_err(|error| GitHubError::Unreachable {
                what,
                reason: format!("the answer is not GitHub's: {error}"),
            })?;
            all.extend(page);
            next = next_page(&headers).filter(|url| url.origin() == self.base.origin());
        }
        Err(GitHubError::Unreachable { what, reason: format!("the list has more than {PAGES} pages") })
    }

    /// The login of the token's owner; GitHub does not tell it to a workflow's own token.
    pub(super) async fn login(&self) -> Option<String> {
        let url = self.base.join("user").ok()?;
        let bytes = self
            .once("read the owner of the token", &Method::GET, &url, None, "application/json")
            .await
            .ok()?
            .0;
        serde_json::from_slice::<Value>(&bytes).ok()?["login"].as_str().map(str::to_owned)
    }

    fn url(&self, what: &'static str, path: &str) -> Result<Url, GitHubError> {
        self.base
            .join(&format!("repos/{}{path}", self.repository))
            .map_err(|error| GitHubError::Unreachable { what, reason: error.to_string() })
    }

    async fn send(
        &self,
        what: &'static str,
        method: Method,
        url: Url,
        body: Option<&Value>,
        accept: &str,
    ) -> Result<(Vec<u8>, HeaderMap), GitHubError> {
        let answer = retry::run(PATIENCE, async |_| {
            self.once(what, &method, &url, body, accept).await.map_err(|error| match error {
                GitHubError::Limited { wait, .. } => Verdict::After(error, wait),
                // GitHub may have done what was asked, and a second POST would do it again.
                GitHubError::Unreachable { .. } if method == Method::POST => Verdict::Final(error),
                GitHubError::Unreachable { .. } => Verdict::Again(error),
                GitHubError::Refused { status: 500.., .. } if method != Method::POST => Verdict::Again(error),
                _ => Verdict::Final(error),
            })
        });
        answer.await.map(|(answer, _)| answer).map_err(|gave_up| gave_up.error)
    }

    async fn once(
        &self,
        what: &'static str,
        method: &Method,
        url: &Url,
        body: Option<&Value>,
        accept: &str,
    ) -> Result<(Vec<u8>, HeaderMap), GitHubError> {
        let lost =
            |error: reqwest::Error| GitHubError::Unreachable { what, reason: innermost(&error).to_string() };
        let mut request = self
            .client
            .request(method.clone(), url.clone())
            .header(header::ACCEPT, accept)
            .header("X-GitHub-Api-Version", API_VERSION);
        if !self.token.expose_secret().is_empty() {
            request = request.bearer_auth(self.token.expose_secret());
        }
        if let Some(body) = body {
            request = request.json(body);
        }
        let answer = request.send().await.map_err(lost)?;
        let (status, headers) = (answer.status(), answer.headers().clone());
        let bytes = read(answer).await.map_err(lost)?;
        let bytes =
            bytes.ok_or(GitHubError::Unreachable { what, reason: "the answer is too large".to_owned() })?;
        if status.is_success() { Ok((bytes, headers)) } else { Err(refused(what, status, &headers, &bytes)) }
    }
}

/// The body; `None` if it is too large.
async fn read(mut answer: Response) -> Result<Option<Vec<u8>>, reqwest::Error> {
    let mut bytes = Vec::new();
    while let Some(chunk) = answer.chunk().await? {
        bytes.extend_from_slice(&chunk);
        if bytes.len() > MOST {
            return Ok(None);
        }
    }
    Ok(Some(bytes))
}

fn refused(what: &'static str, status: StatusCode, headers: &HeaderMap, body: &[u8]) -> GitHubError {
    let message = serde_json::from_slice::<Value>(body).ok();
    let message = message.and_then(|body| body["message"].as_str().map(str::to_owned)).unwrap_or_default();
    let message: String = message.chars().map(|c| if c.is_control() { ' ' } else { c }).take(300).collect();
    let lower = message.to_lowercase();
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
    let number = |name: &str| text(name).and_then(|value| value.parse::<u64>().ok());
    let spent = number("x-ratelimit-remaining") == Some(0);
    if status == 429
        || status == 403 && (spent || lower.contains("rate limit") || number("retry-after").is_some())
    {
        let wait = number("retry-after").map(Duration::from_secs);
        let reset = || {
            let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
            number("x-ratelimit-reset")
                .filter(|_| spent)
                .map(|at| Duration::from_secs(at.saturating_sub(now) + 1))
        };
        return GitHubError::Limited { what, wait: wait.or_else(reset).unwrap_or(SECONDARY) };
    }
    match status.as_u16() {
        401 => GitHubError::Token { what },
        403 if lower.contains("locked") => GitHubError::Locked { what },
        403 => GitHubError::Denied { what, message, permissions: text("x-accepted-github-permissions") },
        404 | 410 => GitHubError::Missing { what },
        status => GitHubError::Refused { what, status, message },
    }
}

/// The URL of the next page, from `Link: <…>; rel="next"`.
fn next_page(headers: &HeaderMap) -> Option<Url> {
    let links = headers.get(header::LINK)?.to_str().ok()?;
    links.split(',').find_map(|link| {
        let (url, parameters) = link.trim().strip_prefix('<')?.split_once('>')?;
        parameters.contains("rel=\"next\"").then(|| Url::parse(url).ok())?
    })
}
