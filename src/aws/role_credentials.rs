//! The credentials of the instance's role, of a service that may be none.

use aws_config::imds::Client;
use aws_config::imds::credentials::ImdsCredentialsProvider;
use aws_credential_types::Credentials;
use aws_credential_types::provider::error::CredentialsError;
use aws_credential_types::provider::{ProvideCredentials, future};

const PATH: &str = "/latest/meta-data/iam/security-credentials/";

/// IAM's limit of a role's name.
const NAME_MAX: usize = 64;

/// The SDK's provider, which panics where a role's name is no path or a key no header: a page in
/// their place (a proxy's, a captive portal's) would end the agent.
#[derive(Debug)]
pub(super) struct RoleCredentials {
    client: Client,
    inner: ImdsCredentialsProvider,
}

impl RoleCredentials {
    pub(super) fn new(client: Client, inner: ImdsCredentialsProvider) -> Self {
        Self { client, inner }
    }

    async fn load(&self) -> Result<Credentials, CredentialsError> {
        // Where there is no answer, the provider meets the same and says it in its own words.
        if let Ok(name) = self.client.get(PATH).await
            && !is_role_name(name.as_ref())
        {
            return Err(CredentialsError::provider_error(
                "the metadata service names no role but something else",
            ));
        }
        let found = self.inner.provide_credentials().await?;
        let token = found.session_token().unwrap_or_default();
        if is_header(found.access_key_id()) && is_header(token) {
            return Ok(found);
        }
        Err(CredentialsError::provider_error("the role's keys hold control characters"))
    }
}

impl ProvideCredentials for RoleCredentials {
    fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
    where
        Self: 'a,
    {
        future::ProvideCredentials::new(self.load())
    }
}

/// IAM: letters, digits and `_+=,.@-`.
fn is_role_name(name: &str) -> bool {
    (1..=NAME_MAX).contains(&name.len())
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"_+=,.@-".contains(&b))
}

fn is_header(text: &str) -> bool {
    text.bytes().all(|b| b.is_ascii_graphic())
}
