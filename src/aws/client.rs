//! The way to AWS that every call shares: one HTTPS client, one chain of credentials, one region.

use std::time::Duration;

use aws_config::environment::{EnvironmentVariableCredentialsProvider, EnvironmentVariableRegionProvider};
use aws_config::imds::credentials::ImdsCredentialsProvider;
use aws_config::meta::credentials::CredentialsProviderChain;
use aws_config::meta::region::RegionProviderChain;
use aws_config::profile::{ProfileFileCredentialsProvider, ProfileFileRegionProvider};
use aws_config::provider_config::ProviderConfig;
use aws_config::retry::RetryConfig;
use aws_config::timeout::TimeoutConfig;
use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_smithy_http_client::tls;

use super::error::AwsError;
use super::imds::endpoint_from_env;
use super::role_credentials::RoleCredentials;

/// Longest time of one try of one call, so that a peer that accepts and then
/// says nothing leaves time for the SDK's other two tries.
const ATTEMPT: Duration = Duration::from_secs(8);

/// Where the services are, for tests and private endpoints.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoints {
    /// The metadata service; `None` where it is switched off.
    pub imds: Option<String>,
    /// SSM; `None` leaves it to the SDK: `AWS_ENDPOINT_URL_SSM`,
    /// `AWS_ENDPOINT_URL`, the profile, else the region's own.
    pub ssm: Option<String>,
    /// ECR; `None` as for SSM.
    pub ecr: Option<String>,
}

impl Endpoints {
    /// What the process environment says, in the SDK's own variables.
    #[must_use]
    pub fn from_env() -> Self {
        Self { imds: endpoint_from_env(|name| std::env::var(name).ok()), ssm: None, ecr: None }
    }
}

/// One HTTPS client, one chain of credentials, one region: what every call shares.
#[derive(Debug, Clone)]
pub struct Aws {
    pub(super) config: SdkConfig,
    pub(super) region: String,
    pub(super) endpoints: Endpoints,
}

impl Aws {
    /// Reads the environment and the shared profile files; nothing is asked of
    /// the network yet. `region` (the instance's own) is taken where neither
    /// names one. Credentials come from the environment, the profile, or the
    /// instance's role, whichever is first to have some.
    ///
    /// # Errors
    /// No CA certificates on this machine, or no region at all.
    pub async fn connect(endpoints: Endpoints, region: Option<&str>) -> Result<Self, AwsError> {
        require_ca_certificates()?;
        refuse_empty_endpoints(&["SSM", "ECR"])?;
        let http = aws_smithy_http_client::Builder::new()
            .tls_provider(tls::Provider::Rustls(tls::rustls_provider::CryptoMode::Ring))
            .build_https();
        let provider = ProviderConfig::without_region().with_http_client(http.clone());
        let region = RegionProviderChain::first_try(EnvironmentVariableRegionProvider::new())
            .or_else(ProfileFileRegionProvider::builder().configure(&provider).build())
            .or_else(region.map(|name| Region::new(name.to_owned())))
            .region()
            .await
            .ok_or(AwsError::RegionUnknown)?;
        let provider = provider.with_region(Some(region.clone()));
        let config = aws_config::defaults(BehaviorVersion::latest())
            .http_client(http)
            .region(region.clone())
            .credentials_provider(credentials(&provider, endpoints.imds.as_deref())?)
            .timeout_config(TimeoutConfig::builder().operation_attempt_timeout(ATTEMPT).build())
            // Said here, or the SDK panics at a mode of the environment that it does not know.
            .retry_config(RetryConfig::standard())
            .load()
            .await;
        Ok(Self { config, region: region.to_string(), endpoints })
    }

    /// The region that is called.
    #[must_use]
    pub fn region(&self) -> &str {
        &self.region
    }
}

/// The default chain without the sources an instance cannot have; spelled out
/// because the SDK's own always asks the metadata service at its real address.
fn credentials(provider: &ProviderConfig, imds: Option<&str>) -> Result<CredentialsProviderChain, AwsError> {
    let chain =
        CredentialsProviderChain::first_try("environment", EnvironmentVariableCredentialsProvider::new())
            .or_else("profile", ProfileFileCredentialsProvider::builder().configure(provider).build());
    let Some(imds) = imds else { return Ok(chain) };
    let client = aws_config::imds::Client::builder()
        .configure(provider)
        .endpoint(imds)
        .map_err(|_| AwsError::Endpoint { reason: format!("`{imds}` is not a URL") })?
        .build();
    let role = ImdsCredentialsProvider::builder().configure(provider).imds_client(client.clone()).build();
    Ok(chain.or_else("instance role", RoleCredentials::new(client, role)))
}

/// The SDK finds out about an empty certificate store only in the handshake,
/// where it looks like a stranger's certificate; this client refuses to be built.
///
/// # Errors
/// There is no certificate on this machine.
pub fn require_ca_certificates() -> Result<(), AwsError> {
    reqwest::Client::builder().build().map(drop).map_err(|_| AwsError::CaCertificatesMissing)
}

/// An endpoint that is set and empty makes the SDK panic at the first call to one of these services.
///
/// # Errors
/// Which one it is.
pub fn refuse_empty_endpoints(services: &[&str]) -> Result<(), AwsError> {
    let of_services = services.iter().map(|service| format!("AWS_ENDPOINT_URL_{service}"));
    for name in std::iter::once("AWS_ENDPOINT_URL".to_owned()).chain(of_services) {
        if std::env::var_os(&name).is_some_and(|value| value.is_empty()) {
            return Err(AwsError::Endpoint { reason: format!("{name} is set and empty; unset it") });
        }
    }
    Ok(())
}
