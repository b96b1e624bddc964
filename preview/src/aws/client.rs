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
    pub(super) ec2: aws_sdk_ec2::Client,
    pub(super) ssm: aws_sdk_ssm::Client,
    pub(super) sts: aws_sdk_sts::Client,
    /// The region of all calls.
    pub region: String,
    /// Intervals and time limits.
    pub pace: Pace,
}

impl Aws {
    /// Reads the environment and the profile; sends no request yet.
    ///
    /// # Errors
    /// No region, or no certificates.
    pub async fn connect(pace: Pace) -> Result<Self, AwsError> {
        preview_agent::aws::require_ca_certificates()?;
        preview_agent::aws::refuse_empty_endpoints(&["EC2", "SSM", "STS"])?;
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
        Self::of(&config, pace)
    }

    fn of(config: &SdkConfig, pace: Pace) -> Result<Self, AwsError> {
        let region = config.region().map(ToString::to_string).filter(|region| !region.is_empty());
        let region = region.ok_or(AwsError::RegionUnknown)?;
        Ok(Self {
            ec2: aws_sdk_ec2::Client::new(config),
            ssm: aws_sdk_ssm::Client::new(config),
            sts: aws_sdk_sts::Client::new(config),
            region,
            pace,
        })
    }
}
