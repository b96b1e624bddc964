//! What earlier builds have left behind.

use crate::docker::{Container, Engine};

/// Images of earlier builds go. What serves now and what served before it are
/// in `used` and stay, for the way back.
pub async fn remove_old_builds(engine: &Engine, used: impl Iterator<Item = &Container>) {
    let used: Vec<&Container> = used.collect();
    let built = match engine.built_images().await {
        Ok(built) => built,
        Err(error) => return tracing::warn!(%error, "old builds are not removed"),
    };
    for image in built {
        if used.iter().all(|container| container.image_id != image)
            && let Err(error) = engine.remove_image(&image).await
        {
            tracing::warn!(%error, "an old build is not removed");
        }
    }
}
