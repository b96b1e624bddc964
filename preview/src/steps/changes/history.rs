//! `preview changes history` and `rollback`: the images that a stack ran, and the way back to one.

use preview_agent::cli::exit;
use serde_json::json;

use super::create::{Create, create};
use super::stack_job::StackJob;
use super::{find, record};
use crate::aws::Stack;
use crate::changes::{Ran, Wish, history as merged, of_events};
use crate::steps::failure::Failure;

/// Where to go back to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Back {
    /// This image.
    To(String),
    /// The image so many before the one that runs.
    Steps(usize),
}

/// Lists the images that a stack ran, the newest first.
///
/// # Errors
/// There is no such stack, or AWS did not answer.
pub async fn history(job: &StackJob, stack: &str) -> Result<u8, Failure> {
    let stack = find::stack(job, stack).await?;
    let all = known(job, &stack).await?;
    if job.output.json {
        job.output.print(&json!({ "stack": stack.name, "images": all }).to_string());
        return Ok(exit::OK);
    }
    for (i, ran) in all.iter().rev().enumerate() {
        let at = ran.at.map_or_else(|| "-".to_owned(), |at| at.to_string());
        let way = if i == 0 { "now".to_owned() } else { format!("--steps {i}") };
        job.output.say(&format!("{at:20}  {way:10}  {}", ran.image));
    }
    Ok(exit::OK)
}

/// Has a change set made that leads back to an earlier image, and shows it. The template stays that of the stack.
///
/// # Errors
/// There is no such image, or what [`create`] ends in.
pub async fn rollback(job: &StackJob, stack: &str, back: &Back, allowed: &[String]) -> Result<u8, Failure> {
    let found = find::stack(job, stack).await?;
    let Some(key) = crate::changes::image_parameter(&found.parameters) else {
        return Err(Failure::new(format!("{stack} has no parameter that is known to name its image"))
            .hint(format!("preview changes create {stack} --set PARAMETER=IMAGE")));
    };
    let image = match back {
        Back::To(image) => image.clone(),
        Back::Steps(steps) => {
            let all = known(job, &found).await?;
            let before = all.len().checked_sub(1 + steps).and_then(|i| all.get(i));
            let before = before.ok_or_else(|| {
                Failure::new(format!("{stack} is not known to have run {steps} images before this one"))
                    .hint("Say which: --to IMAGE")
            })?;
            before.image.clone()
        }
    };
    job.output.say(&format!("back to {image}"));
    let asked = Create {
        stack: found.name.clone(),
        template: None,
        wishes: vec![Wish { key: key.to_owned(), value: image }],
        capabilities: Vec::new(),
        allowed: allowed.to_vec(),
        // What ran before is meant as it was.
        resolve: false,
        purpose: "rollback",
    };
    create(job, &asked).await
}

/// All images that are known, the oldest first.
async fn known(job: &StackJob, stack: &Stack) -> Result<Vec<Ran>, Failure> {
    let now = record::image(stack).ok_or_else(|| {
        Failure::new(format!("{} has no parameter that is known to name its image", stack.name))
    })?;
    let records = match record::read(job, &stack.name).await {
        Ok(records) => records,
        Err(error) => {
            job.output.warn(&format!("what was applied is not known: {error}"));
            Vec::new()
        }
    };
    let events = job.aws.events(&stack.id, |_| false).await?;
    Ok(merged(&records, &of_events(&events, now), now))
}
