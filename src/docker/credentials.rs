//! A login for a registry, and how it reaches the engine.

use bollard::BollardRequest;
use bollard::auth::DockerCredentials;
use secrecy::{ExposeSecret as _, SecretString};

/// A login for one registry.
#[derive(Debug, Clone)]
pub struct Credentials {
    /// User name; `AWS` for ECR, anything for a GitHub token.
    pub username: String,
    /// Password or token.
    pub password: SecretString,
}

impl Credentials {
    /// The login as the client takes it.
    pub(super) fn for_engine(&self) -> DockerCredentials {
        DockerCredentials {
            username: Some(self.username.clone()),
            password: Some(self.password.expose_secret().to_owned()),
            ..DockerCredentials::default()
        }
    }
}

/// bollard encodes credentials in standard base64, the engine reads base64url
/// (moby `pkg/authconfig`) and pulls anonymously, silently, when it cannot.
pub(super) fn url_safe_registry_auth(mut request: BollardRequest) -> BollardRequest {
    if let Some(value) = request.headers_mut().get_mut("x-registry-auth") {
        let safe = value.to_str().map(|text| text.replace('+', "-").replace('/', "_").parse());
        if let Ok(Ok(safe)) = safe {
            *value = safe;
        }
    }
    request
}
