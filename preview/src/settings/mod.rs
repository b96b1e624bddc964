//! The settings of a repository's previews: from `preview.yaml`, or from the handbook's variables.

mod agent;
mod allowed;
mod fill;
mod model;
mod read;
mod schema;
mod variables;

pub use agent::AgentConfig;
pub use allowed::{Refused, with_head};
pub use fill::Fill;
pub use model::{Ami, Instance, Secret, Settings};
pub use read::{FILE, read, without_file};
pub use schema::folder;
pub use variables::{MORE, Variables};
