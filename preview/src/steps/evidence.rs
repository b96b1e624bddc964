//! Fetches logs that explain a failure: from the instance, else its console.

use preview_agent::status::{Class, Code, Document};

use super::job::Job;
use crate::aws::AwsError;
use crate::report::Evidence;

/// The document of packaging/ssm/logs.yaml.
const LOGS: &str = "PreviewAgent-Logs";
/// Number of lines to fetch.
const LINES: &str = "60";
/// Most bytes of the console's output.
const CONSOLE: usize = 6_000;

impl Job {
    /// The log of the failed part, by Run Command; if there is none, the console.
    pub(super) async fn evidence(&self, instance: &str, document: Option<&Document>) -> Vec<Evidence> {
        let source = document.map_or("agent", source);
        let bootstrapped = document.is_some_and(|document| !is_bootstrap(document));
        let mut found = Vec::new();
        if bootstrapped {
            match self.logs_of(instance, source).await {
                Ok(text) if !text.trim().is_empty() => {
                    // Before anything is cut: the redactor does not know half a secret.
                    let text = self.redactor.apply(&text).into_owned();
                    found.push(Evidence { from: format!("agent logs {source}"), text });
                    return found;
                }
                Ok(_) => {}
                Err(error) => self.output.warn(&format!("no logs from the instance: {error}")),
            }
        }
        match self.aws.console(instance).await {
            Ok(text) if !text.trim().is_empty() => {
                let text = self.redactor.apply(&text);
                let start = text.ceil_char_boundary(text.len().saturating_sub(CONSOLE));
                found.push(Evidence {
                    from: format!("console of {instance}"),
                    text: text[start..].to_owned(),
                });
            }
            Ok(_) => self.output.say("the instance's console is empty (so far)"),
            Err(error) => self.output.warn(&format!("no console output: {error}")),
        }
        found
    }

    /// The newest lines of one of the agent's logs.
    ///
    /// # Errors
    /// The instance did not answer.
    pub(super) async fn logs_of(&self, instance: &str, source: &str) -> Result<String, AwsError> {
        let parameters = [("Source", source), ("Lines", LINES)];
        Ok(self.aws.run_command(instance, LOGS, &parameters).await?.text)
    }
}

fn is_bootstrap(document: &Document) -> bool {
    document.fault.as_ref().is_some_and(|fault| fault.code == Code::BootstrapFailed)
}

/// The log that explains this failure best.
fn source(document: &Document) -> &'static str {
    match document.fault.as_ref().map(|fault| fault.class) {
        Some(Class::Migration | Class::Database) => "migrate",
        Some(Class::Build) => "build",
        Some(Class::App) => "app",
        _ => "agent",
    }
}
