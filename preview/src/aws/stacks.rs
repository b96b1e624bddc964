//! Stacks of CloudFormation: how they stand, and what their templates want.

use aws_sdk_cloudformation::types::{Capability, Tag};
use preview_agent::aws::AwsError;

use super::change_sets::Template;
use super::client::Aws;
use super::error::failed;

/// A stack.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stack {
    /// Its ARN.
    pub id: String,
    /// Its name.
    pub name: String,
    /// How it stands.
    pub status: Status,
    /// Why.
    pub reason: Option<String>,
    /// The values of its parameters; AWS masks those that are not to be shown.
    pub parameters: Vec<(String, String)>,
    /// What it was allowed to make.
    pub capabilities: Vec<String>,
    /// Its tags.
    pub tags: Vec<(String, String)>,
}

/// A stack's status in AWS's word, as in `UPDATE_COMPLETE`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Status(String);

/// What a new change set of a stack would be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// The stack's creation.
    Create,
    /// A change to what is there.
    Update,
    /// Nothing while something else goes on.
    Busy,
    /// Nothing: its creation failed, and AWS lets it be deleted only.
    Delete,
    /// Nothing until its way back is gone to the end.
    ContinueRollback,
}

impl Status {
    /// The word.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether what is going on has yet to end. Cleaning up after an update that is done does not count.
    #[must_use]
    pub fn goes_on(&self) -> bool {
        self.0.ends_with("_IN_PROGRESS") && self.0 != "REVIEW_IN_PROGRESS" && !self.is_good()
    }

    /// Whether what was asked for is there.
    #[must_use]
    pub fn is_good(&self) -> bool {
        let good =
            ["CREATE_COMPLETE", "UPDATE_COMPLETE", "IMPORT_COMPLETE", "UPDATE_COMPLETE_CLEANUP_IN_PROGRESS"];
        good.contains(&self.0.as_str())
    }

    /// What a new change set would be.
    #[must_use]
    pub fn way(&self) -> Way {
        match self.0.as_str() {
            "REVIEW_IN_PROGRESS" | "DELETE_COMPLETE" => Way::Create,
            "ROLLBACK_COMPLETE" | "ROLLBACK_FAILED" | "DELETE_FAILED" => Way::Delete,
            "UPDATE_ROLLBACK_FAILED" => Way::ContinueRollback,
            word if word.ends_with("_IN_PROGRESS") => Way::Busy,
            _ => Way::Update,
        }
    }
}

impl From<&str> for Status {
    fn from(word: &str) -> Self {
        Self(word.to_owned())
    }
}

/// A parameter that a template declares.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Declared {
    /// Its name.
    pub key: String,
    /// AWS's type, as in `String`.
    pub kind: String,
    /// Whether it has a default.
    pub has_default: bool,
    /// Whether its value is not to be shown.
    pub no_echo: bool,
}

/// What a template wants.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Summary {
    /// Its parameters.
    pub parameters: Vec<Declared>,
    /// What it has to be allowed, as in `CAPABILITY_IAM`.
    pub capabilities: Vec<String>,
}

impl Aws {
    /// A stack by its name or ARN; `None` where there is none.
    ///
    /// # Errors
    /// No answer, or no right to one.
    pub async fn stack(&self, name: &str) -> Result<Option<Stack>, AwsError> {
        let answer = self.cloudformation()?.describe_stacks().stack_name(name).send().await;
        let answer = match answer {
            Ok(answer) => answer,
            Err(error) => match failed("cloudformation:DescribeStacks", &self.region, name, &error) {
                AwsError::Rejected { message, .. } if message.contains("does not exist") => return Ok(None),
                error => return Err(error),
            },
        };
        let Some(stack) = answer.stacks().first() else { return Ok(None) };
        let text = |value: Option<&str>| value.filter(|it| !it.is_empty()).map(str::to_owned);
        let parameters = stack.parameters().iter();
        let parameters = parameters
            .filter_map(|it| Some((it.parameter_key()?.to_owned(), it.parameter_value()?.to_owned())));
        let tags = stack.tags().iter().filter_map(|it| Some((it.key()?.to_owned(), it.value()?.to_owned())));
        Ok(Some(Stack {
            id: text(stack.stack_id()).unwrap_or_else(|| name.to_owned()),
            name: text(stack.stack_name()).unwrap_or_else(|| name.to_owned()),
            status: stack.stack_status().map_or("", |status| status.as_str()).into(),
            reason: text(stack.stack_status_reason()),
            parameters: parameters.collect(),
            capabilities: stack.capabilities().iter().map(|it| it.as_str().to_owned()).collect(),
            tags: tags.collect(),
        }))
    }

    /// What a template wants: the given one, else the stack's own.
    ///
    /// # Errors
    /// It is no template, no answer, or no right to one.
    pub async fn summary(&self, stack: &str, template: &Template) -> Result<Summary, AwsError> {
        let request = self.cloudformation()?.get_template_summary();
        let request = match template {
            Template::Previous => request.stack_name(stack),
            Template::Body(text) => request.template_body(text),
            Template::Url(url) => request.template_url(url),
        };
        let answer = request.send().await;
        let answer =
            answer.map_err(|e| failed("cloudformation:GetTemplateSummary", &self.region, stack, &e))?;
        let declared = answer.parameters().iter().filter_map(|it| {
            Some(Declared {
                key: it.parameter_key()?.to_owned(),
                kind: it.parameter_type().unwrap_or("String").to_owned(),
                has_default: it.default_value().is_some(),
                no_echo: it.no_echo() == Some(true),
            })
        });
        Ok(Summary {
            parameters: declared.collect(),
            capabilities: answer.capabilities().iter().map(|it| it.as_str().to_owned()).collect(),
        })
    }
}

pub(super) fn tag((key, value): &(String, String)) -> Tag {
    Tag::builder().key(key).value(value).build()
}

pub(super) fn capability(name: &str) -> Capability {
    name.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_new_change_set_would_be_follows_from_the_status() {
        for (word, way) in [
            ("REVIEW_IN_PROGRESS", Way::Create),
            ("CREATE_COMPLETE", Way::Update),
            ("UPDATE_COMPLETE", Way::Update),
            ("UPDATE_ROLLBACK_COMPLETE", Way::Update),
            ("IMPORT_ROLLBACK_COMPLETE", Way::Update),
            ("CREATE_FAILED", Way::Update),
            ("UPDATE_FAILED", Way::Update),
            ("CREATE_IN_PROGRESS", Way::Busy),
            ("UPDATE_COMPLETE_CLEANUP_IN_PROGRESS", Way::Busy),
            ("UPDATE_ROLLBACK_IN_PROGRESS", Way::Busy),
            ("DELETE_IN_PROGRESS", Way::Busy),
            ("ROLLBACK_COMPLETE", Way::Delete),
            ("ROLLBACK_FAILED", Way::Delete),
            ("DELETE_FAILED", Way::Delete),
            ("DELETE_COMPLETE", Way::Create),
            ("UPDATE_ROLLBACK_FAILED", Way::ContinueRollback),
        ] {
            assert_eq!(Status::from(word).way(), way, "{word}");
        }
    }

    #[test]
    fn cleaning_up_is_a_good_end() {
        for (word, goes_on, good) in [
            ("UPDATE_COMPLETE_CLEANUP_IN_PROGRESS", false, true),
            ("UPDATE_ROLLBACK_COMPLETE_CLEANUP_IN_PROGRESS", true, false),
            ("UPDATE_IN_PROGRESS", true, false),
            ("REVIEW_IN_PROGRESS", false, false),
            ("UPDATE_ROLLBACK_COMPLETE", false, false),
            ("CREATE_COMPLETE", false, true),
        ] {
            let status = Status::from(word);
            assert_eq!((status.goes_on(), status.is_good()), (goes_on, good), "{word}");
        }
    }
}
