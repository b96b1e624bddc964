//! What the tests stand on: servers that misbehave on command, and the real parts.

// Each test binary uses its own part of this, and is a crate of its own.
#![allow(dead_code, unreachable_pub, missing_docs)]

pub mod agent;
pub mod aws_client;
pub mod canary;
pub mod cloud;
pub mod configs;
pub mod docker;
pub mod documents;
pub mod engine;
pub mod events;
pub mod forwarder;
pub mod github;
pub mod iam;
pub mod imds;
pub mod journal;
pub mod kinds;
pub mod ledger;
pub mod link_local;
pub mod machine;
pub mod nested;
pub mod page;
pub mod peers;
pub mod pooler;
pub mod postgres;
pub mod process;
pub mod proxy;
pub mod questions;
pub mod registry;
pub mod releases;
pub mod server;
pub mod small_engine;
pub mod ssm;
pub mod stack;
pub mod tls;
pub mod trouble;
pub mod variant;
pub mod wait;
pub mod world;
