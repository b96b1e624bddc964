//! Image names, by the grammar of the distribution project's references.

mod error;
mod grammar;
mod reference;

pub use error::ImageNameError;
pub use grammar::is_registry_host;
pub use reference::{EcrHost, ImageReference};
