//! The login to ECR registries with the instance's own role.

use std::time::Duration;

use aws_config::Region;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use secrecy::SecretString;

use super::client::Aws;
use super::error::AwsError;
use super::sdk_errors::Call;

pub(super) const LOGIN_ACTION: &str = "ecr:GetAuthorizationToken";

/// Limit of one login.
const LOGIN: Duration = Duration::from_secs(30);

/// A login for every ECR registry of a region that the role may read; valid for 12 hours.
#[derive(Debug, Clone)]
pub struct RegistryToken {
    /// Always `AWS`.
    pub username: String,
    /// The token proper.
    pub password: SecretString,
}

impl Aws {
    /// Fetches a login for the registries of `region`, which may be another than this instance's.
    ///
    /// # Errors
    /// [`AwsError::Denied`] where the role lacks `ecr:GetAuthorizationToken`; ends within 30 s.
    pub async fn ecr_login(&self, region: &str) -> Result<RegistryToken, AwsError> {
        let mut config =
            aws_sdk_ecr::config::Builder::from(&self.config).region(Region::new(region.to_owned()));
        if let Some(url) = &self.endpoints.ecr {
            config = config.endpoint_url(url);
        }
        let endpoint = self.endpoints.ecr.clone().unwrap_or_else(|| format!("ECR in {region}"));
        let call = Call { operation: LOGIN_ACTION, endpoint: &endpoint, resource: "*" };
        let request = aws_sdk_ecr::Client::from_conf(config.build()).get_authorization_token().send();
        let answer = match tokio::time::timeout(LOGIN, request).await {
            Ok(answer) => answer.map_err(|e| call.failed(&e))?,
            Err(_) => return Err(call.too_slow(LOGIN.as_secs())),
        };
        let token = answer.authorization_data().first().and_then(|data| data.authorization_token());
        token.and_then(decode).ok_or_else(|| call.unavailable("the answer holds no login".to_owned()))
    }
}

/// base64 of `AWS:password`; AWS promises no largest size.
fn decode(token: &str) -> Option<RegistryToken> {
    let login = String::from_utf8(STANDARD.decode(token).ok()?).ok()?;
    let (username, password) = login.split_once(':')?;
    if username.is_empty() || password.is_empty() {
        return None;
    }
    Some(RegistryToken { username: username.to_owned(), password: SecretString::from(password) })
}
