//! The application's image: pulled, or built if the pull failed for good.

use super::build;
use super::pull::Images;
use super::ready::ImageReady;
use crate::status::{Code, Fault, ImageSource, Serving};

/// Pulls the application's image, or builds it if the pull failed for good. Nothing is built in the
/// place of what serves already because its registry does not answer.
///
/// # Errors
/// The build's fault with the pull's in it, or the pull's where nothing can be built.
pub async fn application(images: &Images<'_>, serving: Option<&Serving>) -> Result<ImageReady, Fault> {
    let (desired, reporter) = (images.desired, &images.run.reporter);
    reporter.update(|report| report.image(desired.image.to_string()));
    let pulled = images.pull(&desired.image).await;
    let (ready, source) = match (pulled, &desired.source) {
        (Ok(ready), _) => (ready, ImageSource::Pulled),
        (Err(fault), Some(source)) if builds_instead(fault.code, serving) => {
            let why = format!("{}: {}", fault.code.name(), fault.message);
            let reason = images.run.redactor.apply(&why);
            tracing::warn!(%reason, "the pull failed for good; building from source");
            reporter.update(|report| report.build_because(why.clone()));
            let built = build::from_source(images, source).await;
            let because = |build: Fault| {
                let message = format!("{} (built because of {why})", build.message);
                Fault { message, ..build }
            };
            (built.map_err(because)?, ImageSource::Built)
        }
        (Err(fault), _) => return Err(fault),
    };
    let (digest, commit) = (ready.digest().map(str::to_owned), ready.commit().map(str::to_owned));
    reporter.update(|report| report.image_ready(source, digest, commit));
    Ok(ready)
}

/// A full disk and a dead engine would fail the build as well. What was pulled and serves is kept
/// whatever its registry says now; what was built may have a newer commit, which a registry that
/// answers does not keep from being built.
fn builds_instead(code: Code, serving: Option<&Serving>) -> bool {
    let helps = !matches!(
        code,
        Code::DiskFull
            | Code::DockerUnavailable
            | Code::DockerFailed
            | Code::DockerTooOld
            | Code::ImageNameInvalid
    );
    helps && serving.is_none_or(|serving| serving.commit.is_some() && !code.retryable())
}
