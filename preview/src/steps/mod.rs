//! The steps of all commands.

mod access;
pub mod changes;
mod check;
mod down;
mod evidence;
mod failure;
mod finish;
mod job;
mod launch;
mod launching;
mod list;
mod load;
mod look;
mod permissions;
mod plan;
mod publish;
mod reach;
mod room;
mod secrets;
mod sweep;
mod up;
mod user_data;
mod watch;

pub use check::check;
pub use down::down;
pub use failure::Failure;
pub use job::Job;
pub use list::list;
pub use load::Loaded;
pub use look::{logs, status};
pub use sweep::sweep;
pub use up::{Ended, up, wait};
pub use user_data::{Release, ReleaseError};
