//! Jobs and the migration: one-shot containers, at most one on a host, ever.
//!
//! Such a container belongs to the database as much as to us: a reload or a
//! stop never cuts it, and one that a crash left behind is adopted, not doubled.

mod adopt;
mod attempt;
mod backends;
mod container;
mod job;
mod jobs;
mod lock;
mod needed;
mod order;
mod recorded;
mod result;

pub use needed::Serves;
pub use order::{Migrated, run_all};
