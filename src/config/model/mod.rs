//! The validated configuration: what a `config.yaml` means once every check
//! that needs nothing but the file itself has passed. Values that live
//! elsewhere are still references here; `deploy` fetches them.

mod app;
mod database;
mod file;
mod value;

pub use app::{App, Health, OnFailure, Publish, Stage};
pub use database::{Connection, Database};
pub use file::{
    Ahead, Config, Deadlines, Job, JobKind, MigrationRules, RegistryLogin, Source, Tries, VersionTable,
};
pub use value::{ValueRef, ValueSource};
