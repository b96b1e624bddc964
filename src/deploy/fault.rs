//! From what an adapter saw to the fault the user reads.

use super::facts::{Facts, Unknown};
use crate::aws::{AwsError, ImdsError};
use crate::docker;
use crate::docker::pull::PullError;
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

impl Unknown {
    /// The fault of a field that needs what the instance does not tell.
    #[must_use]
    pub fn fault(self, field: &str) -> Fault {
        let fault = match self {
            Self::Imds(error) => Fault::from(error),
            Self::NotOnEc2 => Fault::new(Code::ImdsForbidden, self.to_string()),
            Self::Tag(_) => Fault::new(Code::ConfigInvalid, self.to_string()),
        };
        Fault { message: format!("{field}: {}", fault.message), ..fault }
    }
}

impl Facts {
    /// Without a region the cause is usually the metadata service that did not tell it.
    #[must_use]
    pub fn no_region_fault(&self) -> Option<Fault> {
        match (&self.aws, &self.instance) {
            (Err(AwsError::RegionUnknown), Err(error)) => Some(error.clone().into()),
            _ => None,
        }
    }
}

impl Code {
    /// Whether this is a value that simply is not there, which `optional` allows.
    #[must_use]
    pub fn is_absence(self) -> bool {
        matches!(self, Self::ParameterMissing | Self::CredentialMissing | Self::SecretFieldMissing)
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
