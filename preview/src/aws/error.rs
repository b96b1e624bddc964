//! Turns errors of the SDK into ours.

use aws_sdk_ec2::error::{ProvideErrorMetadata, SdkError};
use preview_agent::aws::{AwsError, Call};

/// Codes that EC2 sends with status 500 although nothing is broken: it has no capacity for this type.
const CAPACITY: [&str; 4] = [
    "InsufficientInstanceCapacity",
    "InsufficientHostCapacity",
    "InsufficientReservedInstanceCapacity",
    "InsufficientCapacity",
];

/// The error of a failed call: `operation` in IAM's spelling, `resource` for errors that name none.
pub(super) fn failed<E>(
    operation: &'static str,
    region: &str,
    resource: &str,
    error: &SdkError<E>,
) -> AwsError
where
    E: ProvideErrorMetadata + std::error::Error + 'static,
{
    if let SdkError::ServiceError(context) = error
        && let Some(code) = context.err().code()
        && CAPACITY.contains(&code)
    {
        let message = context.err().message().unwrap_or_default().to_owned();
        return AwsError::Rejected { operation, code: code.to_owned(), message };
    }
    let service = operation.split(':').next().unwrap_or_default().to_uppercase();
    Call { operation, endpoint: &format!("{service} in {region}"), resource }.failed(error)
}

/// Whether the caller is allowed to do what a dry run asked for. AWS checks permissions first, so any refusal but a
/// denial means that they suffice.
pub(super) fn permitted(error: AwsError) -> Result<(), AwsError> {
    match error {
        AwsError::Rejected { .. } => Ok(()),
        error => Err(error),
    }
}

/// Whether AWS refused the request with this code.
#[must_use]
pub fn is(error: &AwsError, code: &str) -> bool {
    error.code() == Some(code)
}

/// Whether the resource does not exist, by the codes of all services.
#[must_use]
pub fn not_there(error: &AwsError) -> bool {
    error.code().is_some_and(|code| {
        // `InvalidInstanceID.NotFound`, `InvalidPermission.NotFound`, `InvalidSecurityGroupRuleId.NotFound`, …
        code.ends_with(".NotFound") || code == "ParameterNotFound"
    })
}

/// Whether EC2 has no capacity for this type at the moment.
#[must_use]
pub fn capacity(error: &AwsError) -> bool {
    error.code().is_some_and(|code| CAPACITY.contains(&code))
}
