//! The least that an instance's role must be allowed for a configuration, as an IAM policy.

mod resources;

use std::collections::BTreeSet;

use serde::Serialize;
use serde_json::{Value, json};

pub use resources::Place;

use super::ecr::LOGIN_ACTION;
use super::parameters::{GET_ACTION, PUT_ACTION, SECRETS_MANAGER};
use crate::config::{Config, ValueSource};

/// Characters that all inline policies of a role may have together, blanks not counted.
pub const INLINE_LIMIT: usize = 10_240;

/// An IAM policy.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct IamPolicy {
    version: &'static str,
    statement: Vec<Statement>,
}

/// What is allowed on what.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "PascalCase")]
struct Statement {
    sid: &'static str,
    effect: &'static str,
    action: Vec<&'static str>,
    resource: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    condition: Option<Value>,
}

/// The policy of an instance that runs this configuration. Statements that
/// would name no resource are left out.
#[must_use]
pub fn instance_policy(config: &Config, place: &Place) -> IamPolicy {
    let (mut parameters, mut secrets) = (BTreeSet::new(), BTreeSet::new());
    for value in config.values() {
        let name = match &value.from {
            ValueSource::Ssm(name) => name.clone(),
            ValueSource::SecretsManager { id, .. } => format!("{SECRETS_MANAGER}{id}"),
            _ => continue,
        };
        secrets.extend(name.strip_prefix(SECRETS_MANAGER).map(|id| place.secret(id)));
        parameters.insert(place.parameter(&name));
    }
    let report = config.report_parameter.iter().map(|name| place.parameter(&place.pattern(name)));
    let repositories = repositories(config, place);
    let login = if repositories.is_empty() { BTreeSet::new() } else { anything() };
    let keys = place.kms_keys.iter().cloned().collect();
    let via = decrypting_services(place, !secrets.is_empty());
    let statements = [
        // Values that the configuration names, secrets among them: read through the parameter store only.
        allow("ReadParameters", &[GET_ACTION], parameters),
        // The parameter store reads a secret in the name of the role.
        allow("ReadSecrets", &["secretsmanager:GetSecretValue"], secrets),
        // Only on behalf of the two stores, never of a process that calls KMS itself.
        Statement { condition: Some(via), ..allow("DecryptValues", &["kms:Decrypt"], keys) },
        // The status, and no other parameter.
        allow("WriteStatus", &[PUT_ACTION], report.collect()),
        // A login knows no repository: this action takes no resource.
        allow("EcrLogin", &[LOGIN_ACTION], login),
        // What the engine asks ECR for with that login.
        allow(
            "EcrPull",
            &["ecr:BatchCheckLayerAvailability", "ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer"],
            repositories,
        ),
        // The SSM Agent tells that the instance is there. None of its actions takes a resource of use.
        allow("SsmAgentRegisters", &["ssm:UpdateInstanceInformation"], anything()),
        // Session Manager, port forwarding, and Run Command of newer SSM Agents.
        allow(
            "SsmAgentChannels",
            &[
                "ssmmessages:CreateControlChannel",
                "ssmmessages:CreateDataChannel",
                "ssmmessages:OpenControlChannel",
                "ssmmessages:OpenDataChannel",
            ],
            anything(),
        ),
        // Run Command where the SSM Agent does not use the channels for it.
        allow(
            "SsmAgentCommands",
            &[
                "ec2messages:AcknowledgeMessage",
                "ec2messages:DeleteMessage",
                "ec2messages:FailMessage",
                "ec2messages:GetEndpoint",
                "ec2messages:GetMessages",
                "ec2messages:SendReply",
            ],
            anything(),
        ),
    ];
    let statement = statements.into_iter().filter(|statement| !statement.resource.is_empty()).collect();
    IamPolicy { version: "2012-10-17", statement }
}

impl IamPolicy {
    /// Characters as IAM counts them.
    #[must_use]
    pub fn size(&self) -> usize {
        json!(self).to_string().len()
    }
}

fn allow(sid: &'static str, action: &[&'static str], resource: BTreeSet<String>) -> Statement {
    let (action, resource) = (action.to_vec(), resource.into_iter().collect());
    Statement { sid, effect: "Allow", action, resource, condition: None }
}

fn anything() -> BTreeSet<String> {
    BTreeSet::from(["*".to_owned()])
}

/// The ECR repositories that the agent logs into by itself.
fn repositories(config: &Config, place: &Place) -> BTreeSet<String> {
    let jobs = config.jobs.iter().chain(&config.migrate).filter_map(|job| job.image.as_ref());
    jobs.chain([&config.image]).filter_map(|name| place.repository(name, config)).collect()
}

/// The condition that a key serves the stores only.
fn decrypting_services(place: &Place, secrets: bool) -> Value {
    let domain = if place.partition == "aws-cn" { "amazonaws.com.cn" } else { "amazonaws.com" };
    let stores: &[&str] = if secrets { &["ssm", "secretsmanager"] } else { &["ssm"] };
    let hosts: Vec<String> =
        stores.iter().map(|store| format!("{store}.{}.{domain}", place.region)).collect();
    json!({"StringLike": {"kms:ViaService": hosts}})
}
