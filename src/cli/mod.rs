//! The command line: one file per command, each command struct owns its `run()`.

pub mod bounded;
mod check;
mod command_line;
mod completions;
pub mod exit;
mod help_text;
mod iam_policy;
mod install;
mod logging;
pub mod logs;
mod man;
mod output;
mod reload;
mod run;
pub mod status;
mod stderr;
pub mod style;
mod uninstall;

pub use check::Check;
pub use command_line::Cli;
pub use completions::Completions;
pub use iam_policy::IamPolicy;
pub use install::Install;
pub use logs::{Logs, Source};
pub use man::Man;
pub use reload::Reload;
pub use run::Run;
pub use status::Status;
pub use uninstall::Uninstall;
