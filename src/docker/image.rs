//! Images on this host.

use std::collections::HashMap;

use bollard::query_parameters::{ListImagesOptions, RemoveImageOptions};

use super::engine::{Engine, bounded};
use super::error::Error;
use super::labels::{ROLE, SPEC};

/// An image that is on this host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LocalImage {
    /// The engine's id of it.
    pub id: String,
    /// Architecture in Go's terms (`amd64`, `arm64`).
    pub architecture: String,
    /// `repository@sha256:…` for each registry it was pulled from.
    pub repo_digests: Vec<String>,
    /// HMAC of what this agent built it from; empty for any other image.
    pub spec: String,
}

impl Engine {
    /// The image with this reference or id, if it is here.
    ///
    /// # Errors
    /// Whatever the engine says but "not found".
    pub async fn local_image(&self, reference: &str) -> Result<Option<LocalImage>, Error> {
        match bounded(&format!("inspect the image {reference}"), self.docker.inspect_image(reference)).await {
            Ok(image) => Ok(Some(LocalImage {
                id: image.id.unwrap_or_default(),
                architecture: image.architecture.unwrap_or_default(),
                repo_digests: image.repo_digests.unwrap_or_default(),
                spec: image
                    .config
                    .and_then(|config| config.labels)
                    .and_then(|mut labels| labels.remove(SPEC))
                    .unwrap_or_default(),
            })),
            Err(Error::NotFound { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Ids of the images that this agent built.
    ///
    /// # Errors
    /// Whatever the engine says.
    pub async fn built_images(&self) -> Result<Vec<String>, Error> {
        let mut filters = self.scope.filter(None);
        filters.entry("label".to_owned()).or_default().push(format!("{ROLE}=build"));
        let options = ListImagesOptions { filters: Some(filters), ..ListImagesOptions::default() };
        let images = bounded("list images", self.docker.list_images(Some(options))).await?;
        Ok(images.into_iter().map(|image| image.id).collect())
    }

    /// Removes an image's last name and its layers unless a container uses it.
    ///
    /// # Errors
    /// Whatever the engine says, for example that a container uses it.
    pub async fn remove_image(&self, reference: &str) -> Result<(), Error> {
        let what = format!("remove the image {reference}");
        let options = RemoveImageOptions::default();
        bounded(&what, self.docker.remove_image(reference, Some(options), None)).await.map(drop)
    }

    /// Labels for an image that this agent builds, from what `spec` is the HMAC of.
    #[must_use]
    pub fn build_labels(&self, run: &str, spec: &str) -> HashMap<String, String> {
        let mut labels = self.scope.labels("build", run);
        labels.insert(SPEC.to_owned(), spec.to_owned());
        labels
    }
}
