//! What people are told of a preview: one view, as a comment, a summary and lines of the log.

mod comment;
mod fence;
mod told;

pub use comment::{comment, summary};
pub use fence::fenced;
pub use told::{Evidence, Told, Turn};
