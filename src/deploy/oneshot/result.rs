//! What the end of a one-shot container means: done, worth another try, or final.

use super::super::faults::{SIGKILLED, output_patterns, sql_errors};
use crate::config::{Job, JobKind};
use crate::docker::ExitStatus;
use crate::postgres::Revisions;
use crate::redact::output::Tail;
use crate::retry::Verdict;
use crate::state::Spent;
use crate::status::{Code, Fault};

/// The revisions of a database before the first step of a migration and after its last.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Moved {
    /// `None` before the very first revision.
    pub from: Option<String>,
    /// The newest.
    pub to: String,
}

/// Where the migration has moved the database: by what the database says, else by what alembic printed.
pub(super) fn moved(before: &Revisions, after: &Revisions, printed: Option<Moved>) -> Option<Moved> {
    let text = |revisions: &[String]| revisions.join(", ");
    match (before, after) {
        (Revisions::Unknown(_), _) | (_, Revisions::Unknown(_) | Revisions::None) => printed,
        (before, after) if before == after => None,
        (Revisions::None, Revisions::At(to)) => Some(Moved { from: None, to: text(to) }),
        (Revisions::At(from), Revisions::At(to)) => Some(Moved { from: Some(text(from)), to: text(to) }),
    }
}

/// One try's end.
pub(super) struct Ended {
    /// Its exit.
    pub(super) exit: ExitStatus,
    /// The last of its output.
    pub(super) tail: Tail,
    /// The revisions it moved through.
    pub(super) moved: Option<Moved>,
}

/// The fault of a job whose tries were used up before a restart.
pub(super) fn used_up(spent: &Spent) -> Fault {
    let message = format!("all {} tries are used up: {}", spent.count, spent.message);
    Fault::new(spent.code, message).after(spent.count)
}

/// What a job's end means.
///
/// # Errors
/// The fault, final where trying again cannot help.
pub(super) fn outcome(job: &Job, ended: Ended) -> Result<Option<Moved>, Verdict<Fault>> {
    let Ended { exit, tail, moved } = ended;
    if exit.code == 0 && !exit.out_of_memory {
        return Ok(moved);
    }
    let text = tail.text();
    let meaning = match output_patterns::code_in(&text) {
        // What a shell ends with when a command is not there (POSIX, section 2.8.2).
        None if exit.code == 127 => Some(Code::MigrationCommandMissing),
        meaning => meaning,
    };
    let code = match meaning {
        _ if exit.out_of_memory => Code::AppOomKilled,
        Some(Code::MigrationCommandMissing) => command_missing(job.kind),
        Some(code) => code,
        None => failed(job.kind),
    };
    let (name, code_of_exit, line) = (&job.name, exit.code, output_patterns::key_line(&text));
    let message = match exit.code {
        _ if exit.out_of_memory => format!("{name} ended with exit code {code_of_exit}, out of memory"),
        SIGKILLED => {
            format!("{name} was killed from outside (exit code {SIGKILLED}); its last output: {line}")
        }
        _ => format!("{name} ended with exit code {code_of_exit}: {line}"),
    };
    let fault = Fault::new(code, message).with_tail(text);
    if meaning.is_some_and(output_patterns::is_final) || sql_errors::is_hopeless(&fault.tail) {
        Err(Verdict::Final(fault))
    } else {
        Err(Verdict::Again(fault))
    }
}

/// The fault of a job that says nothing more of its failure.
const fn failed(kind: JobKind) -> Code {
    match kind {
        JobKind::Job => Code::JobFailed,
        JobKind::Migration => Code::MigrationFailed,
    }
}

/// The fault of a command that is not in the image.
pub(super) const fn command_missing(kind: JobKind) -> Code {
    match kind {
        JobKind::Job => Code::JobFailed,
        JobKind::Migration => Code::MigrationCommandMissing,
    }
}
