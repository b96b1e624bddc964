//! Database URLs in SQLAlchemy's forms, read without ever repeating one.

mod endpoint;
mod error;
mod syntax;
mod url;

pub use endpoint::{Endpoint, is_loopback};
pub use error::DatabaseUrlError;
pub(crate) use syntax::{dialect, is_host};
pub use url::DatabaseUrl;

#[cfg(test)]
mod tests;
