//! Why the metadata service gave no answer, told apart by what can be done about it.

/// Why the metadata service gave no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ImdsError {
    /// Nothing answers at the address: not EC2, or no route to it.
    #[error("the metadata service at {endpoint} does not answer: {reason}")]
    Unreachable {
        /// Base address asked.
        endpoint: String,
        /// What happened on the way.
        reason: String,
    },
    /// TCP connects, yet the token never comes: on EC2 the sign of a response
    /// hop limit that is too low for where this process runs.
    #[error(
        "the metadata service at {endpoint} accepts connections but its token does not arrive (response hop limit)"
    )]
    TokenLost {
        /// Base address asked.
        endpoint: String,
    },
    /// Switched off for this instance (`HttpEndpoint=disabled`), or not allowed.
    #[error("the metadata service at {endpoint} forbids {path} (HTTP 403)")]
    Forbidden {
        /// Base address asked.
        endpoint: String,
        /// Path asked for.
        path: String,
    },
    /// Another refusal, still there after the last try.
    #[error("the metadata service at {endpoint} answers HTTP {status} to {path}")]
    Status {
        /// Base address asked.
        endpoint: String,
        /// Path asked for.
        path: String,
        /// HTTP status.
        status: u16,
    },
    /// An answer that is none: not the form expected, empty, or too large.
    #[error("the metadata service at {endpoint} gives no usable answer to {path}: {reason}")]
    Malformed {
        /// Base address asked.
        endpoint: String,
        /// Path asked for.
        path: String,
        /// What is wrong with it; never the body itself.
        reason: &'static str,
    },
    /// The address given for the service is no URL.
    #[error("`{endpoint}` is not an address of a metadata service")]
    Endpoint {
        /// What was given.
        endpoint: String,
    },
}
