//! `preview changes`: its commands and their options.

use std::time::Duration;

use clap::{Args, Subcommand};
use preview_agent::cli::exit;
use preview_agent::redact::Redactor;

use crate::aws::Aws;
use crate::changes::Wish;
use crate::output::Output;
use crate::pace::Pace;
use crate::settings::Variables;
use crate::steps::Failure;
use crate::steps::changes::{self, Apply, Back, Create, Form, StackJob};

/// What can be asked for.
#[derive(Debug, Subcommand)]
pub enum Changes {
    /// Have a change set made and show it; nothing is applied
    Create(New),
    /// Show what a change set would do; ends with 5 where `apply` would refuse
    Show {
        /// The stack
        stack: String,
        /// The change set, by name or ARN; else the newest
        change_set: Option<String>,
        #[command(flatten)]
        allow: Allow,
        /// Write Markdown, for a pull request
        #[arg(long, conflicts_with = "json")]
        markdown: bool,
    },
    /// Apply a change set that was reviewed, and stay until it has ended
    Apply {
        /// The stack
        stack: String,
        /// The change set, by ARN or name
        change_set: String,
        #[command(flatten)]
        allow: Allow,
        /// Only if this is the fingerprint of it, as the review has it
        #[arg(long, value_name = "FINGERPRINT")]
        reviewed: Option<String>,
        /// Ask nobody
        #[arg(long)]
        yes: bool,
        /// Leave what fails as it is, in place of going back
        #[arg(long)]
        no_rollback: bool,
        /// Minutes to stay
        #[arg(long, default_value_t = 60, value_parser = clap::value_parser!(u64).range(1..=720))]
        minutes: u64,
    },
    /// Have a change set made that leads back to an earlier image; nothing is applied
    Rollback {
        /// The stack
        stack: String,
        /// The image
        #[arg(long, value_name = "IMAGE", required_unless_present = "steps", conflicts_with = "steps", value_parser = image)]
        to: Option<String>,
        /// The image so many before the one that runs
        #[arg(long, value_name = "NUMBER", value_parser = clap::value_parser!(u8).range(1..))]
        steps: Option<u8>,
        #[command(flatten)]
        allow: Allow,
    },
    /// List the images that a stack ran
    History {
        /// The stack
        stack: String,
    },
    /// Come back to what goes on with a stack
    Watch {
        /// The stack
        stack: String,
        /// Minutes to stay
        #[arg(long, default_value_t = 60, value_parser = clap::value_parser!(u64).range(1..=720))]
        minutes: u64,
    },
}

/// A new change set.
#[derive(Debug, Args)]
pub struct New {
    /// The stack; one that is not there is made
    stack: String,
    /// A file or an S3 URL; else the template that the stack has
    #[arg(long, value_name = "FILE")]
    template: Option<String>,
    /// Give a parameter another value than it has; may be repeated
    #[arg(long, value_name = "KEY=VALUE")]
    set: Vec<String>,
    /// Give it the value of an environment variable, as a secret wants it; may be repeated
    #[arg(long, value_name = "KEY=VARIABLE")]
    set_from: Vec<String>,
    /// Let the template make roles (CAPABILITY_IAM, CAPABILITY_NAMED_IAM) or use macros (CAPABILITY_AUTO_EXPAND)
    #[arg(long, value_name = "NAME")]
    capability: Vec<String>,
    /// Take the image's tag as it is, and not the digest that it stands for now
    #[arg(long)]
    keep_tag: bool,
    #[command(flatten)]
    allow: Allow,
}

/// What is let through.
#[derive(Debug, Args)]
pub struct Allow {
    /// Let through what is refused of this resource; may be repeated
    #[arg(long = "allow", value_name = "LOGICAL-ID")]
    ids: Vec<String>,
}

/// What somebody wants of the parameters.
fn wishes(set: &[String], set_from: &[String], variables: &Variables) -> Result<Vec<Wish>, Failure> {
    let usage = |message: String| Failure { code: exit::USAGE, ..Failure::new(message) };
    let split = |option: &str, text: &str| match text.split_once('=') {
        Some((key, value)) if !key.is_empty() => Ok((key.to_owned(), value.to_owned())),
        // What stands there instead may be a secret.
        _ => Err(usage(format!("{option} takes a parameter's name, an equals sign and what it gets"))),
    };
    let mut wishes = Vec::new();
    for text in set {
        let (key, value) = split("--set", text)?;
        wishes.push(Wish { key, value });
    }
    for text in set_from {
        let (key, name) = split("--set-from", text)?;
        let value = variables.get(&name).ok_or_else(|| usage(format!("{name} is not set")))?;
        wishes.push(Wish { key, value: value.to_owned() });
    }
    Ok(wishes)
}

/// An image; the parameter takes any text, and would take a task definition's ARN as well.
fn image(text: &str) -> Result<String, String> {
    if text.is_empty() || text.starts_with("arn:") || text.contains(char::is_whitespace) {
        return Err("expected an image, as in REGISTRY/NAME:TAG or NAME@sha256:…".to_owned());
    }
    Ok(text.to_owned())
}

impl Changes {
    /// Runs it.
    ///
    /// # Errors
    /// Why it failed.
    pub(super) async fn run(self, output: &Output, redactor: Redactor, pace: Pace) -> Result<u8, Failure> {
        let aws = Aws::connect(pace).await;
        let job = StackJob { aws, variables: Variables::from_env(), output: output.clone(), redactor };
        let minutes = |minutes: u64| Duration::from_secs(minutes * 60);
        match self {
            Self::Create(new) => {
                let New { stack, template, set, set_from, capability, keep_tag, allow } = new;
                let asked = Create {
                    stack: named(stack)?,
                    template,
                    wishes: wishes(&set, &set_from, &job.variables)?,
                    capabilities: capability,
                    allowed: allow.ids,
                    resolve: !keep_tag,
                    purpose: "deploy",
                };
                changes::create(&job, &asked).await
            }
            Self::Show { stack, change_set, allow, markdown } => {
                let form = if markdown { Form::Markdown } else { Form::Text };
                changes::show(&job, &named(stack)?, change_set.as_deref(), &allow.ids, form).await
            }
            Self::Apply { stack, change_set, allow, reviewed, yes, no_rollback, minutes: limit } => {
                let asked = Apply {
                    stack: named(stack)?,
                    change_set,
                    allowed: allow.ids,
                    reviewed,
                    yes,
                    keep_failed: no_rollback,
                    limit: minutes(limit),
                };
                changes::apply(&job, &asked).await
            }
            Self::Rollback { stack, to, steps, allow } => {
                let back = match (to, steps) {
                    (Some(image), _) => Back::To(image),
                    (None, steps) => Back::Steps(steps.unwrap_or(1).into()),
                };
                changes::rollback(&job, &named(stack)?, &back, &allow.ids).await
            }
            Self::History { stack } => changes::history(&job, &named(stack)?).await,
            Self::Watch { stack, minutes: limit } => {
                changes::watch(&job, &named(stack)?, minutes(limit)).await
            }
        }
    }
}

/// A name that an empty variable of a workflow is not: AWS takes that for all stacks.
fn named(stack: String) -> Result<String, Failure> {
    if stack.trim().is_empty() {
        return Err(Failure { code: exit::USAGE, ..Failure::new("which stack? Say its name") });
    }
    Ok(stack)
}
