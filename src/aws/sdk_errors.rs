//! From an error of the SDK to one of ours: by AWS's code for it, else by what went wrong on the way.

use aws_sdk_ssm::error::{ProvideErrorMetadata, SdkError};

use super::error::AwsError;
use crate::cause::innermost;

/// Longest text taken over from AWS, in bytes.
const MESSAGE_LIMIT: usize = 400;

/// One call: what was asked of whom, for the errors it may end in.
#[derive(Debug, Clone, Copy)]
pub struct Call<'a> {
    /// The action in IAM's spelling.
    pub operation: &'static str,
    /// The service, with its region or address.
    pub endpoint: &'a str,
    /// Stands in where a denial does not name its resource.
    pub resource: &'a str,
}

impl Call<'_> {
    /// The error of a call that was cut at its deadline.
    pub(super) fn too_slow(self, seconds: u64) -> AwsError {
        self.unreachable(format!("no answer within {seconds} s"))
    }

    /// Classifies a failed call.
    pub fn failed<E>(self, error: &SdkError<E>) -> AwsError
    where
        E: ProvideErrorMetadata + std::error::Error + 'static,
    {
        match error {
            SdkError::ServiceError(context) => {
                let status = context.raw().status().as_u16();
                let (code, message) = (context.err().code(), context.err().message());
                self.refused(status, code.unwrap_or_default(), message.unwrap_or_default())
            }
            SdkError::ResponseError(context) => {
                self.unavailable(format!("unreadable answer, HTTP {}", context.raw().status().as_u16()))
            }
            SdkError::TimeoutError(_) => self.unreachable("timed out".to_owned()),
            SdkError::DispatchFailure(failure) if failure.is_timeout() || failure.is_io() => {
                self.unreachable(presentable(&innermost(error).to_string()))
            }
            // The HTTP client had a connection, and lost it.
            SdkError::DispatchFailure(_) if causes(error).contains("client error (SendRequest)") => {
                self.unreachable(presentable(&innermost(error).to_string()))
            }
            _ => self.unsent(&causes(error)),
        }
    }

    /// A request that was not even sent: it lacks credentials or a place to go.
    fn unsent(self, causes: &str) -> AwsError {
        if !causes.contains("credential") {
            return AwsError::Endpoint { reason: presentable(causes) };
        }
        // Layers of the SDK.
        let causes = causes.trim_start_matches("other: ");
        let causes = causes.trim_start_matches("an error occurred while loading credentials: ");
        let reason = if !causes.contains("no credentials found in chain") {
            // The SDK dumps the metadata service's response behind its status.
            presentable(causes.split(" Response {").next().unwrap_or_default())
        } else if causes.contains("received 404 from IMDS") {
            "none in environment or profile, and this instance has no role".to_owned()
        } else if let Some((_, why)) = causes.split_once("could not communicate with IMDS") {
            let why = why.rsplit(": ").next().unwrap_or_default();
            presentable(&format!(
                "none in environment or profile, and the metadata service gives none: {why}"
            ))
        } else {
            "none in environment or profile, and the metadata service is not asked".to_owned()
        };
        AwsError::Credentials { operation: self.operation, reason }
    }

    fn refused(self, status: u16, code: &str, message: &str) -> AwsError {
        let operation = self.operation;
        let reason = || if message.is_empty() { code.to_owned() } else { presentable(message) };
        match code {
            "AccessDeniedException" | "AccessDenied" | "UnauthorizedOperation" => self.denied(message),
            "RequestTimeTooSkewed" | "RequestExpired" | "RequestInTheFuture" => {
                AwsError::ClockSkew { operation, reason: reason() }
            }
            "InvalidSignatureException" | "SignatureDoesNotMatch"
                if message.contains("Signature expired") || message.contains("not yet current") =>
            {
                AwsError::ClockSkew { operation, reason: reason() }
            }
            "ExpiredToken"
            | "ExpiredTokenException"
            | "UnrecognizedClientException"
            | "InvalidClientTokenId"
            | "InvalidSignatureException"
            | "SignatureDoesNotMatch"
            | "MissingAuthenticationToken"
            | "MissingAuthenticationTokenException"
            | "IncompleteSignature"
            | "IncompleteSignatureException"
            | "NotAuthorized"
            | "OptInRequired" => AwsError::Credentials { operation, reason: reason() },
            "ThrottlingException"
            | "Throttling"
            | "ThrottledException"
            | "RequestLimitExceeded"
            | "TooManyRequestsException"
            | "RequestThrottled"
            | "TooManyUpdates" => AwsError::Throttled { operation, reason: reason() },
            _ if status == 429 => AwsError::Throttled { operation, reason: reason() },
            _ if status >= 500 => self.unavailable(format!("HTTP {status} {code}").trim_end().to_owned()),
            "" => self.unavailable(format!("unreadable answer, HTTP {status}")),
            code => AwsError::Rejected { operation, code: code.to_owned(), message: presentable(message) },
        }
    }

    /// "User: … is not authorized to perform: ACTION on resource: ARN because …";
    /// a key that may not be used is told without either.
    fn denied(self, message: &str) -> AwsError {
        let word = |after: &str| {
            let rest = message.split_once(after)?.1;
            rest.split_whitespace().next().map(presentable)
        };
        let of_key = message.contains("ciphertext refers to") || message.contains("KMS");
        let action = word("not authorized to perform: ")
            .unwrap_or_else(|| if of_key { "kms:Decrypt" } else { self.operation }.to_owned());
        let resource = word("on resource: ").unwrap_or_else(|| match of_key {
            true => format!("the key of {}", self.resource),
            false => self.resource.to_owned(),
        });
        AwsError::Denied { operation: self.operation, action, resource }
    }

    fn unreachable(self, reason: String) -> AwsError {
        AwsError::Unreachable { operation: self.operation, endpoint: self.endpoint.to_owned(), reason }
    }

    /// The error of an answer that breaks the service's protocol.
    pub(super) fn unavailable(self, reason: String) -> AwsError {
        AwsError::Unavailable { operation: self.operation, endpoint: self.endpoint.to_owned(), reason }
    }
}

/// Where a refused signature begins to repeat the request that was signed: the
/// role's session token is one of its headers.
const SIGNED_REQUEST: [&str; 3] = ["The Canonical String", "The String-to-Sign", "x-amz-security-token"];

/// A text of AWS as one short line, without the value that a failed validation
/// quotes ("Value '…' at 'value' failed to satisfy constraint") and without the
/// request that a failed signature repeats.
fn presentable(message: &str) -> String {
    let end = SIGNED_REQUEST.iter().filter_map(|begin| message.find(begin)).min();
    let message = message[..end.unwrap_or(message.len())].trim_end();
    let quoted = message.contains("Value '").then(|| message.rsplit_once("' at '")).flatten();
    let message = quoted.map_or_else(|| message.to_owned(), |(_, rest)| format!("'{rest}"));
    let line: String = message.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    line[..line.floor_char_boundary(MESSAGE_LIMIT)].to_owned()
}

/// The chain of causes. Only for errors without an answer of the service.
fn causes(error: &(dyn std::error::Error + 'static)) -> String {
    let causes = std::iter::successors(error.source(), |error| error.source());
    causes.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}
