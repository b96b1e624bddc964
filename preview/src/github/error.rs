//! Errors of GitHub.

use std::time::Duration;

/// A failed request. `what` names its purpose in words such as "write the comment".
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum GitHubError {
    /// The token has no permission.
    #[error("{what}: GitHub denies it: {message}{}", missing(permissions))]
    Denied {
        /// The purpose.
        what: &'static str,
        /// GitHub's words.
        message: String,
        /// The permissions that GitHub would accept, from its header.
        permissions: Option<String>,
    },
    /// The pull request's conversation is locked.
    #[error("{what}: the conversation is locked")]
    Locked {
        /// The purpose.
        what: &'static str,
    },
    /// No token, or GitHub does not know it.
    #[error("{what}: GitHub does not accept the token")]
    Token {
        /// The purpose.
        what: &'static str,
    },
    /// Too many requests; GitHub asks for a longer wait than this command takes.
    #[error("{what}: GitHub's rate limit is reached for another {} s", wait.as_secs())]
    Limited {
        /// The purpose.
        what: &'static str,
        /// The wait that GitHub asks for.
        wait: Duration,
    },
    /// It does not exist, or the token may not see it.
    #[error("{what}: GitHub finds no such thing")]
    Missing {
        /// The purpose.
        what: &'static str,
    },
    /// Any other answer but success.
    #[error("{what}: HTTP {status}: {message}")]
    Refused {
        /// The purpose.
        what: &'static str,
        /// The status.
        status: u16,
        /// GitHub's words.
        message: String,
    },
    /// No answer, or an unreadable one.
    #[error("{what}: {reason}")]
    Unreachable {
        /// The purpose.
        what: &'static str,
        /// The reason.
        reason: String,
    },
}

impl GitHubError {
    /// What to do about it, if the message does not say that already.
    #[must_use]
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Denied { .. } => Some(
                "Give the job these permissions: pull-requests: write, deployments: write, contents: read. Runs of \
                 forks and of Dependabot get none.",
            ),
            Self::Token { .. } => Some("Set GITHUB_TOKEN to the job's token, or to one of your own."),
            Self::Missing { .. } => {
                Some("The name is misspelt (--repository, GITHUB_REPOSITORY), or the token may not see it.")
            }
            Self::Unreachable { .. } => {
                Some("GITHUB_API_URL is the address that was asked, by default https://api.github.com.")
            }
            Self::Locked { .. } => Some("Unlock the conversation to have the comment."),
            _ => None,
        }
    }
}

fn missing(permissions: &Option<String>) -> String {
    permissions.as_ref().map(|them| format!(" (it needs {them})")).unwrap_or_default()
}
