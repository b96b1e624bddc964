//! The image, made to lie on this host: pulled, else built from its source.

use std::time::Duration;

use super::Context;
use super::desired::Desired;
use super::phase::{Progress, Reload, Stop};
use super::policy::Policy;
use super::source;
use super::store::Store;
use crate::config::ImageReference;
use crate::docker::pull::{Credentials, PullError};
use crate::docker::{Engine, LocalImage};
use crate::retry::{self, GaveUp, Verdict};
use crate::status::{self, Code, Fault, ImageSource, PhaseName};

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

impl Context<'_> {
    /// The application's image.
    ///
    /// # Errors
    /// See [`Images::application`].
    pub(super) async fn image(&self) -> Result<ImageReady, Stop> {
        let images = self.images(PhaseName::Image);
        self.progress.phase(PhaseName::Image, Reload::Cuts, images.application(&self.desired)).await
    }
}

impl Images<'_> {
    /// The application's image: pulled, or built if the pull failed for good.
    ///
    /// # Errors
    /// The build's fault with the pull's before it, or the pull's where nothing can be built.
    pub async fn application(&self, desired: &Desired) -> Result<ImageReady, Fault> {
        let login = desired.logins.get(desired.image.registry());
        self.told(|image| image.requested = Some(desired.image.to_string()));
        self.told(|image| image.source = Some(ImageSource::Pulled));
        let pulled = self.pull(&desired.image, login).await;
        let fault = match pulled {
            Ok(ready) => {
                self.told(|image| {
                    image.digest.clone_from(&ready.digest);
                    image.progress = None;
                });
                return Ok(ready);
            }
            Err(fault) => fault,
        };
        match &desired.source {
            Some(source) if builds_instead(fault.code) => {
                let why = format!("{}: {}", fault.code.name(), fault.message);
                tracing::warn!(reason = %self.progress.redactor.apply(&why), "the pull failed for good; building from source");
                self.told(|image| {
                    image.source = Some(ImageSource::Built);
                    image.why_built = Some(why.clone());
                    image.progress = None;
                });
                let ready = source::build(self, source, desired).await.map_err(|build| Fault {
                    message: format!("{} (built because of {why})", build.message),
                    ..build
                })?;
                self.told(|image| {
                    image.commit.clone_from(&ready.commit);
                    image.progress = None;
                });
                Ok(ready)
            }
            _ => Err(fault),
        }
    }

    /// The image that a job names as its own.
    ///
    /// # Errors
    /// The pull's fault.
    pub async fn job(&self, image: &ImageReference, desired: &Desired) -> Result<ImageReady, Fault> {
        self.pull(image, desired.logins.get(image.registry())).await
    }

    async fn pull(&self, image: &ImageReference, login: Option<&Credentials>) -> Result<ImageReady, Fault> {
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
                let message = format!("{image}{anonymous}: {}", fault.message);
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

    fn told(&self, change: impl FnOnce(&mut status::Image)) {
        self.progress.reporter.update(|document| change(&mut document.image));
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

/// A full disk and a dead engine would fail the build as well.
fn builds_instead(code: Code) -> bool {
    !matches!(
        code,
        Code::DiskFull
            | Code::DockerUnavailable
            | Code::DockerFailed
            | Code::DockerTooOld
            | Code::ImageNameInvalid
    )
}
