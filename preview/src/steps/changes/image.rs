//! The image of a change set, pinned: a tag says the same though it stands for another image by now, and
//! CloudFormation sees no change then.

use preview_agent::config::ImageReference;

use super::stack_job::StackJob;
use crate::changes::Wish;
use crate::registry::{self, RegistryError};
use crate::steps::failure::Failure;

/// The wish with the digest that its tag stands for now, where the registry says so.
///
/// # Errors
/// There is no such image, or nobody can tell whether it is another than the one that runs.
pub(super) async fn pinned(job: &StackJob, wish: Wish, runs: Option<&str>) -> Result<Wish, Failure> {
    let Ok(image) = ImageReference::parse(&wish.value) else { return Ok(wish) };
    if image.digest().is_some() {
        return Ok(wish);
    }
    match digest(job, &image).await {
        Ok(digest) => {
            let value = format!("{}@{digest}", written(&wish.value));
            job.output.say(&format!("{} is {digest} now", wish.value));
            Ok(Wish { value, ..wish })
        }
        Err(RegistryError::NotThere { image }) => {
            Err(Failure::new(format!("{image} is not in its registry")).hint("Push it first."))
        }
        Err(error) if runs == Some(wish.value.as_str()) => {
            let message = format!(
                "{} is what {} says already, and whether it stands for another image by now is not known: {error}",
                wish.value, wish.key
            );
            Err(Failure::new(message).hint("Name the digest: IMAGE@sha256:…"))
        }
        Err(error) => {
            job.output.warn(&format!("{} is not pinned to a digest: {error}", wish.value));
            Ok(wish)
        }
    }
}

/// The name as it was written, without its tag.
fn written(image: &str) -> &str {
    let path = image.rfind('/').map_or(0, |slash| slash + 1);
    image[path..].find(':').map_or(image, |colon| &image[..path + colon])
}

async fn digest(job: &StackJob, image: &ImageReference) -> Result<String, RegistryError> {
    let Some(ecr) = image.ecr() else { return registry::digest(image).await };
    let tag = image.tag().unwrap_or("latest");
    match job.aws.digest((&ecr.account, &ecr.region), image.repository(), tag).await {
        Ok(Some(digest)) => Ok(digest),
        Ok(None) => Err(RegistryError::NotThere { image: image.to_string() }),
        Err(error) => {
            Err(RegistryError::Silent { registry: image.registry().to_owned(), reason: error.to_string() })
        }
    }
}
