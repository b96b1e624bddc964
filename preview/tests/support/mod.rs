//! What the tests of `preview` stand on: an account of AWS's and a GitHub that are strict and misbehave on
//! command, and the program itself as a process.

#![allow(dead_code, reason = "each test file uses its part")]

pub mod account;
pub mod act;
pub mod calls;
pub mod cloudformation;
pub mod cut;
pub mod ec2;
pub mod github;
pub mod peers;
#[path = "../../../tests/support/server.rs"]
pub mod server;
pub mod ssm;
pub mod stacks;
pub mod standing;
pub mod status;
pub mod templates;
pub mod wait;
pub mod world;
