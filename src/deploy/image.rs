//! The image, made to lie on this host: pulled, else built from its source.

use super::Context;
use super::desired::Desired;
use super::phase::Stop;
use super::pull::{ImageReady, Images};
use super::source;
use crate::status::{Code, Fault, ImageSource, PhaseName};

impl Context<'_> {
    /// The application's image: pulled, or built if the pull failed for good.
    ///
    /// # Errors
    /// The build's fault with the pull's in it, or the pull's where nothing can be built.
    pub(super) async fn image(&self) -> Result<ImageReady, Stop> {
        let images = self.images(PhaseName::Image);
        self.progress.phase(PhaseName::Image, application(&images, &self.desired)).await
    }
}

async fn application(images: &Images<'_>, desired: &Desired) -> Result<ImageReady, Fault> {
    let reporter = &images.progress.reporter;
    reporter.update(|document| document.image.requested = Some(desired.image.to_string()));
    let pulled = images.pull(&desired.image, desired).await;
    let (ready, source) = match (pulled, &desired.source) {
        (Ok(ready), _) => (ready, ImageSource::Pulled),
        (Err(fault), Some(source)) if builds_instead(fault.code) => {
            let why = format!("{}: {}", fault.code.name(), fault.message);
            let reason = images.progress.redactor.apply(&why);
            tracing::warn!(%reason, "the pull failed for good; building from source");
            reporter.update(|document| {
                document.image.why_built = Some(why.clone());
                document.image.progress = None;
            });
            let built = source::build(images, source, desired).await;
            let because = |build: Fault| {
                let message = format!("{} (built because of {why})", build.message);
                Fault { message, ..build }
            };
            (built.map_err(because)?, ImageSource::Built)
        }
        (Err(fault), _) => return Err(fault),
    };
    reporter.update(|document| {
        let image = &mut document.image;
        image.source = Some(source);
        image.digest.clone_from(&ready.digest);
        image.commit.clone_from(&ready.commit);
        image.progress = None;
    });
    Ok(ready)
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
