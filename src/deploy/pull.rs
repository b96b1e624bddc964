//! Pulling an image by the policy, whatever it is for.

use std::time::Duration;

use super::desired::Desired;
use super::phase::Progress;
use super::policy::Policy;
use super::store::Store;
use crate::config::ImageReference;
use crate::docker::pull::{Credentials, PullError};
use crate::docker::{Engine, LocalImage};
use crate::retry::{self, GaveUp, Verdict};
use crate::status::{self, Code, Fault, PhaseName};

/// An image that lies on this host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImageReady {
    /// What containers are made from: by digest or id, never by a tag.
    pub reference: String,
    /// The engine's id of it.
    pub id: String,
    /// What the tag stood for, if it was pulled.
    pub digest: Option<String>,
    /// The commit it was built from, if it was built.
    pub commit: Option<String>,
}

/// What pulling and building need.
pub struct Images<'a> {
    /// The engine that pulls and builds.
    pub engine: &'a Engine,
    /// Tells of progress.
    pub progress: &'a Progress,
    /// Times.
    pub policy: &'a Policy,
    /// Keys of digests, and the folder for what is downloaded.
    pub store: &'a Store,
    /// The run's id.
    pub run: &'a str,
    /// The pull's retry policy.
    pub pulls: retry::Policy,
    /// The phase that the image is for.
    pub phase: PhaseName,
}

impl Images<'_> {
    /// Pulls an image with the login for its registry, if there is one.
    ///
    /// # Errors
    /// The last pull's fault, or why the registry gave no login.
    pub async fn pull(&self, image: &ImageReference, desired: &Desired) -> Result<ImageReady, Fault> {
        let login = match desired.logins.get(image.registry()) {
            Some(Ok(login)) => Some(login),
            Some(Err(fault)) => return Err(fault.clone()),
            None => None,
        };
        // What a digest names never changes: an image that is here need not be asked for again.
        if let Some(digest) = image.digest()
            && let Some(local) = self.engine.local_image(&image.to_string()).await?
        {
            return Ok(ready(image, local, Some(digest.to_owned())));
        }
        let limit = self.pulls.total.min(self.progress.left());
        let tries = retry::run(self.pulls, async |attempt| {
            self.progress.attempt(self.phase, attempt, self.pulls.tries);
            self.pull_once(image, login).await
        });
        match tokio::time::timeout(limit, tries).await {
            Ok(Ok((ready, _))) => Ok(ready),
            Ok(Err(GaveUp { error, attempts })) => {
                let anonymous = if login.is_none() { " (asked anonymously)" } else { "" };
                let fault = Fault::from(error);
                // Some engines name the image in their words, others do not.
                let named = fault.message.contains(&image.to_string());
                let name = if named { String::new() } else { format!("{image}: ") };
                let message = format!("{name}{}{anonymous}", fault.message);
                Err(Fault { message, ..fault }.after(attempts))
            }
            Err(_) => Err(Fault::new(
                Code::RegistryUnreachable,
                format!("{image}: not pulled within {} s", limit.as_secs()),
            )),
        }
    }

    async fn pull_once(
        &self,
        image: &ImageReference,
        login: Option<&Credentials>,
    ) -> Result<ImageReady, Verdict<PullError>> {
        let mut result = self.pull_as(image, login).await;
        // GHCR denies even public images to a bad token; without one they are free.
        if let (Err(PullError::Denied(words)), Some(_)) = (&result, login) {
            let words = words.clone();
            tracing::info!("denied with credentials; asking once anonymously");
            result = match self.pull_as(image, None).await {
                Err(PullError::Denied(_) | PullError::NotFound(_)) => Err(PullError::Denied(words)),
                Ok(ready) => {
                    self.progress.reporter.update(|document| {
                        let registry = image.registry();
                        document.notes.push(format!("{registry} denied the credentials; pulled anonymously"));
                    });
                    Ok(ready)
                }
                other => other,
            };
        }
        result.map_err(|error| if error.retryable() { Verdict::Again(error) } else { Verdict::Final(error) })
    }

    async fn pull_as(
        &self,
        image: &ImageReference,
        login: Option<&Credentials>,
    ) -> Result<ImageReady, PullError> {
        let stall: Duration = self.policy.stall;
        let (local, digest) = self
            .engine
            .pull(image, login, stall, |progress| {
                // The status has one progress, and it is the application's.
                if self.phase != PhaseName::Image {
                    return;
                }
                self.progress.reporter.progress(|document| {
                    document.image.progress =
                        Some(status::Progress { bytes: progress.bytes, total: Some(progress.total) });
                });
            })
            .await?;
        Ok(ready(image, local, digest))
    }
}

/// Prefers the digest under which the registry knows the image; an image
/// without one (a local build) is named by its id.
fn ready(image: &ImageReference, local: LocalImage, digest: Option<String>) -> ImageReady {
    let digest = digest.or_else(|| {
        let prefix = format!("{}@", image.name());
        local.repo_digests.iter().find_map(|known| known.strip_prefix(&prefix).map(str::to_owned))
    });
    let by_digest = digest.as_ref().map(|digest| format!("{}@{digest}", image.name()));
    let reference =
        by_digest.filter(|name| local.repo_digests.contains(name)).unwrap_or_else(|| local.id.clone());
    ImageReady { reference, id: local.id, digest, commit: None }
}
