//! What an answer of GitHub without a tarball means, and what the client says where there is no answer.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use reqwest::header::HeaderMap;
use reqwest::{Response, StatusCode};
use tokio::time::timeout;

use super::error::SourceError;
use super::request::Request;
use crate::cause::innermost;

/// What GitHub asks to wait where it does not say how long (REST API, "Rate limits").
const RATE_LIMIT_WAIT: Duration = Duration::from_secs(60);

/// An error's body is a JSON object of one sentence.
const MESSAGE_MAX: usize = 4096;

/// What an answer without success means.
pub(super) async fn refusal(request: &Request, mut response: Response, patience: Duration) -> SourceError {
    let status = response.status();
    let host = response.url().host_str().unwrap_or_default().to_owned();
    let repository = request.repository.clone();
    if let Some(wait) = rate_limit(status, response.headers()) {
        return SourceError::RateLimited { host, wait };
    }
    if status == StatusCode::NOT_FOUND {
        return SourceError::NotFound { repository, reference: request.reference.clone() };
    }
    if status.is_server_error() {
        return SourceError::Server { host, status: status.as_u16() };
    }
    let message = message(&mut response, patience).await;
    match status {
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
            SourceError::Denied { host, repository, status: status.as_u16(), message }
        }
        _ => SourceError::Unexpected { host, status: status.as_u16(), message },
    }
}

/// How long GitHub wants to be left alone, if that is what the answer says.
fn rate_limit(status: StatusCode, headers: &HeaderMap) -> Option<Duration> {
    if !matches!(status, StatusCode::FORBIDDEN | StatusCode::TOO_MANY_REQUESTS) {
        return None;
    }
    let number = |name| header(headers, name).and_then(|value| value.trim().parse::<u64>().ok());
    if let Some(seconds) = number("retry-after") {
        return Some(Duration::from_secs(seconds));
    }
    if number("x-ratelimit-remaining") == Some(0) {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let reset = number("x-ratelimit-reset").map(Duration::from_secs);
        // One second more: the header is cut to whole seconds.
        return Some(reset.map_or(RATE_LIMIT_WAIT, |at| at.saturating_sub(now) + Duration::from_secs(1)));
    }
    (status == StatusCode::TOO_MANY_REQUESTS).then_some(RATE_LIMIT_WAIT)
}

/// A header as text.
pub(super) fn header<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}

/// The `message` of an error's JSON body, or nothing.
async fn message(response: &mut Response, patience: Duration) -> String {
    let mut body = Vec::new();
    while let Ok(Ok(Some(chunk))) = timeout(patience, response.chunk()).await {
        body.extend_from_slice(&chunk);
        if body.len() > MESSAGE_MAX {
            break;
        }
    }
    let json: serde_json::Value = serde_json::from_slice(&body).unwrap_or_default();
    json["message"].as_str().unwrap_or("no reason given").chars().take(200).collect()
}

/// The innermost cause: the others say only which layer of the client passed it
/// on, and may hold the URL, which may hold a token.
pub(super) fn describe(error: reqwest::Error) -> String {
    innermost(&error.without_url()).to_string()
}
