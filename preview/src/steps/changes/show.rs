//! `preview changes show`: what a change set would do, and whether it would be applied.

use preview_agent::cli::exit;
use serde_json::{Value, json};

use super::stack_job::StackJob;
use super::{REFUSED, find};
use crate::aws::{ChangeSet, Execution, Making};
use crate::changes::Review;
use crate::steps::failure::Failure;

/// How a review is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// For a terminal.
    Text,
    /// For a pull request.
    Markdown,
}

/// Shows a change set, the newest one where none is named.
///
/// # Errors
/// There is none, or AWS did not answer.
pub async fn show(
    job: &StackJob,
    stack: &str,
    name: Option<&str>,
    allowed: &[String],
    form: Form,
) -> Result<u8, Failure> {
    let name = match name {
        Some(name) => name.to_owned(),
        None => job.aws.newest_change_set(stack).await?.ok_or_else(|| {
            Failure::new(format!("{stack} has no change set to review"))
                .hint(format!("`preview changes create {stack}` makes one."))
        })?,
    };
    let set = find::change_set(job, stack, &name).await?;
    let review = Review::new(&set, allowed);
    match form {
        Form::Markdown => job.output.print(&review.markdown()),
        Form::Text if job.output.json => job.output.print(&document(&set, &review).to_string()),
        Form::Text => tell(job, &review),
    }
    job.output.summary(&review.markdown());
    // What was applied can be looked at.
    let is_history = matches!(set.execution, Execution::Going | Execution::Done);
    let applicable = applicable(&set);
    if let Err(failure) = &applicable {
        job.output.warn(&failure.text());
    }
    let would_apply = review.refused.is_empty() && (applicable.is_ok() || is_history);
    Ok(if would_apply { exit::OK } else { REFUSED })
}

/// Line by line.
pub(super) fn tell(job: &StackJob, review: &Review) {
    for line in review.lines() {
        job.output.say(&line);
    }
}

/// The review as JSON, with what is made of it.
pub(super) fn document(set: &ChangeSet, review: &Review) -> Value {
    let refused = review.refused.iter();
    let refused = refused.map(|it| json!({ "id": it.id, "type": it.kind, "why": it.why.to_string() }));
    json!({
        "review": review.page, "refused": refused.collect::<Vec<_>>(), "reviewed": review.fingerprint(),
        "applicable": applicable(set).is_ok(),
    })
}

/// Whether a change set can be applied at all.
pub(super) fn applicable(set: &ChangeSet) -> Result<(), Failure> {
    let failure = |message: String| Err(Failure::new(message));
    let again = "`preview changes create` makes a new one.";
    let reason = set.reason.as_deref().unwrap_or("AWS does not say why");
    match (set.making, set.execution) {
        (Making::Going, _) => failure(format!("the change set {} is still being made", set.name)),
        (Making::Failed, _) => failure(format!("the change set {} could not be made: {reason}", set.name)),
        (Making::Gone, _) => failure(format!("the change set {} is deleted", set.name)),
        (_, Execution::Available) => Ok(()),
        (_, Execution::Obsolete) => Err(Failure::new(format!(
            "the change set {} is obsolete: another one was applied since it was made",
            set.name
        ))
        .hint(again)),
        (_, Execution::Going) => failure(format!("the change set {} is being applied", set.name)),
        (_, Execution::Done) => failure(format!("the change set {} was applied already", set.name)),
        (_, Execution::Failed) => {
            Err(Failure::new(format!("the change set {} was applied, and that failed", set.name)).hint(again))
        }
        (_, Execution::Unavailable) => {
            failure(format!("the change set {} cannot be applied: {reason}", set.name))
        }
    }
}
