//! The proof that an image lies on this host.

use crate::config::ImageReference;
use crate::docker::LocalImage;

/// An image that lies on this host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImageReady {
    reference: String,
    id: String,
    digest: Option<String>,
    commit: Option<String>,
}

impl ImageReady {
    /// One that the registry knows under `digest`, or that was never pushed.
    pub(super) fn pulled(image: &ImageReference, local: LocalImage, digest: Option<String>) -> Self {
        // An image without a digest (a local build) is named by its id.
        let digest = digest.or_else(|| {
            let prefix = format!("{}@", image.name());
            local.repo_digests.iter().find_map(|known| known.strip_prefix(&prefix).map(str::to_owned))
        });
        let by_digest = digest.as_ref().map(|digest| format!("{}@{digest}", image.name()));
        let reference =
            by_digest.filter(|name| local.repo_digests.contains(name)).unwrap_or_else(|| local.id.clone());
        Self { reference, id: local.id, digest, commit: None }
    }

    /// One that was built here, from this commit where it is known.
    pub(super) fn built(id: String, commit: Option<String>) -> Self {
        Self { reference: id.clone(), id, digest: None, commit }
    }

    /// What containers are made from: by digest or id, never by a tag.
    #[must_use]
    pub fn reference(&self) -> &str {
        &self.reference
    }

    /// The engine's id of it.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }

    /// What the tag stood for, if it was pulled.
    #[must_use]
    pub fn digest(&self) -> Option<&str> {
        self.digest.as_deref()
    }

    /// The commit it was built from, if it was built.
    #[must_use]
    pub fn commit(&self) -> Option<&str> {
        self.commit.as_deref()
    }
}
