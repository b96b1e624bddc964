//! Why a stack did not come to what was asked for: the first cause, what its services say, and what to do.

use super::stack_job::StackJob;
use crate::aws::{Event, Said};
use crate::changes::{cause, hint};
use crate::steps::failure::Failure;

/// Nested stacks are asked for a reason down to this depth.
const DEPTH: usize = 5;
/// Most bytes of a service's message.
const SAID: usize = 10;

/// The failure of a stack of this status.
pub(super) async fn why(job: &StackJob, name: &str, status: &str, events: &[Event]) -> Failure {
    let mut message = format!("{name} is {status}");
    let mut reasons = Vec::new();
    if let Some(event) = inner_cause(job, events).await {
        let reason = event.reason.unwrap_or_default();
        message += &format!(": {} ({}) {}: {reason}", event.resource, event.kind, event.status);
        reasons.push(reason);
    }
    // CloudFormation says no more than that a service did not stabilize.
    for said in services_say(job, events).await {
        reasons.push(said.message);
    }
    let remedy = reasons.iter().rev().find_map(|reason| hint(reason)).map(str::to_owned);
    let hints: Vec<String> = [remedy, way_on(name, status)].into_iter().flatten().collect();
    let failure = Failure::new(message);
    if hints.is_empty() { failure } else { failure.hint(hints.join(" ")) }
}

/// What a stack of this status takes before it can be changed again.
fn way_on(name: &str, status: &str) -> Option<String> {
    let command = |what: &str| format!("aws cloudformation {what} --stack-name {name}");
    Some(match status {
        "UPDATE_FAILED" | "CREATE_FAILED" => {
            format!("What failed is left as it is; the way back: {}", command("rollback-stack"))
        }
        "ROLLBACK_COMPLETE" | "ROLLBACK_FAILED" => {
            format!("Before another try: {}", command("delete-stack"))
        }
        "UPDATE_ROLLBACK_FAILED" => {
            format!("The way back failed, too: {}", command("continue-update-rollback"))
        }
        _ => return None,
    })
}

/// The cause; where that is a nested stack, the cause in it.
async fn inner_cause(job: &StackJob, events: &[Event]) -> Option<Event> {
    let mut found = cause(events)?.clone();
    for _ in 0..DEPTH {
        if found.kind != "AWS::CloudFormation::Stack" || found.is_of_stack() || found.physical.is_empty() {
            break;
        }
        let Ok(inner) = job.aws.events(&found.physical, Event::back_to_the_start()).await else { break };
        let Some(cause) = cause(&inner) else { break };
        found = cause.clone();
    }
    Some(found)
}

/// Tells what the services among these resources have said meanwhile, and returns it.
async fn services_say(job: &StackJob, events: &[Event]) -> Vec<Said> {
    let begun = events.first().and_then(|event| event.at);
    let of_service = |event: &&Event| event.kind == "AWS::ECS::Service" && event.physical.starts_with("arn:");
    let mut arns: Vec<&str> = events.iter().filter(of_service).map(|event| event.physical.as_str()).collect();
    arns.sort_unstable();
    arns.dedup();
    let mut all = Vec::new();
    for arn in arns {
        let name = arn.rsplit('/').next().unwrap_or(arn);
        match job.aws.service_says(arn).await {
            Ok(mut said) => {
                said.retain(|it| it.at >= begun);
                said.drain(..said.len().saturating_sub(SAID));
                if !said.is_empty() {
                    job.output.say(&format!("the service {name} says:"));
                    let lines: Vec<&str> = said.iter().map(|it| it.message.as_str()).collect();
                    job.output.quote(&lines.join("\n"));
                }
                all.extend(said);
            }
            Err(error) => job.output.warn(&format!("what the service {name} says is not known: {error}")),
        }
    }
    all
}
