//! Follows a stack until it has ended, and shows each event.

use std::time::Duration;

use preview_agent::cli::exit;
use serde_json::json;
use tokio::time::{Instant, sleep};

use super::stack_job::StackJob;
use super::why::why;
use super::{find, record};
use crate::aws::{AwsError, Event, Status};
use crate::steps::failure::Failure;
use crate::steps::finish::stop_signal;

/// The first event to show.
#[derive(Debug, Clone)]
pub(super) enum Since {
    /// From the last time that something was asked of the stack.
    Start,
    /// After the event of this id; from the first where there was none.
    Event(Option<String>),
}

/// Waits until a stack has ended what goes on with it, and reports the outcome.
///
/// # Errors
/// There is no such stack, or it failed.
pub async fn watch(job: &StackJob, stack: &str, limit: Duration) -> Result<u8, Failure> {
    let stack = find::stack(job, stack).await?;
    let work = follow(job, &stack.id, Since::Start, None, limit);
    until_stopped(job, &stack.name, work).await
}

/// Does this until a signal ends it; what AWS has begun goes on.
pub(super) async fn until_stopped(
    job: &StackJob,
    stack: &str,
    work: impl Future<Output = Result<u8, Failure>>,
) -> Result<u8, Failure> {
    tokio::select! {
        end = work => end,
        () = stop_signal() => {
            outcome(job, stack, "cancelled", &format!("stopped. {}", goes_on(stack)));
            Ok(130)
        }
    }
}

/// How to come back to what was begun.
pub(super) fn goes_on(stack: &str) -> String {
    format!("What AWS has begun goes on by itself; `preview changes watch {stack}` comes back to it")
}

/// Shows each event until the stack has ended, or to the limit, which ends this command and nothing else.
/// `before` is the image that ran until now, if that is known.
pub(super) async fn follow(
    job: &StackJob,
    stack: &str,
    since: Since,
    before: Option<&str>,
    limit: Duration,
) -> Result<u8, Failure> {
    let name = stack.split('/').nth(1).unwrap_or(stack);
    let mut events = Vec::new();
    let end = to_the_end(job, stack, since, limit, &mut events).await;
    match end {
        Ok(Some(status)) => {
            if status.is_good() {
                // By AWS's clock, as its events are.
                let since = events.iter().find(|event| event.is_good_end()).and_then(|event| event.at);
                record::write(job, stack, before, since).await;
            }
            ended(job, name, &status, &events).await
        }
        Ok(None) => {
            let line = format!("not done within {} min. {}", limit.as_secs() / 60, goes_on(name));
            outcome(job, name, "going", &line);
            Ok(exit::IN_PROGRESS)
        }
        Err(error) => {
            let failure = Failure::from(error);
            let hint = failure.hint.clone().unwrap_or_default();
            Err(failure.hint(format!("{hint} {}.", goes_on(name)).trim_start().to_owned()))
        }
    }
}

/// The status at the end, or `None` at the limit.
async fn to_the_end(
    job: &StackJob,
    stack: &str,
    mut since: Since,
    limit: Duration,
    events: &mut Vec<Event>,
) -> Result<Option<Status>, AwsError> {
    let (begun, (mut wait, longest)) = (Instant::now(), job.aws.pace.stack);
    loop {
        match look(job, stack, &since, events).await {
            Ok(Some(status)) => return Ok(Some(status)),
            Ok(None) => {}
            // Throttled, or away for a moment.
            Err(error) if error.retryable() && !matches!(error, AwsError::Credentials { .. }) => {}
            Err(error) => return Err(error),
        }
        if let Some(newest) = events.last() {
            since = Since::Event(Some(newest.id.clone()));
        }
        if begun.elapsed() >= limit {
            return Ok(None);
        }
        sleep(wait).await;
        wait = (wait * 2).min(longest);
    }
}

/// Tells what is new; the status, if it has ended.
async fn look(
    job: &StackJob,
    stack: &str,
    since: &Since,
    events: &mut Vec<Event>,
) -> Result<Option<Status>, AwsError> {
    let mut back = Event::back_to_the_start();
    let new = job.aws.events(stack, |event| match since {
        Since::Event(id) => id.as_deref() == Some(event.id.as_str()),
        Since::Start => back(event),
    });
    for event in new.await? {
        job.output.say(&line(&event));
        events.push(event);
    }
    let own = events.iter().rev().find(|event| event.is_of_stack());
    let Some(status) = own.map(|event| Status::from(event.status.as_str())) else { return Ok(None) };
    if status.goes_on() {
        return Ok(None);
    }
    // What was asked for a moment ago may have no event yet.
    let now = job.aws.stack(stack).await?.map(|stack| stack.status);
    Ok(if now.is_some_and(|now| now.goes_on()) { None } else { Some(status) })
}

fn line(event: &Event) -> String {
    let at = event.at.map(|at| at.to_string()).unwrap_or_default();
    let time = at.get(11..).unwrap_or_default();
    let reason = event.reason.as_ref().map(|reason| format!("  {reason}")).unwrap_or_default();
    format!("{time}  {}  {}  {}{reason}", event.status, event.resource, event.kind)
}

/// How it ended, with the reason where that is no good end.
async fn ended(job: &StackJob, name: &str, status: &Status, events: &[Event]) -> Result<u8, Failure> {
    let word = status.as_str();
    if status.is_good() || word == "DELETE_COMPLETE" {
        outcome(job, name, "applied", &format!("{name} is {word}"));
        return Ok(exit::OK);
    }
    if word == "REVIEW_IN_PROGRESS" {
        outcome(job, name, "reviewed", &format!("nothing was applied to {name} yet"));
        return Ok(exit::OK);
    }
    Err(why(job, name, word, events).await)
}

/// Says how a command ended, also to later steps of the workflow.
pub(super) fn outcome(job: &StackJob, stack: &str, word: &str, line: &str) {
    job.output.say(line);
    job.output.values(&[("outcome", word)]);
    if job.output.json {
        let document = json!({ "outcome": word, "stack": stack, "message": line });
        job.output.print(&document.to_string());
    }
}
