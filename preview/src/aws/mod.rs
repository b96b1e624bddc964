//! AWS: reads what the account has, and changes it. Every call has a time limit, and errors are sorted by their
//! remedy.

mod account;
mod change_set;
mod change_sets;
mod client;
mod commands;
mod described;
mod ecr;
mod error;
mod instances;
mod launch;
mod parameters;
mod rules;
mod services;
mod stack_events;
mod stacks;

pub use account::{Caller, Group, Image, InstanceType, Subnet};
pub use change_set::{
    Action, Change, ChangeSet, Execution, Making, Policy, Property, Recreation, Replacement,
};
pub use change_sets::{Given, Kind, NewChangeSet, Template};
pub use client::Aws;
pub use commands::Output;
pub use error::{capacity, is, not_there};
pub use instances::{Filter, Instance, State};
pub use launch::Launch;
pub use preview_agent::aws::AwsError;
pub use rules::{Opening, Rule};
pub use services::Said;
pub use stack_events::{Event, Validation};
pub use stacks::{Declared, Stack, Status, Summary, Way};
