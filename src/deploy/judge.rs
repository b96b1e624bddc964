//! What the end of a job means: done, worth another try, or final.

use super::desired::Job;
use super::start::SIGKILLED;
use super::store::Spent;
use super::words;
use crate::docker::ExitStatus;
use crate::redact::output::Tail;
use crate::retry::Verdict;
use crate::status::{Code, Fault};

/// The revisions before the first step of a migration and after its last.
/// Before the very first revision there is none.
pub type Moved = (Option<String>, String);

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
    let message =
        format!("all {} tries were used before the agent was restarted: {}", spent.count, spent.message);
    Fault::new(spent.code, message).after(spent.count)
}

/// What a job's end means.
///
/// # Errors
/// The fault, final where trying again cannot help.
pub(super) fn judge(job: &Job, ended: Ended) -> Result<Option<Moved>, Verdict<Fault>> {
    let Ended { exit, tail, moved } = ended;
    if exit.code == 0 && !exit.out_of_memory {
        return Ok(moved);
    }
    let text = tail.text();
    let meaning = match words::meaning(&text) {
        // What a shell ends with when a command is not there (POSIX, section 2.8.2).
        None if exit.code == 127 => Some(Code::MigrationCommandMissing),
        meaning => meaning,
    };
    let code = match meaning {
        _ if exit.out_of_memory => Code::AppOomKilled,
        Some(Code::MigrationCommandMissing) => command_missing(job),
        Some(code) => code,
        None => job_code(job),
    };
    let (name, code_of_exit, telling) = (&job.name, exit.code, words::telling(&text));
    let message = match exit.code {
        _ if exit.out_of_memory => format!("{name} ended with exit code {code_of_exit}, out of memory"),
        SIGKILLED => {
            format!("{name} was killed from outside (exit code {SIGKILLED}); its last output: {telling}")
        }
        _ => format!("{name} ended with exit code {code_of_exit}: {telling}"),
    };
    let fault = Fault::new(code, message).with_tail(text);
    if meaning.is_some_and(words::is_final) { Err(Verdict::Final(fault)) } else { Err(Verdict::Again(fault)) }
}

fn job_code(job: &Job) -> Code {
    if job.name == "migrate" { Code::MigrationFailed } else { Code::JobFailed }
}

/// The fault of a command that is not in the image.
pub(super) fn command_missing(job: &Job) -> Code {
    if job.name == "migrate" { Code::MigrationCommandMissing } else { Code::JobFailed }
}
