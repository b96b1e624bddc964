//! Pulling an image by the policy, whatever it is for.

use std::time::Duration;

use super::super::plan::Desired;
use super::super::run_context::RunContext;
use super::ready::ImageReady;
use crate::config::ImageReference;
use crate::docker::Engine;
use crate::docker::pull::{Credentials, PullError};
use crate::retry::{self, GaveUp, Verdict};
use crate::state::Store;
use crate::status::{Code, Fault, PhaseName};

/// What pulling and building need.
pub struct Images<'a> {
    /// The run that wants them.
    pub run: &'a RunContext,
    /// The phase that they are for.
    pub phase: PhaseName,
    /// The engine that pulls and builds.
    pub engine: &'a Engine,
    /// What is wanted.
    pub desired: &'a Desired,
    /// Keys of digests, and the folder for what is downloaded.
    pub store: &'a Store,
}

impl Images<'_> {
    /// Pulls an image with the login for its registry, if there is one.
    ///
    /// # Errors
    /// The last pull's fault, or why the registry gave no login.
    pub async fn pull(&self, image: &ImageReference) -> Result<ImageReady, Fault> {
        let login = match self.desired.logins.get(image.registry()) {
            Some(Ok(login)) => Some(login),
            Some(Err(fault)) => return Err(fault.clone()),
            None => None,
        };
        // What a digest names never changes: an image that is here need not be asked for again.
        if let Some(digest) = image.digest()
            && let Some(local) = self.engine.local_image(&image.to_string()).await?
        {
            return Ok(ImageReady::pulled(image, local, Some(digest.to_owned())));
        }
        let policy = self.run.timings.pull(&self.desired.config);
        let limit = policy.total.min(self.run.left());
        let tries = retry::run(policy, async |attempt| {
            self.run.attempt(self.phase, attempt, Some(policy.tries));
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
                    let note = format!("{} denied the credentials; pulled anonymously", image.registry());
                    self.run.reporter.update(|report| report.note(note));
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
        let stall: Duration = self.run.timings.stall;
        let (local, digest) = self
            .engine
            .pull(image, login, stall, |progress| {
                // The status has one progress, and it is the application's.
                if self.phase != PhaseName::Image {
                    return;
                }
                let reporter = &self.run.reporter;
                reporter.progress(|report| report.transferred(progress.bytes, Some(progress.total)));
            })
            .await?;
        Ok(ImageReady::pulled(image, local, digest))
    }
}
