//! YAML text to a tree whose nodes know their place.
//!
//! A tree and not serde structs: one pass over it can report every fault of the
//! file with its field's path, where a derived `Deserialize` stops at the first
//! and quotes the value. Scalars keep their spelling, so that `1.10` stays `1.10`.

mod node;
mod raw;
mod read;

pub use node::{Content, Entry, Kind, Node, Position};
pub use read::read;
