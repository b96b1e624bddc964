//! The report on a preview: one set of facts, shown as a comment, a summary and lines of the log.

mod comment;
mod fence;
mod model;

pub use comment::{comment, summary};
pub use fence::fenced;
pub use model::{Evidence, Report, Stage};
