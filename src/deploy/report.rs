//! What the status says of where the agent runs, and the parameter it goes to.

use std::sync::Arc;

use super::Agent;
use super::facts::Facts;
use crate::aws::Aws;
use crate::config::Config;
use crate::status::parameter::{Pace, Parameter, SendError};
use crate::status::{self, Reporter};

/// Tells the instance and the deployment's own id.
pub(super) fn tell_instance(reporter: &Reporter, facts: &Facts, config: &Config) {
    let deployment = config.deployment_id.as_ref().and_then(|text| facts.expand(text).ok());
    reporter.update(|document| {
        document.run.deployment = deployment;
        if let Ok(Some(instance)) = &facts.instance {
            document.instance = status::Instance {
                id: Some(instance.id.clone()),
                region: Some(instance.region.clone()),
                az: instance.availability_zone.clone(),
                kind: instance.instance_type.clone(),
                private_ip: instance.private_ip.map(|ip| ip.to_string()),
                public_ip: instance.public_ip.map(|ip| ip.to_string()),
            };
        }
    });
}

/// Connects the status to its parameter. Reporting never fails a deployment:
/// what is in the way is noted and the run goes on.
pub(super) fn connect_parameter(agent: &mut Agent, config: &Config, facts: &Facts) {
    let Some(text) = &config.report_parameter else { return };
    let name = facts.expand(text).map_err(|unknown| unknown.to_string());
    let aws = facts.aws.as_ref().map_err(ToString::to_string);
    match name.and_then(|name| aws.map(|aws| (name, aws))) {
        Ok((name, _)) if agent.parameter.as_ref() == Some(&name) => {}
        Ok((name, aws)) => {
            agent.reporter.attach_parameter(parameter_sender(aws, &name, agent.policy.report));
            agent.parameter = Some(name);
        }
        Err(words) => {
            tracing::warn!(reason = %agent.redactor.apply(&words), "the status parameter cannot be written");
            agent.reporter.update(|document| document.notes.push(format!("no status parameter: {words}")));
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
