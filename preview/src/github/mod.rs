//! GitHub: the event that started a run, and the API.

mod api;
mod comments;
mod deployments;
mod error;
mod event;
mod files;
mod pulls;

pub use api::GitHub;
pub use comments::Comments;
pub use deployments::{Deployment, State};
pub use error::GitHubError;
pub use event::{Event, Intent};
pub use files::FILE_LIMIT;
pub use pulls::Pull;
