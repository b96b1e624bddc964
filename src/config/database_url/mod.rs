//! Database URLs in SQLAlchemy's forms, read without ever repeating one.

mod endpoint;
mod error;
mod syntax;
mod tls_mode;
mod url;

pub use endpoint::{Endpoint, is_loopback};
pub use error::DatabaseUrlError;
pub(crate) use syntax::{dialect, is_host};
pub use tls_mode::TlsMode;
pub use url::DatabaseUrl;

#[cfg(test)]
mod tests;
