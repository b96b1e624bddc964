//! The configuration file, version 1.

mod model;

pub use model::*;
