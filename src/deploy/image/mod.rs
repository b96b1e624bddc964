//! The image, made to lie on this host: pulled from its registry, else built from its source.

mod build;
mod cleanup;
mod obtain;
mod pull;
mod ready;

pub use cleanup::remove_old_builds;
pub use obtain::application;
pub use pull::Images;
pub use ready::ImageReady;
