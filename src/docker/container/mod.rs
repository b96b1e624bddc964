//! Containers of ours: created, started, stopped, found again.

mod create;
mod inspect;
mod lifecycle;

pub use create::ContainerRequest;
pub use inspect::{Container, ExitStatus, State};
