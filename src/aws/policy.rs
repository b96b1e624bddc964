//! The least that an instance's role must be allowed for a configuration, as an IAM policy.

use std::collections::BTreeSet;

use serde::Serialize;
use serde_json::{Value, json};

use super::SECRETS_MANAGER;
use super::ecr::LOGIN_ACTION;
use super::parameters::{GET_ACTION, PUT_ACTION};
use crate::config::{Config, ImageReference, Text, TextPart, ValueSource};

/// Characters that all inline policies of a role may have together, blanks not counted.
pub const INLINE_LIMIT: usize = 10_240;

/// What stands for a placeholder while an image name is read: right for each
/// part of a name, an account included, and no account, since none is all zeros.
const ANY: &str = "000000000000";

/// Where the resources are; `*` where that is not known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// `aws`, `aws-cn` or `aws-us-gov`.
    pub partition: String,
    /// Region of instance, parameters and secrets.
    pub region: String,
    /// Their account.
    pub account: String,
    /// ARNs of customer managed keys that encrypt parameters or secrets: nothing
    /// in a configuration tells of them. The keys of AWS need no permission.
    pub kms_keys: Vec<String>,
}

/// An IAM policy.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct Policy {
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
pub fn instance_policy(config: &Config, place: &Place) -> Policy {
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
    let via = place.decrypting_services(!secrets.is_empty());
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
    Policy { version: "2012-10-17", statement }
}

impl Policy {
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

impl Place {
    /// The ARN of a parameter, without the version or label that its name may end in.
    fn parameter(&self, name: &str) -> String {
        let Self { partition, region, account, .. } = self;
        if name.starts_with("arn:") {
            return name.split(':').take(6).collect::<Vec<_>>().join(":");
        }
        let path = match name.strip_prefix(SECRETS_MANAGER) {
            Some(id) => format!("{SECRETS_MANAGER}{}", without_stage(id)),
            None => name.split(':').next().unwrap_or(name).to_owned(),
        };
        // What AWS publishes belongs to no account.
        let account = if path.starts_with("/aws/service/") { "" } else { account };
        format!("arn:{partition}:ssm:{region}:{account}:parameter/{}", path.trim_start_matches('/'))
    }

    /// The ARN of a secret. AWS ends it in six random characters, which a name lacks.
    fn secret(&self, id: &str) -> String {
        let Self { partition, region, account, .. } = self;
        let is_complete = |arn: &str| {
            let random = arn.rsplit_once('-').map(|(_, end)| end);
            random.is_some_and(|end| end.len() == 6 && end.bytes().all(|b| b.is_ascii_alphanumeric()))
        };
        match without_stage(id) {
            arn if arn.starts_with("arn:") && is_complete(arn) => arn.to_owned(),
            arn if arn.starts_with("arn:") => format!("{arn}-??????"),
            name => format!("arn:{partition}:secretsmanager:{region}:{account}:secret:{name}-??????"),
        }
    }

    /// The ARN of an image's repository, if the agent logs into its registry with the role.
    fn repository(&self, name: &Text, config: &Config) -> Option<String> {
        let image = ImageReference::parse(&self.expanded(name, ANY)).ok()?;
        let ecr = image.ecr().filter(|_| !config.registries.contains_key(image.registry()))?;
        let arn = format!(
            "arn:{}:ecr:{}:{}:repository/{}",
            self.partition,
            ecr.region,
            ecr.account,
            image.repository()
        );
        Some(arn.replace(ANY, "*"))
    }

    /// A name in which `*` stands for what only the instance knows.
    fn pattern(&self, text: &Text) -> String {
        self.expanded(text, "*")
    }

    fn expanded(&self, text: &Text, any: &str) -> String {
        let part = |part: &TextPart| match part {
            TextPart::Plain(text) => text.clone(),
            TextPart::InstanceRegion if self.region != "*" => self.region.clone(),
            TextPart::InstanceId | TextPart::InstanceRegion | TextPart::InstanceTag(_) => any.to_owned(),
        };
        text.0.iter().map(part).collect()
    }

    fn decrypting_services(&self, secrets: bool) -> Value {
        let domain = if self.partition == "aws-cn" { "amazonaws.com.cn" } else { "amazonaws.com" };
        let stores: &[&str] = if secrets { &["ssm", "secretsmanager"] } else { &["ssm"] };
        let hosts: Vec<String> =
            stores.iter().map(|store| format!("{store}.{}.{domain}", self.region)).collect();
        json!({"StringLike": {"kms:ViaService": hosts}})
    }
}

/// A secret's name or ARN without the version or stage that may follow it.
fn without_stage(id: &str) -> &str {
    let colons = if id.starts_with("arn:") { 6 } else { 0 };
    id.match_indices(':').nth(colons).map_or(id, |(at, _)| &id[..at])
}
