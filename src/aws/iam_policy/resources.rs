//! What a configuration names, as ARNs.

use super::super::parameters::SECRETS_MANAGER;
use crate::config::{Config, ImageReference, Text, TextPart};

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

impl Place {
    /// The ARN of a parameter, without the version or label that its name may end in.
    pub(super) fn parameter(&self, name: &str) -> String {
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
    pub(super) fn secret(&self, id: &str) -> String {
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
    pub(super) fn repository(&self, name: &Text, config: &Config) -> Option<String> {
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
    pub(super) fn pattern(&self, text: &Text) -> String {
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
}

/// A secret's name or ARN without the version or stage that may follow it.
fn without_stage(id: &str) -> &str {
    let colons = if id.starts_with("arn:") { 6 } else { 0 };
    id.match_indices(':').nth(colons).map_or(id, |(at, _)| &id[..at])
}
