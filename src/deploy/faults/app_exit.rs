//! What the end of the application means.

use super::output_patterns;
use crate::docker::ExitStatus;
use crate::status::{Class, Code, Fault};

/// Exit code of what SIGKILL has ended: 128 and the signal's number.
pub const SIGKILLED: i64 = 137;

/// The fault of an application that ended; `then` is what came of it.
#[must_use]
pub fn app_exited(exit: ExitStatus, tail: &str, then: &str) -> Fault {
    let code =
        if exit.out_of_memory { Code::AppOomKilled } else { cause_in(tail).unwrap_or(Code::AppExited) };
    // Nobody has a last word on a signal that kills at once.
    let last =
        if exit.code == SIGKILLED { String::new() } else { format!(": {}", output_patterns::key_line(tail)) };
    let memory = if exit.out_of_memory { ", out of memory" } else { "" };
    let message = format!("the application ended with exit code {}{memory}{then}{last}", exit.code);
    Fault::new(code, message).with_tail(tail)
}

/// A cause outside the application that its output names: the database, or a missing table.
#[must_use]
pub fn cause_in(tail: &str) -> Option<Code> {
    output_patterns::code_in(tail)
        .filter(|code| code.class() == Class::Database || *code == Code::RelationMissing)
}
