//! Pulling an image.

mod error;
mod progress;
mod registry_errors;

use std::time::Duration;

use bollard::auth::DockerCredentials;
use bollard::query_parameters::CreateImageOptions;
use futures_util::StreamExt as _;
use tokio::time::timeout;

pub use super::credentials::Credentials;
pub use error::PullError;
pub use progress::Progress;

use self::progress::Layers;
use super::engine::Engine;
use super::error::{Error, is_end_of_stream};
use super::error_text::with_sources;
use super::image::LocalImage;
use super::timeouts::REQUEST;
use crate::config::ImageReference;

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
        let mut layers = Layers::default();
        let mut digest = None;
        let mut finished = false;
        while let Some(line) = timeout(stall, lines.next()).await.map_err(|_| PullError::Stalled(stall))? {
            let line = match line {
                Err(error) if is_end_of_stream(&error) => break,
                line => line.map_err(|error| classify(error, &image_name))?,
            };
            let status = line.status.as_deref().unwrap_or_default();
            if let Some(text) = status.strip_prefix("Digest: ") {
                digest = Some(text.trim().to_owned());
            }
            finished |= status.starts_with("Status: ");
            if let Some(progress) = layers.update(line) {
                on_progress(progress);
            }
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
        Bollard::DockerResponseServerError { message, .. } => PullError::from_message(&message, image),
        Bollard::DockerStreamError { error } => PullError::from_message(&error, image),
        // The engine sends nothing, headers included, before the registry has answered it.
        Bollard::RequestTimeoutError => PullError::Stalled(REQUEST),
        Bollard::JsonDataError { .. } | Bollard::JsonSerdeError { .. } => {
            PullError::Failed(format!("the engine's answer could not be read: {}", with_sources(&error)))
        }
        other => PullError::Engine(Error::from_bollard("pull the image", other)),
    }
}
