//! What a repository says of its previews: `preview.yaml`, or the handbook's variables in its place.

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
pub use variables::Variables;
