//! What was applied, kept in a parameter: AWS forgets a stack's events after 90 days.

use preview_agent::status::Timestamp;

use super::stack_job::StackJob;
use crate::aws::{AwsError, Stack};
use crate::changes::{Ran, image_parameter, recorded};
use crate::names::changes_record;

/// The image of a stack.
pub(super) fn image(stack: &Stack) -> Option<&str> {
    let key = image_parameter(&stack.parameters)?;
    stack.parameters.iter().find(|(name, _)| name == key).map(|(_, value)| value.as_str())
}

/// What was recorded of a stack, the oldest first; what cannot be read is as good as none.
///
/// # Errors
/// No answer, or no right to one.
pub(super) async fn read(job: &StackJob, stack: &str) -> Result<Vec<Ran>, AwsError> {
    let text = job.aws.parameter(&changes_record(stack)).await?;
    Ok(text.and_then(|text| serde_json::from_str(&text).ok()).unwrap_or_default())
}

/// Records the image that a stack runs since then; that it could not be done does not undo the update.
pub(super) async fn write(job: &StackJob, stack: &str, before: Option<&str>, since: Option<Timestamp>) {
    if let Err(error) = try_to_write(job, stack, before, since).await {
        job.output.warn(&format!("what was applied is not recorded for a rollback: {error}"));
    }
}

async fn try_to_write(
    job: &StackJob,
    stack: &str,
    before: Option<&str>,
    since: Option<Timestamp>,
) -> Result<(), AwsError> {
    let Some(stack) = job.aws.stack(stack).await? else { return Ok(()) };
    let Some(image) = image(&stack) else { return Ok(()) };
    let had = read(job, &stack.name).await?;
    let has = recorded(had.clone(), before, Ran { at: since, image: image.to_owned() });
    if has == had {
        return Ok(());
    }
    let text = serde_json::to_string(&has).unwrap_or_default();
    job.aws.overwrite(&changes_record(&stack.name), &text).await
}
