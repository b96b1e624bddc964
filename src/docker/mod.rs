//! The Docker Engine, through bollard: the only place that names it.
//!
//! Every plain request has a deadline; every stream is given one, or a stall
//! limit, by what reads it.

pub mod build;
mod container;
mod credentials;
mod engine;
mod error;
mod error_text;
mod events;
mod image;
mod labels;
mod logs;
mod network;
pub mod pull;
mod timeouts;

pub use container::{Container, ContainerRequest, ExitStatus, State};
pub use credentials::Credentials;
pub use engine::{Engine, socket_from_env};
pub use error::Error;
pub use events::Event;
pub use image::LocalImage;
pub use labels::{Role, Scope};
pub use logs::Chunk;
