//! `preview changes`: a stack is changed by change sets only, which are reviewed before they are applied.

mod apply;
mod create;
mod find;
mod follow;
mod history;
mod image;
mod record;
mod show;
mod stack_job;
mod why;

pub use apply::{Apply, apply};
pub use create::{Create, create};
pub use follow::watch;
pub use history::{Back, history, rollback};
pub use show::{Form, show};
pub use stack_job::StackJob;

/// The exit code where something is refused until somebody allows it by name.
pub const REFUSED: u8 = 5;
