//! Why GitHub did not do what it was asked.

use std::time::Duration;

/// A request that was not done. `what` is what was to be done, in words such as "write the comment".
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum GitHubError {
    /// The token may not.
    #[error("{what}: GitHub denies it: {message}{}", missing(permissions))]
    Denied {
        /// What was to be done.
        what: &'static str,
        /// GitHub's words.
        message: String,
        /// What GitHub says would be accepted, from its header.
        permissions: Option<String>,
    },
    /// The pull request's conversation is locked.
    #[error("{what}: the conversation is locked")]
    Locked {
        /// What was to be done.
        what: &'static str,
    },
    /// No token, or one that GitHub does not know.
    #[error("{what}: GitHub does not accept the token")]
    Token {
        /// What was to be done.
        what: &'static str,
    },
    /// Too many requests; the wait was longer than this command has time.
    #[error("{what}: GitHub's rate limit is reached for another {} s", wait.as_secs())]
    Limited {
        /// What was to be done.
        what: &'static str,
        /// What GitHub asks for.
        wait: Duration,
    },
    /// There is no such thing, or the token may not know of it.
    #[error("{what}: GitHub knows no such thing")]
    Missing {
        /// What was to be done.
        what: &'static str,
    },
    /// Any other answer than a success.
    #[error("{what}: HTTP {status}: {message}")]
    Refused {
        /// What was to be done.
        what: &'static str,
        /// The status.
        status: u16,
        /// GitHub's words.
        message: String,
    },
    /// No answer, or not one that can be read.
    #[error("{what}: {reason}")]
    Unreachable {
        /// What was to be done.
        what: &'static str,
        /// Why.
        reason: String,
    },
}

impl GitHubError {
    /// What to do about it, where that is not plain from the words.
    #[must_use]
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Denied { .. } => Some(
                "Give the job these permissions: pull-requests: write, deployments: write, contents: read. A run of a \
                 fork or of Dependabot gets none.",
            ),
            Self::Token { .. } => Some("Set GITHUB_TOKEN to the job's token, or to one of your own."),
            Self::Locked { .. } => Some("Unlock the conversation to have the comment."),
            _ => None,
        }
    }
}

fn missing(permissions: &Option<String>) -> String {
    permissions.as_ref().map(|them| format!(" (it would take {them})")).unwrap_or_default()
}
