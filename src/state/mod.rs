//! What must survive a restart and cannot be read off Docker.

mod databases;
mod key;
mod private_file;
mod records;
mod store;

pub use databases::{DatabaseKey, Step};
pub use records::{KnownBad, LastGood, Spent, State, Watched};
pub use store::{Store, StoreError};
