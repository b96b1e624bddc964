//! What goes wrong on the way from a commit to a build context.

use std::io;
use std::time::Duration;

use crate::redact::plain;

/// A source that could not be had or may not be built.
///
/// No variant carries a URL of the download: the redirect's holds a token.
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    /// The API root is no URL or the token cannot be sent.
    #[error("the source cannot be asked for: {0}")]
    Request(String),
    /// No HTTP client could be made; the machine has no CA certificates, as a rule.
    #[error("no HTTPS client: {0}")]
    Client(String),
    /// 404: absent, or private and out of the token's reach; GitHub does not tell which.
    #[error("{repository} at {reference} was not found, or the token may not read it")]
    NotFound {
        /// `owner/name`.
        repository: String,
        /// What was asked for.
        reference: String,
    },
    /// 401 or 403.
    #[error("{host} denied {repository} with status {status}: {message}")]
    Denied {
        /// Who said so.
        host: String,
        /// `owner/name`.
        repository: String,
        /// HTTP status.
        status: u16,
        /// The host's words.
        message: String,
    },
    /// Too many requests.
    #[error("{host} limits the rate of requests; the next one is allowed in {} s", wait.as_secs())]
    RateLimited {
        /// Who said so.
        host: String,
        /// Time until another try is allowed.
        wait: Duration,
    },
    /// No connection, no name, no TLS, or the connection broke.
    #[error("{host} could not be reached: {message}")]
    Unreachable {
        /// Who was asked.
        host: String,
        /// The client's words.
        message: String,
    },
    /// Nothing came for too long.
    #[error("the source tarball stalled: no byte for {} s after {bytes}", after.as_secs())]
    Stalled {
        /// Longest time without a byte.
        after: Duration,
        /// Bytes that had come before.
        bytes: u64,
    },
    /// 5xx.
    #[error("{host} failed with status {status}")]
    Server {
        /// Who said so.
        host: String,
        /// HTTP status.
        status: u16,
    },
    /// Another status that is no success.
    #[error("{host} answered with status {status}: {message}")]
    Unexpected {
        /// Who said so.
        host: String,
        /// HTTP status.
        status: u16,
        /// The host's words.
        message: String,
    },
    /// More than allowed.
    #[error("the source tarball is too large: more than {limit} {what}")]
    TooLarge {
        /// What there was too much of.
        what: &'static str,
        /// The limit.
        limit: u64,
    },
    /// Success, and yet no gzip.
    #[error(
        "no gzip archive came, but something of type {content_type}: whoever answered is not the source host"
    )]
    NotAnArchive {
        /// The answer's media type.
        content_type: String,
    },
    /// Cut short or damaged.
    #[error("the source tarball is damaged: {0}")]
    Corrupt(String),
    /// The archive is of another commit than the one asked for.
    #[error("the source tarball is of commit {}, not of {expected}", found.as_deref().unwrap_or("unknown"))]
    WrongCommit {
        /// What was asked for.
        expected: String,
        /// What the archive names.
        found: Option<String>,
    },
    /// The archive has no such file.
    #[error("the repository has no {path}")]
    DockerfileMissing {
        /// The file, relative to the repository.
        path: String,
    },
    /// An entry that a build context may not hold.
    #[error("the source holds {path}, which {reason}")]
    Unsafe {
        /// The entry, relative to the repository.
        path: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The ignore file cannot be read.
    #[error("{path} cannot be used: {reason}")]
    IgnoreFile {
        /// The file, relative to the repository.
        path: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The spool file; a full disk, as a rule.
    #[error("could not spool the source tarball: {0}")]
    Spool(#[source] io::Error),
    /// The deadline.
    #[error("the source tarball was not here and checked within {} s", after.as_secs())]
    TimedOut {
        /// The deadline.
        after: Duration,
    },
}

/// The reader's words quote the archive's own bytes.
pub(super) fn corrupt(error: &io::Error) -> SourceError {
    SourceError::Corrupt(plain(&error.to_string()).into_owned())
}

/// The error of a member that may not be sent.
pub(super) fn unsafe_member(path: &[u8], reason: &str) -> SourceError {
    // Control characters stay out of logs and terminals.
    let path = String::from_utf8_lossy(&path[..path.len().min(300)]).escape_debug().to_string();
    SourceError::Unsafe { path, reason: reason.to_owned() }
}
