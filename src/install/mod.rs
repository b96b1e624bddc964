//! What an installation consists of: the binary, the unit and its drop-in, and
//! what becomes of them at an upgrade and at the end.

mod error;
mod files;
mod layout;
pub mod purge;
mod removal;
pub mod service;
mod setup;
pub mod systemctl;
mod unit;

pub use error::Error;
pub use layout::Layout;
pub use removal::Removal;
pub use unit::{REPORT, UNIT, UNIT_TEXT};
