//! AWS: the instance metadata service, SSM parameters and ECR logins.
//!
//! The only place that names types of the AWS SDK.

mod client;
mod ecr;
mod error;
pub mod iam_policy;
mod imds;
mod parameters;
mod role_credentials;
mod sdk_errors;

pub use client::{Aws, Endpoints, refuse_empty_endpoints, require_ca_certificates};
pub use ecr::RegistryToken;
pub use error::AwsError;
pub use imds::{IMDS_LIMIT, Imds, ImdsError, Instance};
pub use parameters::{Fetched, PARAMETERS_LIMIT, Parameters, SECRETS_MANAGER};
pub use sdk_errors::Call;
