//! What AWS said, told apart by what can be done about it.
//!
//! A raw answer never gets into an error: it can hold the value of a parameter.

/// Why a call to AWS failed. `operation` is the action in IAM's spelling, such as `ssm:PutParameter`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AwsError {
    /// There is nothing to check a server's certificate against.
    #[error("this machine has no CA certificates, so no HTTPS server can be trusted")]
    CaCertificatesMissing,
    /// Neither the environment, the profile nor the instance names a region.
    #[error("no AWS region is known (AWS_REGION, the profile, or the instance's own)")]
    RegionUnknown,
    /// An endpoint of the environment or the profile that nothing can be sent to.
    #[error("an AWS endpoint is not usable: {reason}")]
    Endpoint {
        /// What is wrong with it.
        reason: String,
    },
    /// The policies of the caller do not allow it; final.
    #[error("{action} is denied on {resource}")]
    Denied {
        /// What was asked for.
        operation: &'static str,
        /// The action that lacks permission, which may be another service's (`kms:Decrypt`).
        action: String,
        /// The ARN as AWS says it, or the name asked for.
        resource: String,
    },
    /// No credentials, or expired or unknown ones.
    #[error("{operation}: no valid credentials: {reason}")]
    Credentials {
        /// What was asked for.
        operation: &'static str,
        /// What is wrong with them.
        reason: String,
    },
    /// The clock of this machine is too far from that of AWS.
    #[error("{operation}: this machine's clock is off: {reason}")]
    ClockSkew {
        /// What was asked for.
        operation: &'static str,
        /// What AWS said.
        reason: String,
    },
    /// Too many requests at once, still after the SDK's tries.
    #[error("{operation}: throttled: {reason}")]
    Throttled {
        /// What was asked for.
        operation: &'static str,
        /// What AWS said.
        reason: String,
    },
    /// No way to the service, or no answer in time.
    #[error("{operation}: {endpoint} cannot be reached: {reason}")]
    Unreachable {
        /// What was asked for.
        operation: &'static str,
        /// The service, with its region or address.
        endpoint: String,
        /// What happened on the way.
        reason: String,
    },
    /// The service answers, but with a failure of its own (5xx, or not in its protocol).
    #[error("{operation}: {endpoint} fails: {reason}")]
    Unavailable {
        /// What was asked for.
        operation: &'static str,
        /// The service, with its region or address.
        endpoint: String,
        /// What it said.
        reason: String,
    },
    /// The request itself is refused: a name, a value, a limit; final.
    #[error("{operation}: {code}: {message}")]
    Rejected {
        /// What was asked for.
        operation: &'static str,
        /// AWS's name of the error.
        code: String,
        /// What AWS said, without what was sent.
        message: String,
    },
}

impl AwsError {
    /// Whether the same call may succeed later with nothing changed by hand.
    /// Credentials count: a role that was just attached takes a while to appear.
    #[must_use]
    pub fn retryable(&self) -> bool {
        matches!(
            self,
            Self::Credentials { .. }
                | Self::ClockSkew { .. }
                | Self::Throttled { .. }
                | Self::Unreachable { .. }
                | Self::Unavailable { .. }
        )
    }

    /// AWS's name of the error, where the request itself was refused.
    #[must_use]
    pub fn code(&self) -> Option<&str> {
        match self {
            Self::Rejected { code, .. } => Some(code),
            _ => None,
        }
    }
}
