//! AWS: reads what the account has, and changes it. Every call has a time limit, and errors are sorted by their
//! remedy.

mod account;
mod client;
mod commands;
mod error;
mod instances;
mod launch;
mod parameters;
mod rules;

pub use account::{Caller, Group, Image, InstanceType, Subnet};
pub use client::Aws;
pub use commands::Output;
pub use error::{capacity, is, not_there};
pub use instances::{Filter, Instance, State};
pub use launch::Launch;
pub use preview_agent::aws::AwsError;
pub use rules::{Opening, Rule};
