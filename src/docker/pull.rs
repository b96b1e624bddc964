//! Pulling an image.

mod words;

use std::collections::HashMap;
use std::time::Duration;

use bollard::BollardRequest;
use bollard::auth::DockerCredentials;
use bollard::query_parameters::CreateImageOptions;
use futures_util::StreamExt as _;
use secrecy::{ExposeSecret as _, SecretString};
use tokio::time::timeout;

use super::error::{chain, is_end};
use super::{Engine, Error, LocalImage};
use crate::config::ImageReference;

/// Layers whose progress is counted; an image has at most 127 (overlay2's limit).
const LAYERS_MAX: usize = 1024;

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

/// Bytes of all layers seen so far.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Progress {
    /// Bytes downloaded.
    pub bytes: u64,
    /// Bytes to download, as far as known.
    pub total: u64,
}

/// A pull that failed, by what its words mean.
#[derive(Debug, thiserror::Error)]
pub enum PullError {
    /// The registry wants (other) credentials.
    #[error("{0}")]
    Denied(String),
    /// No such repository, tag or digest.
    #[error("{0}")]
    NotFound(String),
    /// Too many requests.
    #[error("{0}")]
    Throttled(String),
    /// The registry, its name or the way to it is down, or it failed by itself.
    #[error("{0}")]
    Unreachable(String),
    /// Nothing came for this long.
    #[error("no byte from the registry for {} s", .0.as_secs())]
    Stalled(Duration),
    /// No variant of the image runs on this architecture.
    #[error("{0}")]
    Architecture(String),
    /// Docker's disk is full.
    #[error("{0}")]
    DiskFull(String),
    /// The engine says the name is not one.
    #[error("{0}")]
    BadName(String),
    /// A layer was damaged or another passing trouble.
    #[error("{0}")]
    Failed(String),
    /// The engine itself.
    #[error(transparent)]
    Engine(#[from] Error),
}

impl PullError {
    /// Whether the same pull may succeed later.
    #[must_use]
    pub fn retryable(&self) -> bool {
        match self {
            Self::Throttled(_) | Self::Unreachable(_) | Self::Stalled(_) | Self::Failed(_) => true,
            // The engine is started again by systemd, after an upgrade for example.
            Self::Engine(error) => matches!(error, Error::Unavailable { .. }),
            Self::Denied(_)
            | Self::NotFound(_)
            | Self::Architecture(_)
            | Self::DiskFull(_)
            | Self::BadName(_) => false,
        }
    }
}

impl Engine {
    /// Pulls an image once, telling its progress, and returns it as it lies on this host,
    /// with the digest that the reference stood for.
    ///
    /// One line of the engine's answer is held in memory whole, however long it is: the client
    /// offers no bound for it, and the engine is trusted with root anyway.
    ///
    /// # Errors
    /// [`PullError`] by meaning; [`PullError::Stalled`] after `stall` without a sign.
    pub async fn pull(
        &self,
        image: &ImageReference,
        credentials: Option<&Credentials>,
        stall: Duration,
        mut on_progress: impl FnMut(Progress),
    ) -> Result<(LocalImage, Option<String>), PullError> {
        let image_name = image.to_string();
        let reference = image.digest().or(image.tag()).unwrap_or("latest").to_owned();
        let options = CreateImageOptions {
            from_image: Some(image.name()),
            tag: Some(reference),
            ..CreateImageOptions::default()
        };
        let login = credentials.map(|login| DockerCredentials {
            serveraddress: Some(image.registry().to_owned()),
            ..login.for_engine()
        });
        let mut lines = std::pin::pin!(self.docker.create_image(Some(options), None, login));
        let mut layers: HashMap<String, Progress> = HashMap::new();
        let mut digest = None;
        let mut finished = false;
        while let Some(line) = timeout(stall, lines.next()).await.map_err(|_| PullError::Stalled(stall))? {
            let line = match line {
                Err(error) if is_end(&error) => break,
                line => line.map_err(|error| classify(error, &image_name))?,
            };
            let status = line.status.unwrap_or_default();
            if let Some(text) = status.strip_prefix("Digest: ") {
                digest = Some(text.trim().to_owned());
            }
            finished |= status.starts_with("Status: ");
            let Some(id) = line.id else { continue };
            match status.as_str() {
                // A hostile stream may name layers without end; real images have at most 127.
                "Downloading" if layers.len() < LAYERS_MAX || layers.contains_key(&id) => {
                    let detail = line.progress_detail.unwrap_or_default();
                    let count = |n: Option<i64>| n.and_then(|n| u64::try_from(n).ok()).unwrap_or(0);
                    let layer = Progress { bytes: count(detail.current), total: count(detail.total) };
                    layers.insert(id, layer);
                }
                "Download complete" => {
                    layers.entry(id).and_modify(|layer| layer.bytes = layer.bytes.max(layer.total));
                }
                _ => continue,
            }
            on_progress(layers.values().fold(Progress::default(), |sum, layer| Progress {
                bytes: sum.bytes.saturating_add(layer.bytes),
                total: sum.total.saturating_add(layer.total),
            }));
        }
        // A stream that ended early looks like one that ended well, and behind a tag there may lie
        // an older image: the engine's last words and the image itself prove it together.
        if !finished {
            return Err(PullError::Failed(format!("the pull of {image_name} broke off")));
        }
        match self.local_image(&image_name).await? {
            // An image that does not say runs anywhere.
            Some(local) if local.architecture.is_empty() || local.architecture == self.architecture => {
                Ok((local, digest))
            }
            Some(local) => Err(PullError::Architecture(format!(
                "{image_name} is built for {}, this host is {}",
                local.architecture, self.architecture
            ))),
            None => Err(PullError::Failed(format!("the pull of {image_name} ended without an image"))),
        }
    }
}

fn classify(error: bollard::errors::Error, image: &str) -> PullError {
    use bollard::errors::Error as Bollard;
    match error {
        Bollard::DockerResponseServerError { message, .. } => PullError::from_words(&message, image),
        Bollard::DockerStreamError { error } => PullError::from_words(&error, image),
        // The engine sends nothing, headers included, before the registry has answered it.
        Bollard::RequestTimeoutError => PullError::Stalled(super::REQUEST),
        Bollard::JsonDataError { .. } | Bollard::JsonSerdeError { .. } => {
            PullError::Failed(format!("the engine's answer could not be read: {}", chain(&error)))
        }
        other => PullError::Engine(Error::from_bollard("pull the image", other)),
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
