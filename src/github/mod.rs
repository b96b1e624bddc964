//! The source tarball of a commit and its way into a build context.
//!
//! [`fetch`] downloads the tarball into an unlinked file and checks all of it
//! before anything reaches Docker; [`Archive::context`] then streams it, with
//! its top folder stripped, as the tar that a build takes. Memory stays flat:
//! the archive is only ever read as a stream.

mod api_errors;
mod archive;
mod context;
mod dockerignore;
mod download;
mod error;
mod extension_headers;
mod fetch;
mod links;
mod members;
mod request;
mod spool;

pub use archive::Archive;
pub use download::Progress;
pub use error::SourceError;
pub use fetch::fetch;
pub use request::{Limits, Request};
