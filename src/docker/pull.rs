//! Pulling an image, and what the engine's words about a failure mean.

use std::collections::HashMap;
use std::time::Duration;

use bollard::auth::DockerCredentials;
use bollard::query_parameters::CreateImageOptions;
use futures_util::StreamExt as _;
use secrecy::{ExposeSecret as _, SecretString};
use tokio::time::timeout;

use super::error::chain;
use super::{Engine, Error, LocalImage};
use crate::config::ImageReference;

/// A login for one registry.
#[derive(Debug, Clone)]
pub struct Credentials {
    /// User name; `AWS` for ECR, anything for a GitHub token.
    pub username: String,
    /// Password or token.
    pub password: SecretString,
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
        matches!(self, Self::Throttled(_) | Self::Unreachable(_) | Self::Stalled(_) | Self::Failed(_))
    }

    /// What a failure's words mean. Engines answer with different statuses, so
    /// the words decide; rows are in order, the first that matches holds.
    fn from_words(words: String) -> Self {
        let lower = words.to_lowercase();
        for (meaning, texts) in WORDS {
            if texts.iter().any(|text| lower.contains(text)) {
                return meaning(words);
            }
        }
        Self::Failed(words)
    }
}

/// Words of Docker 20.10 to 29 and of GHCR, ECR and distribution, lower case.
const WORDS: &[(fn(String) -> PullError, &[&str])] = &[
    (PullError::DiskFull, &["no space left on device"]),
    (PullError::Throttled, &["toomanyrequests", "too many requests", "rate exceeded"]),
    // GHCR says this in an incident of its own; a wrong token is "denied".
    (PullError::Unreachable, &["user cannot be authenticated with the token provided"]),
    (
        PullError::Architecture,
        &["no matching manifest for", "does not match the specified platform", "no match for platform"],
    ),
    (PullError::BadName, &["invalid reference format", "invalid repository name", "repository name must be"]),
    (PullError::NotFound, &["manifest unknown", "name unknown", "manifest for", "not found: manifest"]),
    (
        PullError::Denied,
        &[
            "denied",
            "unauthorized",
            "no basic auth credentials",
            "authentication required",
            "403 forbidden",
            "401 unauthorized",
            "authorization token has expired",
        ],
    ),
    (PullError::NotFound, &["not found", "404"]),
    (
        PullError::Unreachable,
        &[
            "no such host",
            "connection refused",
            "connection reset",
            "i/o timeout",
            "timeout exceeded",
            "tls handshake",
            "network is unreachable",
            "no route to host",
            "server misbehaving",
            "unexpected http status: 5",
            "unexpected status",
            "502 bad gateway",
            "503 service unavailable",
            "504 gateway",
            "500 internal server error",
            "x509",
            "eof",
        ],
    ),
];

impl Engine {
    /// Pulls an image once, telling its progress, and returns it as it lies on this host.
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
        let reference = image.digest().or(image.tag()).unwrap_or("latest").to_owned();
        let options = CreateImageOptions {
            from_image: Some(image.name()),
            tag: Some(reference),
            ..CreateImageOptions::default()
        };
        let login = credentials.map(|login| DockerCredentials {
            username: Some(login.username.clone()),
            password: Some(login.password.expose_secret().to_owned()),
            serveraddress: Some(image.registry().to_owned()),
            ..DockerCredentials::default()
        });
        let mut lines = std::pin::pin!(self.docker.create_image(Some(options), None, login));
        let mut layers: HashMap<String, Progress> = HashMap::new();
        let mut digest = None;
        while let Some(line) = timeout(stall, lines.next()).await.map_err(|_| PullError::Stalled(stall))? {
            let line = line.map_err(classify)?;
            let status = line.status.unwrap_or_default();
            if let Some(text) = status.strip_prefix("Digest: ") {
                digest = Some(text.trim().to_owned());
            }
            if let (Some(id), true) = (line.id, status == "Downloading") {
                let detail = line.progress_detail.unwrap_or_default();
                let count = |n: Option<i64>| n.and_then(|n| u64::try_from(n).ok()).unwrap_or(0);
                // A hostile stream may name layers without end; real images have at most 127.
                if layers.len() < 1024 {
                    layers.insert(id, Progress { bytes: count(detail.current), total: count(detail.total) });
                }
                on_progress(layers.values().fold(Progress::default(), |sum, layer| Progress {
                    bytes: sum.bytes.saturating_add(layer.bytes),
                    total: sum.total.saturating_add(layer.total),
                }));
            }
        }
        // A stream that ended early looks like success: only the image itself proves it.
        let image_name = image.to_string();
        match self.local_image(&image_name).await? {
            Some(local) if self.runs_here(&local) => Ok((local, digest)),
            Some(local) => Err(PullError::Architecture(format!(
                "{image_name} is built for {}, this host is {}",
                local.architecture, self.architecture
            ))),
            None => Err(PullError::Failed(format!("the pull of {image_name} ended without an image"))),
        }
    }
}

fn classify(error: bollard::errors::Error) -> PullError {
    use bollard::errors::Error as Bollard;
    match error {
        Bollard::DockerResponseServerError { message, .. } => PullError::from_words(message),
        Bollard::DockerStreamError { error } => PullError::from_words(error),
        // The engine sends nothing, headers included, before the registry has answered it.
        Bollard::RequestTimeoutError => PullError::Stalled(super::REQUEST),
        Bollard::JsonDataError { .. } | Bollard::JsonSerdeError { .. } => {
            PullError::Failed(format!("the engine's answer could not be read: {}", chain(&error)))
        }
        other => PullError::Engine(Error::from_bollard("pull the image", other)),
    }
}
