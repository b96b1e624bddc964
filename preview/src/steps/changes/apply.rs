//! `preview changes apply`: executes what was reviewed, that and nothing else, and stays until it has ended.

use std::io::{BufRead as _, IsTerminal as _};
use std::time::Duration;

use preview_agent::cli::exit;

use super::follow::{Since, follow, goes_on, outcome, until_stopped};
use super::stack_job::StackJob;
use super::{REFUSED, find, record, show};
use crate::aws::{ChangeSet, Execution};
use crate::changes::Review;
use crate::steps::failure::Failure;

/// What is asked for.
#[derive(Debug, Clone)]
pub struct Apply {
    /// The stack.
    pub stack: String,
    /// The change set, by ARN or name.
    pub change_set: String,
    /// Refused changes that are allowed, by logical id.
    pub allowed: Vec<String>,
    /// The fingerprint of what was reviewed.
    pub reviewed: Option<String>,
    /// Nobody is asked.
    pub yes: bool,
    /// What fails is left as it is.
    pub keep_failed: bool,
    /// How long to stay.
    pub limit: Duration,
}

/// Applies a change set.
///
/// # Errors
/// It is not what was reviewed, it is refused, or the update failed.
pub async fn apply(job: &StackJob, asked: &Apply) -> Result<u8, Failure> {
    let set = find::change_set(job, &asked.stack, &asked.change_set).await?;
    if set.execution == Execution::Going {
        job.output.say(&format!("the change set {} is being applied already", set.name));
        let work = follow(job, &set.stack_id, Since::Start, None, asked.limit);
        return until_stopped(job, &set.stack, work).await;
    }
    if set.execution == Execution::Done {
        // A job that is run again.
        outcome(job, &set.stack, "applied", &format!("the change set {} was applied already", set.name));
        return Ok(exit::OK);
    }
    show::applicable(&set)?;
    let review = Review::new(&set, &asked.allowed);
    show::tell(job, &review);
    reviewed(&review, asked)?;
    if !asked.yes {
        confirmed(&set)?;
    }
    until_stopped(job, &set.stack, execute(job, asked, &set, &review)).await
}

/// Executes what was shown, and follows it.
async fn execute(job: &StackJob, asked: &Apply, set: &ChangeSet, review: &Review) -> Result<u8, Failure> {
    // It may have taken its time to be read.
    let again = find::change_set(job, &asked.stack, &set.id).await?;
    // Somebody was faster meanwhile.
    if matches!(again.execution, Execution::Going | Execution::Done) {
        return follow(job, &set.stack_id, Since::Start, None, asked.limit).await;
    }
    show::applicable(&again)?;
    if Review::new(&again, &asked.allowed).fingerprint() != review.fingerprint() {
        return Err(Failure::new("the change set is no longer what was shown"));
    }
    let before = job.aws.stack(&set.stack_id).await?;
    let before = before.as_ref().and_then(record::image);
    let newest = job.aws.newest_event(&set.stack_id).await?;
    match job.aws.execute_change_set(&set.id, &token(set), asked.keep_failed).await {
        Ok(()) => job.output.say(&format!("applying {}", set.id)),
        // Answers that were lost, or somebody who was faster.
        Err(error) => match find::change_set(job, &asked.stack, &set.id).await {
            Ok(now) if matches!(now.execution, Execution::Going | Execution::Done | Execution::Failed) => {}
            Ok(_) => return Err(error.into()),
            Err(_) => return Err(Failure::from(error).hint(goes_on(&set.stack))),
        },
    }
    follow(job, &set.stack_id, Since::Event(newest), before, asked.limit).await
}

/// Whether it is what was reviewed, and all that is refused was allowed.
fn reviewed(review: &Review, asked: &Apply) -> Result<(), Failure> {
    let own = review.fingerprint();
    if asked.reviewed.as_ref().is_some_and(|reviewed| *reviewed != own) {
        return Err(Failure::new(format!("this is not what was reviewed: its fingerprint is {own}"))
            .hint("Review it as it is now: `preview changes show`."));
    }
    if review.refused.is_empty() {
        return Ok(());
    }
    let refused: Vec<&str> = review.refused.iter().map(|it| it.id.as_str()).collect();
    let allow: Vec<String> = refused.iter().map(|id| format!("--allow {id}")).collect();
    Err(Failure {
        code: REFUSED,
        ..Failure::new(format!("nothing is applied: {} refused", refused.join(", ")))
            .hint(format!("Where it is meant, say {}.", allow.join(" ")))
    })
}

/// Has a person type the stack's name.
fn confirmed(set: &ChangeSet) -> Result<(), Failure> {
    if !std::io::stdin().is_terminal() {
        return Err(Failure::new("nobody is there to be asked")
            .hint("Say --yes, best with --reviewed and the fingerprint of the review."));
    }
    eprint_prompt(&set.stack);
    let mut line = String::new();
    let read = std::io::stdin().lock().read_line(&mut line);
    match read {
        Ok(_) if line.trim() == set.stack => Ok(()),
        _ => Err(Failure::new("nothing is applied: that is not the stack's name")),
    }
}

fn eprint_prompt(stack: &str) {
    use std::io::Write as _;
    let mut err = std::io::stderr();
    write!(err, "Type the stack's name ({stack}) to apply this: ").ok();
    err.flush().ok();
}

/// The same for every try at this very set, so that AWS takes them for one.
fn token(set: &ChangeSet) -> String {
    let digest = ring::digest::digest(&ring::digest::SHA256, set.id.as_bytes());
    let digits: String = digest.as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
    format!("preview-{}", &digits[..32])
}
