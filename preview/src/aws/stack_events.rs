//! What happens to a stack: its events, and why a change set of it is not valid.

use aws_sdk_cloudformation::types::{EventType, StackEvent};
use preview_agent::aws::AwsError;
use preview_agent::status::Timestamp;

use super::client::Aws;
use super::error::failed;
use super::stacks::Status;

/// The most events that are kept of one stack; AWS keeps them for 90 days.
const MOST: usize = 20_000;

/// One event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// Its id.
    pub id: String,
    /// When.
    pub at: Option<Timestamp>,
    /// The stack's ARN.
    pub stack: String,
    /// The resource's logical id; the stack's name where it is of the stack itself.
    pub resource: String,
    /// The resource's id or ARN.
    pub physical: String,
    /// Its type.
    pub kind: String,
    /// AWS's word, as in `UPDATE_FAILED`.
    pub status: String,
    /// Why.
    pub reason: Option<String>,
    /// The properties that it is made with, as JSON.
    pub properties: Option<String>,
    /// The token of the request that it comes from.
    pub token: Option<String>,
}

impl Event {
    /// Whether it is of the stack itself.
    #[must_use]
    pub fn is_of_stack(&self) -> bool {
        self.physical == self.stack
    }

    /// Where to stop on the way back through the events: before what is older than the last beginning.
    pub fn back_to_the_start() -> impl FnMut(&Self) -> bool {
        let mut is_begun = false;
        move |event| {
            let is_older = is_begun;
            is_begun |= event.is_start();
            is_older
        }
    }

    /// Whether what was asked of the stack is there with it.
    #[must_use]
    pub fn is_good_end(&self) -> bool {
        self.is_of_stack() && Status::from(self.status.as_str()).is_good()
    }

    /// Whether something begins with it that was asked for, and is no way back.
    #[must_use]
    pub fn is_start(&self) -> bool {
        let starts = ["CREATE_IN_PROGRESS", "UPDATE_IN_PROGRESS", "IMPORT_IN_PROGRESS", "DELETE_IN_PROGRESS"];
        self.is_of_stack() && starts.contains(&self.status.as_str())
    }
}

/// Why a change set is not valid.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Validation {
    /// Where in the template, as in `/Resources/Bucket/Properties/BucketName`.
    pub path: Option<String>,
    /// The resource.
    pub resource: Option<String>,
    /// What is wrong.
    pub reason: String,
}

impl Aws {
    /// The events of a stack, the oldest first, from the newest back to the one that `stop` knows, which is
    /// not among them.
    ///
    /// # Errors
    /// No answer, or no right to one.
    pub async fn events(
        &self,
        stack: &str,
        mut stop: impl FnMut(&Event) -> bool,
    ) -> Result<Vec<Event>, AwsError> {
        let (mut all, mut next) = (Vec::new(), None);
        'pages: loop {
            let request =
                self.cloudformation()?.describe_stack_events().stack_name(stack).set_next_token(next);
            let answer = request.send().await;
            let answer =
                answer.map_err(|e| failed("cloudformation:DescribeStackEvents", &self.region, stack, &e))?;
            for event in answer.stack_events().iter().map(read) {
                if stop(&event) || all.len() >= MOST {
                    break 'pages;
                }
                all.push(event);
            }
            next = answer.next_token().filter(|token| !token.is_empty()).map(str::to_owned);
            if next.is_none() {
                break;
            }
        }
        all.reverse();
        Ok(all)
    }

    /// The id of the newest event of a stack.
    ///
    /// # Errors
    /// No answer, or no right to one.
    pub async fn newest_event(&self, stack: &str) -> Result<Option<String>, AwsError> {
        let request = self.cloudformation()?.describe_stack_events().stack_name(stack);
        let answer = request.send().await;
        let answer =
            answer.map_err(|e| failed("cloudformation:DescribeStackEvents", &self.region, stack, &e))?;
        Ok(answer.stack_events().first().and_then(|event| event.event_id()).map(str::to_owned))
    }

    /// What AWS found when it checked a change set.
    ///
    /// # Errors
    /// No answer, or no right to one.
    pub async fn validations(&self, change_set: &str) -> Result<Vec<Validation>, AwsError> {
        let (mut all, mut next) = (Vec::new(), None);
        loop {
            let request = self.cloudformation()?.describe_events().change_set_name(change_set);
            let answer = request.set_next_token(next).send().await;
            let answer =
                answer.map_err(|e| failed("cloudformation:DescribeEvents", &self.region, change_set, &e))?;
            let wrong = answer.operation_events().iter();
            let wrong = wrong.filter(|event| event.event_type() == Some(&EventType::ValidationError));
            all.extend(wrong.filter_map(|event| {
                Some(Validation {
                    path: event.validation_path().map(str::to_owned),
                    resource: event.logical_resource_id().map(str::to_owned),
                    reason: event.validation_status_reason()?.to_owned(),
                })
            }));
            next = answer.next_token().filter(|token| !token.is_empty()).map(str::to_owned);
            if next.is_none() {
                return Ok(all);
            }
        }
    }
}

fn read(event: &StackEvent) -> Event {
    let text = |value: Option<&str>| value.unwrap_or_default().to_owned();
    let said = |value: Option<&str>| value.filter(|it| !it.is_empty()).map(str::to_owned);
    let at = event.timestamp().and_then(|at| std::time::SystemTime::try_from(*at).ok());
    Event {
        id: text(event.event_id()),
        at: at.map(Timestamp::from),
        stack: text(event.stack_id()),
        resource: text(event.logical_resource_id()),
        physical: text(event.physical_resource_id()),
        kind: text(event.resource_type()),
        status: event.resource_status().map_or_else(String::new, |status| status.as_str().to_owned()),
        reason: said(event.resource_status_reason()),
        properties: said(event.resource_properties()),
        token: said(event.client_request_token()),
    }
}
