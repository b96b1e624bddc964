//! The SSM parameter that receives the status, connected once its name and the way to AWS are known.

use std::sync::Arc;

use super::agent::Agent;
use super::plan::Environment;
use crate::aws::Aws;
use crate::config::Config;
use crate::status::parameter::{Pace, Parameter, SendError};

/// Connects the status to its parameter. Reporting never fails a deployment:
/// what is in the way is noted and the run goes on.
pub(super) fn connect(agent: &mut Agent, config: &Config, environment: &Environment) {
    let Some(text) = &config.report_parameter else { return };
    let name = environment.expand(text).map_err(|unknown| unknown.to_string());
    let aws = environment.aws.as_ref().map_err(ToString::to_string);
    match name.and_then(|name| aws.map(|aws| (name, aws))) {
        Ok((name, _)) if agent.parameter.as_ref() == Some(&name) => {}
        Ok((name, aws)) => {
            agent.reporter.attach_parameter(parameter_sender(aws, &name, agent.timings.report));
            agent.parameter = Some(name);
        }
        Err(words) => {
            tracing::warn!(reason = %agent.redactor.apply(&words), "the status parameter cannot be written");
            agent.reporter.update(|report| report.note(format!("no status parameter: {words}")));
        }
    }
}

/// What writes the status to the parameter with this name.
#[must_use]
pub fn parameter_sender(aws: &Aws, name: &str, pace: Pace) -> Parameter {
    let parameters = Arc::new(aws.parameters());
    let name: Arc<str> = name.into();
    Parameter::spawn(pace, move |json: String| {
        let (parameters, name) = (Arc::clone(&parameters), Arc::clone(&name));
        async move {
            let sent = parameters.put(&name, &json).await;
            sent.map_err(|error| SendError { retryable: error.retryable(), message: error.to_string() })
        }
    })
}
