//! From what an adapter saw to the fault the user reads: AWS, Docker, the registry, the source host.

use crate::aws::{AwsError, ImdsError};
use crate::docker;
use crate::docker::pull::PullError;
use crate::github::SourceError;
use crate::status::{Code, Fault};

impl From<AwsError> for Fault {
    fn from(error: AwsError) -> Self {
        let code = match &error {
            AwsError::CaCertificatesMissing => Code::CaCertificatesMissing,
            AwsError::RegionUnknown | AwsError::Endpoint { .. } => Code::ConfigInvalid,
            AwsError::Denied { .. } => Code::ParameterDenied,
            AwsError::Credentials { .. } => Code::AwsCredentials,
            AwsError::ClockSkew { .. } => Code::ClockSkew,
            AwsError::Throttled { .. } | AwsError::Unreachable { .. } | AwsError::Unavailable { .. } => {
                Code::ParametersUnreachable
            }
            AwsError::Rejected { .. } => Code::ParameterMissing,
        };
        Self::new(code, error.to_string())
    }
}

impl From<ImdsError> for Fault {
    fn from(error: ImdsError) -> Self {
        let code = match &error {
            ImdsError::Forbidden { .. } => Code::ImdsForbidden,
            ImdsError::Endpoint { .. } => Code::ConfigInvalid,
            ImdsError::Unreachable { .. }
            | ImdsError::TokenLost { .. }
            | ImdsError::Status { .. }
            | ImdsError::Malformed { .. } => Code::ImdsUnreachable,
        };
        Self::new(code, error.to_string())
    }
}

impl From<docker::Error> for Fault {
    fn from(error: docker::Error) -> Self {
        use docker::Error;
        let code = match &error {
            Error::Unavailable { .. } | Error::Forbidden { .. } => Code::DockerUnavailable,
            Error::TooOld { .. } => Code::DockerTooOld,
            Error::PortInUse { .. } => Code::PortInUse,
            Error::DiskFull { .. } => Code::DiskFull,
            Error::CommandMissing { .. } => Code::AppExited,
            Error::Timeout { .. }
            | Error::NotFound { .. }
            | Error::Conflict { .. }
            | Error::RemovalInProgress { .. }
            | Error::Refused { .. } => Code::DockerFailed,
        };
        let mut words = error.to_string();
        if let Error::CommandMissing { what, message } = &error {
            // What the runtime says of itself before that would push the reason out of the verdict.
            let reason = message.find("exec: ").map_or(message.as_str(), |at| &message[at..]);
            words = format!("could not {what}: {}", reason.trim_end_matches(": unknown"));
        }
        Self::new(code, words)
    }
}

impl From<PullError> for Fault {
    fn from(error: PullError) -> Self {
        let code = match error {
            PullError::Engine(error) => return error.into(),
            PullError::Denied(_) => Code::RegistryDenied,
            PullError::NotFound(_) => Code::ImageNotFound,
            PullError::Throttled(_) => Code::RegistryThrottled,
            PullError::Unreachable(_) => Code::RegistryUnreachable,
            PullError::Failed(_) => Code::PullFailed,
            PullError::Stalled(_) => Code::PullStalled,
            PullError::Architecture(_) => Code::ArchMismatch,
            PullError::DiskFull(_) => Code::DiskFull,
            PullError::BadName(_) => Code::ImageNameInvalid,
        };
        Self::new(code, error.to_string())
    }
}

impl From<SourceError> for Fault {
    fn from(error: SourceError) -> Self {
        let code = match &error {
            SourceError::Client(_) => Code::CaCertificatesMissing,
            SourceError::Request(_) => Code::ConfigInvalid,
            SourceError::NotFound { .. } => Code::SourceNotFound,
            SourceError::Denied { .. } => Code::SourceDenied,
            SourceError::RateLimited { .. } => Code::SourceRateLimited,
            SourceError::Unreachable { .. }
            | SourceError::Stalled { .. }
            | SourceError::Server { .. }
            | SourceError::Unexpected { .. }
            | SourceError::TimedOut { .. } => Code::SourceUnreachable,
            SourceError::TooLarge { .. } => Code::SourceTooLarge,
            SourceError::DockerfileMissing { .. } => Code::DockerfileMissing,
            SourceError::Spool(error) if error.kind() == std::io::ErrorKind::StorageFull => Code::DiskFull,
            SourceError::Unsafe { .. } | SourceError::IgnoreFile { .. } => Code::SourceUnsafe,
            SourceError::NotAnArchive { .. }
            | SourceError::Corrupt(_)
            | SourceError::WrongCommit { .. }
            | SourceError::Spool(_) => Code::SourceCorrupt,
        };
        Self::new(code, error.to_string())
    }
}
