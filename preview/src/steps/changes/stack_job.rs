//! What the commands on stacks have at hand.

use preview_agent::redact::Redactor;

use crate::aws::Aws;
use crate::output::Output;
use crate::settings::Variables;

/// One run of a command on a stack.
#[derive(Debug)]
pub struct StackJob {
    /// AWS.
    pub aws: Aws,
    /// The environment.
    pub variables: Variables,
    /// The way out.
    pub output: Output,
    /// Masks secrets in all output.
    pub redactor: Redactor,
}
