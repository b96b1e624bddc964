//! The instance metadata service, version 2 only.
//!
//! A client of our own: the SDK's keeps a token that IMDS has refused until its
//! six hours are over, reads bodies of any size, and does not tell a service
//! that is not there from one whose answers are lost on the way.

mod answers;
mod client;
mod endpoint;
mod error;
mod instance;

pub use client::{IMDS_LIMIT, Imds};
pub(crate) use endpoint::endpoint_from_env;
pub use error::ImdsError;
pub use instance::Instance;
