//! `preview-agent` turns a bare EC2 instance into a running FastAPI deployment
//! and says, at every moment, in one line, what state it is in and whose fault it is.
//!
//! One boot: [`cli`] parses the command line; [`config`] reads and checks
//! `config.yaml`; [`deploy`] resolves its values and takes the phases in order
//! (image and database side by side, jobs, migration, start, health); [`status`]
//! reports each step to a file, an SSM parameter and systemd; [`supervise`]
//! watches what serves afterwards. [`install`] makes the executable a service
//! of the machine, once, before all that. [`docker`], [`postgres`], [`aws`] and [`github`]
//! are the adapters to the outside and never know of each other or of a phase;
//! [`retry`], [`redact`], [`files`] and [`cause`] lie below them all.

pub mod aws;
pub mod cause;
pub mod cli;
pub mod config;
pub mod deploy;
pub mod docker;
pub mod files;
pub mod github;
pub mod install;
pub mod postgres;
pub mod probe;
pub mod redact;
pub mod retry;
pub mod state;
pub mod status;
pub mod supervise;
