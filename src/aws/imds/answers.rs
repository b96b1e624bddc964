//! What an answer of the service is worth, and what its absence means.

use std::time::Duration;

use reqwest::{Response, StatusCode};

use super::error::ImdsError;
use crate::cause::innermost;
use crate::retry::Verdict;

/// An answer that asks for patience (5xx, throttled) gets this much at least.
const BREATH: Duration = Duration::from_millis(500);
/// Largest body that is read; an identity document has about 500 bytes.
const BODY_LIMIT: usize = 64 * 1024;
/// Largest single fact; a tag's value has at most 256 characters.
const FACT_LIMIT: usize = 1024;

/// The answers of the service at one address.
#[derive(Debug)]
pub(super) struct Answers {
    /// The address asked; empty where the service is switched off.
    pub(super) endpoint: String,
}

impl Answers {
    /// Reads a body to its end or to the limit, whichever is first.
    pub(super) async fn body(
        &self,
        path: &str,
        mut response: Response,
    ) -> Result<String, Verdict<ImdsError>> {
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(|e| Verdict::Again(self.absent(&e)))? {
            if body.len() + chunk.len() > BODY_LIMIT {
                return Err(Verdict::Final(self.malformed(path, "larger than 64 KiB")));
            }
            body.extend_from_slice(&chunk);
        }
        String::from_utf8(body).map_err(|_| Verdict::Final(self.malformed(path, "not UTF-8")))
    }

    /// What a status other than the expected one means.
    pub(super) fn refusal(&self, path: &str, status: StatusCode) -> Verdict<ImdsError> {
        match status {
            StatusCode::FORBIDDEN => Verdict::Final(ImdsError::Forbidden {
                endpoint: self.endpoint.clone(),
                path: path.to_owned(),
            }),
            StatusCode::TOO_MANY_REQUESTS => Verdict::After(self.status(path, status), BREATH),
            status if status.is_server_error() => Verdict::After(self.status(path, status), BREATH),
            status => Verdict::Final(self.status(path, status)),
        }
    }

    /// A fact is one short line of text: a page of HTML or a listing is none.
    pub(super) fn check(&self, path: &str, fact: &str) -> Result<(), ImdsError> {
        let reason = match fact {
            "" => "empty",
            long if long.len() > FACT_LIMIT => "too long for a fact",
            odd if odd.chars().any(char::is_control) => "it has control characters",
            _ => return Ok(()),
        };
        Err(self.malformed(path, reason))
    }

    /// The error of a request that got no answer.
    pub(super) fn absent(&self, error: &reqwest::Error) -> ImdsError {
        self.unreachable(reason(error))
    }

    /// The error where nothing answers.
    pub(super) fn unreachable(&self, reason: String) -> ImdsError {
        ImdsError::Unreachable { endpoint: self.endpoint.clone(), reason }
    }

    /// The error of a refusal.
    pub(super) fn status(&self, path: &str, status: StatusCode) -> ImdsError {
        ImdsError::Status { endpoint: self.endpoint.clone(), path: path.to_owned(), status: status.as_u16() }
    }

    /// The error of an answer that is none.
    pub(super) fn malformed(&self, path: &str, reason: &'static str) -> ImdsError {
        ImdsError::Malformed { endpoint: self.endpoint.clone(), path: path.to_owned(), reason }
    }
}

/// What the client says of a request that got no answer.
fn reason(error: &reqwest::Error) -> String {
    if !error.is_timeout() {
        return innermost(error).to_string();
    }
    let what = if error.is_connect() { "connecting" } else { "waiting for the answer" };
    format!("timed out {what}")
}
