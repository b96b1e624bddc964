//! The value-aware redactor in front of every sink.
//!
//! It knows the secrets themselves, not their names, so that a value is masked
//! wherever it turns up: raw, percent-encoded, JSON-escaped, or in base64 and
//! base64url, padded or not.

mod encodings;
pub mod output;
mod plain;
mod redactor;
mod search;

pub use encodings::SHORTEST;
pub use plain::plain;
pub use redactor::{MASK, Redactor};
