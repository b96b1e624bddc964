//! Run Command: runs the agent's own documents on an instance.

use preview_agent::aws::AwsError;
use tokio::time::{Instant, sleep};

use super::client::Aws;
use super::error::{failed, is, permitted};

/// The output of a command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Output {
    /// Standard output, with standard error in it.
    pub text: String,
    /// The exit code of the document's script.
    pub code: i32,
}

/// Seconds that SSM keeps a command for an instance that does not fetch it: the least it allows.
const DELIVERY: i32 = 30;

impl Aws {
    /// Runs a document on an instance and waits until it has ended.
    ///
    /// # Errors
    /// The SSM Agent is not registered, the document does not exist, or the command did not end in time.
    pub async fn run_command(
        &self,
        instance: &str,
        document: &str,
        parameters: &[(&str, &str)],
    ) -> Result<Output, AwsError> {
        let id = self.send_command(instance, document, parameters).await?;
        let operation = "ssm:GetCommandInvocation";
        let begun = Instant::now();
        loop {
            let answer =
                self.ssm()?.get_command_invocation().command_id(&id).instance_id(instance).send().await;
            match answer {
                Ok(answer) => {
                    let state = answer.status().map(|status| status.as_str().to_owned()).unwrap_or_default();
                    if !["Pending", "InProgress", "Delayed"].contains(&state.as_str()) {
                        let text = answer.standard_output_content().unwrap_or_default();
                        let error = answer.standard_error_content().unwrap_or_default();
                        let text = if text.trim().is_empty() { error } else { text };
                        return Ok(Output { text: text.to_owned(), code: answer.response_code() });
                    }
                }
                Err(error) => match failed(operation, &self.region, instance, &error) {
                    // The command was sent a moment ago.
                    error if is(&error, "InvocationDoesNotExist") => {}
                    error => return Err(error),
                },
            }
            if begun.elapsed() > self.pace.command {
                return Err(AwsError::Unreachable {
                    operation,
                    endpoint: format!("the SSM Agent of {instance}"),
                    reason: format!("{document} did not end within {} s", self.pace.command.as_secs()),
                });
            }
            sleep(self.pace.pause).await;
        }
    }

    /// Whether the caller may read the output of commands: asks for one that does not exist.
    ///
    /// # Errors
    /// It may not, or AWS did not answer.
    pub async fn may_read_commands(&self) -> Result<(), AwsError> {
        let request = self.ssm()?.get_command_invocation().command_id("00000000-0000-0000-0000-000000000000");
        let answer = request.instance_id("i-00000000000000000").send().await;
        answer.map(drop).or_else(|e| permitted(failed("ssm:GetCommandInvocation", &self.region, "*", &e)))
    }

    async fn send_command(
        &self,
        instance: &str,
        document: &str,
        parameters: &[(&str, &str)],
    ) -> Result<String, AwsError> {
        let operation = "ssm:SendCommand";
        let begun = Instant::now();
        loop {
            let mut request = self
                .ssm()?
                .send_command()
                .document_name(document)
                .instance_ids(instance)
                .timeout_seconds(DELIVERY);
            for (name, value) in parameters {
                request = request.parameters(*name, vec![(*value).to_owned()]);
            }
            match request.send().await {
                Ok(answer) => {
                    let id = answer.command().and_then(|command| command.command_id());
                    return Ok(id.unwrap_or_default().to_owned());
                }
                Err(error) => match failed(operation, &self.region, document, &error) {
                    // AWS uses one code for an agent that is not up yet and for one of another account.
                    error if is(&error, "InvalidInstanceId") && begun.elapsed() < self.pace.command => {}
                    error if is(&error, "InvalidInstanceId") => {
                        return Err(AwsError::Unreachable {
                            operation,
                            endpoint: format!("the SSM Agent of {instance}"),
                            reason: "it is not registered (yet)".to_owned(),
                        });
                    }
                    error => return Err(error),
                },
            }
            sleep(self.pace.pause).await;
        }
    }
}
