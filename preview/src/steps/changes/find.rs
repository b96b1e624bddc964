//! The stack and the change set that a command is about.

use super::stack_job::StackJob;
use crate::aws::{ChangeSet, Stack};
use crate::steps::failure::Failure;

/// The stack of this name or ARN.
pub(super) async fn stack(job: &StackJob, name: &str) -> Result<Stack, Failure> {
    let stack = job.aws.stack(name).await?;
    stack.ok_or_else(|| Failure::new(format!("{} has no stack {name}", job.aws.region)))
}

/// A change set of this stack, by name or ARN.
pub(super) async fn change_set(job: &StackJob, stack: &str, name: &str) -> Result<ChangeSet, Failure> {
    let Some(set) = job.aws.change_set(stack, name).await? else {
        let failure = Failure::new(format!("{stack} has no change set {name}"));
        return Err(failure.hint(
            "Where another one was applied meanwhile, AWS has deleted it: `preview changes create` makes a new one.",
        ));
    };
    // An ARN is found whatever stack is named beside it, and some peers find names across stacks.
    if set.stack != stack && set.stack_id != stack {
        return Err(Failure::new(format!(
            "the change set {name} is of the stack {}, not of {stack}",
            set.stack
        )));
    }
    Ok(set)
}
