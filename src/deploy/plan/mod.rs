//! What is wanted: the configuration with every value fetched from where it lives.

mod desired;
mod environment;
mod from_config;
mod value_sources;

pub use desired::{Desired, Job, Source};
pub use environment::Environment;
pub use from_config::from_config;
