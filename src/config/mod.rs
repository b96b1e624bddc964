//! The configuration file, version 1: read, checked as a whole, and turned into
//! a typed [`Config`] before anything is touched.
//!
//! [`load`] reports every fault of the file at once, each with line, column,
//! field and what was expected; no message repeats a value. A key without a
//! value counts as not given.

mod database_url;
mod error;
mod field;
mod findings;
mod image_reference;
mod load;
mod model;
pub mod names;
mod placeholders;
pub mod quantity;
mod references;
mod schema;
mod value;
pub mod yaml;

pub use database_url::{DatabaseUrl, DatabaseUrlError, Endpoint, TlsMode, is_loopback};
pub use error::{Error, Problem};
pub use field::{Field, Map};
pub use findings::Findings;
pub use image_reference::{EcrHost, ImageNameError, ImageReference, is_registry_host};
pub use load::{DEFAULT_PATH, Loaded, load, load_for_another_host, parse, read_field, service_hint};
pub use model::*;
pub use placeholders::{Text, TextPart, UnknownPlaceholder};
