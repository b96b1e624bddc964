//! What a tag in a registry stands for, by the distribution API: a question without a login, or with a token
//! that the registry gives to anybody.

use std::time::Duration;

use preview_agent::cause::innermost;
use preview_agent::config::ImageReference;
use reqwest::header::{ACCEPT, HeaderMap, WWW_AUTHENTICATE};
use reqwest::{Client, Response, StatusCode, Url};
use serde::Deserialize;

/// Limit of one request.
const LIMIT: Duration = Duration::from_secs(10);
/// The forms that a manifest may have (OCI distribution specification, "Pulling manifests").
const MANIFESTS: &str = "application/vnd.oci.image.index.v1+json, application/vnd.oci.image.manifest.v1+json, \
                         application/vnd.docker.distribution.manifest.list.v2+json, \
                         application/vnd.docker.distribution.manifest.v2+json";
/// Longest answer with a token, in bytes.
const TOKEN: usize = 64 * 1024;

/// Why it is not known.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RegistryError {
    /// There is no such tag.
    #[error("{image} is not there")]
    NotThere {
        /// The image.
        image: String,
    },
    /// The registry does not say.
    #[error("{registry} does not say: {reason}")]
    Silent {
        /// The registry.
        registry: String,
        /// Why.
        reason: String,
    },
}

#[derive(Deserialize)]
struct Token {
    #[serde(alias = "access_token")]
    token: String,
}

/// The digest that the tag of an image stands for now.
///
/// # Errors
/// There is none, or the registry does not say.
pub async fn digest(image: &ImageReference) -> Result<String, RegistryError> {
    let registry = image.registry();
    let silent = |reason: String| RegistryError::Silent { registry: registry.to_owned(), reason };
    let client = Client::builder().connect_timeout(LIMIT).timeout(LIMIT).build();
    let client = client.map_err(|error| silent(innermost(&error).to_string()))?;
    let host = if registry == "docker.io" { "registry-1.docker.io" } else { registry };
    // As the engine does: what is on this machine needs no certificate.
    let is_local = ["localhost", "127.0.0.1", "[::1]"].iter().any(|own| host.split(':').next() == Some(own));
    let scheme = if is_local { "http" } else { "https" };
    let url =
        format!("{scheme}://{host}/v2/{}/manifests/{}", image.repository(), image.tag().unwrap_or("latest"));
    let ask = async |token: Option<String>| -> Result<Response, RegistryError> {
        let mut request = client.head(&url).header(ACCEPT, MANIFESTS);
        if let Some(token) = token {
            request = request.bearer_auth(token);
        }
        request.send().await.map_err(|error| silent(innermost(&error).to_string()))
    };
    let mut answer = ask(None).await?;
    if answer.status() == StatusCode::UNAUTHORIZED {
        let place = challenge(answer.headers()).ok_or_else(|| silent("it asks for a login".to_owned()))?;
        let given = client.get(place).send().await.map_err(|error| silent(innermost(&error).to_string()))?;
        let token = token(given).await.ok_or_else(|| silent("it asks for a login".to_owned()))?;
        answer = ask(Some(token)).await?;
    }
    match answer.status() {
        status if status.is_success() => {
            let digest = answer.headers().get("docker-content-digest").and_then(|it| it.to_str().ok());
            digest.map(str::to_owned).ok_or_else(|| silent("an answer without a digest".to_owned()))
        }
        StatusCode::NOT_FOUND => Err(RegistryError::NotThere { image: image.to_string() }),
        status => Err(silent(format!("HTTP {}", status.as_u16()))),
    }
}

/// Where a token is to be had: `Bearer realm="…",service="…",scope="…"`.
fn challenge(headers: &HeaderMap) -> Option<Url> {
    let said = headers.get(WWW_AUTHENTICATE)?.to_str().ok()?.strip_prefix("Bearer ")?;
    let part = |name: &str| {
        let from = said.find(&format!("{name}=\""))? + name.len() + 2;
        said[from..].split('"').next()
    };
    let mut url = Url::parse(part("realm")?).ok().filter(|url| ["http", "https"].contains(&url.scheme()))?;
    for name in ["service", "scope"] {
        if let Some(value) = part(name) {
            url.query_pairs_mut().append_pair(name, value);
        }
    }
    Some(url)
}

async fn token(mut answer: Response) -> Option<String> {
    if !answer.status().is_success() {
        return None;
    }
    let mut bytes = Vec::new();
    while let Some(chunk) = answer.chunk().await.ok()? {
        bytes.extend_from_slice(&chunk);
        if bytes.len() > TOKEN {
            return None;
        }
    }
    serde_json::from_slice::<Token>(&bytes).ok().map(|it| it.token)
}
