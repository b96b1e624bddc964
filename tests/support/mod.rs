//! What the tests stand on: servers that misbehave on command, and the real parts.

// Each test binary uses its own part of this, and is a crate of its own.
#![allow(dead_code, unreachable_pub, missing_docs)]

pub mod docker;
pub mod forwarder;
pub mod github;
pub mod imds;
pub mod machine;
pub mod peers;
pub mod postgres;
pub mod registry;
pub mod releases;
pub mod server;
pub mod ssm;
pub mod world;
