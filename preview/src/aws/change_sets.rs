//! Change sets: made, read, executed, deleted.

use aws_sdk_cloudformation::types::{ChangeSetType, Parameter};
use preview_agent::aws::AwsError;

use super::change_set::{Change, ChangeSet};
use super::client::Aws;
use super::described::read;
use super::error::{failed, is};
use super::stacks::{capability, tag};

/// Nested stacks deeper than this count as hidden.
const DEPTH: usize = 5;

/// A change set that is to be made.
pub struct NewChangeSet<'a> {
    /// The stack.
    pub stack: &'a str,
    /// Its name, never used before.
    pub name: &'a str,
    /// Whether the stack is made by it.
    pub kind: Kind,
    /// The template.
    pub template: &'a Template,
    /// What each parameter gets.
    pub parameters: &'a [(String, Given)],
    /// What the template may make.
    pub capabilities: &'a [String],
    /// The stack's tags.
    pub tags: &'a [(String, String)],
}

/// Whether a change set makes its stack.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// It does.
    Create,
    /// It changes the one that is there.
    Update,
}

/// Where a template comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Template {
    /// The one that the stack has.
    Previous,
    /// This text.
    Body(String),
    /// An object in S3.
    Url(String),
}

/// What a parameter gets. `Debug` shows no value.
#[derive(Clone, PartialEq, Eq)]
pub enum Given {
    /// The value that it has.
    Previous,
    /// This value.
    Value(String),
}

impl std::fmt::Debug for Given {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(if matches!(self, Self::Previous) { "Previous" } else { "Value(…)" })
    }
}

impl Aws {
    /// Has a change set made, which takes a while; its ARN, or its name where an answer was lost.
    ///
    /// # Errors
    /// Why not.
    pub async fn make_change_set(&self, new: &NewChangeSet<'_>) -> Result<String, AwsError> {
        let request = self.cloudformation()?.create_change_set();
        let request = match new.template {
            Template::Previous => request.use_previous_template(true),
            Template::Body(text) => request.template_body(text),
            Template::Url(url) => request.template_url(url),
        };
        let parameters = new.parameters.iter().map(|(key, given)| {
            let parameter = Parameter::builder().parameter_key(key);
            match given {
                Given::Previous => parameter.use_previous_value(true),
                Given::Value(value) => parameter.parameter_value(value),
            }
            .build()
        });
        let request = request
            .stack_name(new.stack)
            .change_set_name(new.name)
            .client_token(new.name)
            .change_set_type(match new.kind {
                Kind::Create => ChangeSetType::Create,
                Kind::Update => ChangeSetType::Update,
            })
            // What would change in them is hidden otherwise.
            .include_nested_stacks(true)
            .set_parameters(Some(parameters.collect()))
            .set_capabilities(Some(new.capabilities.iter().map(|name| capability(name)).collect()))
            .set_tags(Some(new.tags.iter().map(tag).collect()));
        match request.send().await {
            Ok(answer) => Ok(answer.id().unwrap_or(new.name).to_owned()),
            Err(error) => match failed("cloudformation:CreateChangeSet", &self.region, new.stack, &error) {
                // Nobody else's name is the same: the first try was heard.
                error if is(&error, "AlreadyExistsException") => Ok(new.name.to_owned()),
                error => Err(error),
            },
        }
    }

    /// A change set with all its changes, those in nested stacks included; `None` where there is none.
    ///
    /// # Errors
    /// No answer, or no right to one.
    pub async fn change_set(&self, stack: &str, name: &str) -> Result<Option<ChangeSet>, AwsError> {
        let Some(mut set) = self.all_pages(stack, name).await? else { return Ok(None) };
        let mut open: Vec<(String, String, usize)> = nested(&set.changes, "", 1);
        while let Some((prefix, id, depth)) = open.pop() {
            let Some(inner) = self.all_pages("", &id).await? else { continue };
            open.extend(nested(&inner.changes, &prefix, depth + 1));
            set.changes.extend(
                inner
                    .changes
                    .into_iter()
                    .map(|change| Change { id: format!("{prefix}{}", change.id), ..change }),
            );
        }
        set.changes.sort_by(|a, b| a.id.cmp(&b.id));
        Ok(Some(set))
    }

    async fn all_pages(&self, stack: &str, name: &str) -> Result<Option<ChangeSet>, AwsError> {
        let stack = Some(stack).filter(|stack| !stack.is_empty()).map(str::to_owned);
        let (mut all, mut next) = (None::<ChangeSet>, None);
        loop {
            let request = self.cloudformation()?.describe_change_set().set_stack_name(stack.clone());
            let request = request.change_set_name(name).include_property_values(true).set_next_token(next);
            let answer = match request.send().await {
                Ok(answer) => answer,
                Err(error) => match failed("cloudformation:DescribeChangeSet", &self.region, name, &error) {
                    error if no_change_set(&error) => return Ok(None),
                    error => return Err(error),
                },
            };
            let page = read(&answer);
            match &mut all {
                None => all = Some(page),
                Some(all) => all.changes.extend(page.changes),
            }
            next = answer.next_token().filter(|token| !token.is_empty()).map(str::to_owned);
            if next.is_none() {
                return Ok(all);
            }
        }
    }

    /// The newest change set of a stack that can be executed: its ARN.
    ///
    /// # Errors
    /// No answer, or no right to one.
    pub async fn newest_change_set(&self, stack: &str) -> Result<Option<String>, AwsError> {
        let (mut newest, mut next) = (None, None);
        loop {
            let request = self.cloudformation()?.list_change_sets().stack_name(stack).set_next_token(next);
            let answer = request.send().await;
            let answer =
                answer.map_err(|e| failed("cloudformation:ListChangeSets", &self.region, stack, &e))?;
            for set in answer.summaries() {
                let available = set.execution_status().is_some_and(|it| it.as_str() == "AVAILABLE");
                let (Some(id), Some(at)) = (set.change_set_id(), set.creation_time()) else { continue };
                if available && newest.as_ref().is_none_or(|(_, newest)| at > newest) {
                    newest = Some((id.to_owned(), *at));
                }
            }
            next = answer.next_token().filter(|token| !token.is_empty()).map(str::to_owned);
            if next.is_none() {
                return Ok(newest.map(|(id, _)| id));
            }
        }
    }

    /// Executes a change set. The token is what tells a second try from a second execution.
    ///
    /// # Errors
    /// Why not.
    pub async fn execute_change_set(&self, id: &str, token: &str, keep_failed: bool) -> Result<(), AwsError> {
        let request = self.cloudformation()?.execute_change_set().change_set_name(id);
        let request = request.client_request_token(token);
        let request = if keep_failed { request.disable_rollback(true) } else { request };
        let answer = request.send().await;
        answer.map(drop).map_err(|e| failed("cloudformation:ExecuteChangeSet", &self.region, id, &e))
    }

    /// Deletes a change set; one that is gone already is no failure.
    ///
    /// # Errors
    /// Why not.
    pub async fn delete_change_set(&self, id: &str) -> Result<(), AwsError> {
        match self.cloudformation()?.delete_change_set().change_set_name(id).send().await {
            Ok(_) => Ok(()),
            Err(error) => match failed("cloudformation:DeleteChangeSet", &self.region, id, &error) {
                error if no_change_set(&error) => Ok(()),
                error => Err(error),
            },
        }
    }
}

fn no_change_set(error: &AwsError) -> bool {
    is(error, "ChangeSetNotFound")
}

/// The change sets of nested stacks that are to be read, each with what stands before its resources' ids.
fn nested(changes: &[Change], prefix: &str, depth: usize) -> Vec<(String, String, usize)> {
    let of = |change: &Change| Some((format!("{prefix}{}/", change.id), change.nested.clone()?, depth));
    if depth > DEPTH { Vec::new() } else { changes.iter().filter_map(of).collect() }
}
