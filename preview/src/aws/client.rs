//! The clients of AWS, with one connection pool and the SDK's own chain of credentials.

use std::time::Duration;

use aws_config::retry::RetryConfig;
use aws_config::timeout::TimeoutConfig;
use aws_config::{BehaviorVersion, SdkConfig};
use aws_smithy_http_client::tls;
use preview_agent::aws::AwsError;

use crate::pace::Pace;

/// Time limits of one try, and of one call with all its tries. The SDK itself sets none.
const TRY: Duration = Duration::from_secs(8);
const CALL: Duration = Duration::from_secs(30);

/// The services of one region.
#[derive(Debug, Clone)]
pub struct Aws {
    clients: Result<Clients, AwsError>,
    /// The region of all calls.
    pub region: String,
    /// Intervals and time limits.
    pub pace: Pace,
}

#[derive(Debug, Clone)]
struct Clients {
    cloudformation: aws_sdk_cloudformation::Client,
    ecr: aws_sdk_ecr::Client,
    ecs: aws_sdk_ecs::Client,
    ec2: aws_sdk_ec2::Client,
    ssm: aws_sdk_ssm::Client,
    sts: aws_sdk_sts::Client,
}

impl Aws {
    /// Reads the environment and the profile; sends no request yet. What is missing there, such as the region, is the
    /// error of each call: the pull request is to hear of it as of any other failure.
    pub async fn connect(pace: Pace) -> Self {
        match config().await {
            Ok((config, region)) => {
                let clients = Clients {
                    cloudformation: aws_sdk_cloudformation::Client::new(&config),
                    ecr: aws_sdk_ecr::Client::new(&config),
                    ecs: aws_sdk_ecs::Client::new(&config),
                    ec2: aws_sdk_ec2::Client::new(&config),
                    ssm: aws_sdk_ssm::Client::new(&config),
                    sts: aws_sdk_sts::Client::new(&config),
                };
                Self { clients: Ok(clients), region, pace }
            }
            Err(error) => Self { clients: Err(error), region: "no region".to_owned(), pace },
        }
    }

    pub(super) fn cloudformation(&self) -> Result<&aws_sdk_cloudformation::Client, AwsError> {
        self.clients.as_ref().map(|clients| &clients.cloudformation).map_err(Clone::clone)
    }

    pub(super) fn ecr(&self) -> Result<&aws_sdk_ecr::Client, AwsError> {
        self.clients.as_ref().map(|clients| &clients.ecr).map_err(Clone::clone)
    }

    pub(super) fn ecs(&self) -> Result<&aws_sdk_ecs::Client, AwsError> {
        self.clients.as_ref().map(|clients| &clients.ecs).map_err(Clone::clone)
    }

    pub(super) fn ec2(&self) -> Result<&aws_sdk_ec2::Client, AwsError> {
        self.clients.as_ref().map(|clients| &clients.ec2).map_err(Clone::clone)
    }

    pub(super) fn ssm(&self) -> Result<&aws_sdk_ssm::Client, AwsError> {
        self.clients.as_ref().map(|clients| &clients.ssm).map_err(Clone::clone)
    }

    pub(super) fn sts(&self) -> Result<&aws_sdk_sts::Client, AwsError> {
        self.clients.as_ref().map(|clients| &clients.sts).map_err(Clone::clone)
    }
}

/// The configuration with its region.
async fn config() -> Result<(SdkConfig, String), AwsError> {
    preview_agent::aws::require_ca_certificates()?;
    preview_agent::aws::refuse_empty_endpoints(&["CLOUDFORMATION", "EC2", "ECR", "ECS", "SSM", "STS"])?;
    let http = aws_smithy_http_client::Builder::new()
        .tls_provider(tls::Provider::Rustls(tls::rustls_provider::CryptoMode::Ring))
        .build_https();
    let limits = TimeoutConfig::builder().operation_attempt_timeout(TRY).operation_timeout(CALL).build();
    let config = aws_config::defaults(BehaviorVersion::latest())
        .http_client(http)
        .timeout_config(limits)
        .retry_config(RetryConfig::standard())
        .load()
        .await;
    let region = config.region().map(ToString::to_string).filter(|region| !region.is_empty());
    Ok((config, region.ok_or(AwsError::RegionUnknown)?))
}
