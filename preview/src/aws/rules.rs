//! Ingress rules of a security group.

use std::collections::BTreeMap;

use aws_sdk_ec2::operation::authorize_security_group_ingress::builders::AuthorizeSecurityGroupIngressFluentBuilder;
use aws_sdk_ec2::types::{Filter, IpPermission, IpRange, Ipv6Range, ResourceType, SecurityGroupRule};
use ipnet::IpNet;
use preview_agent::aws::AwsError;

use super::client::Aws;
use super::error::{failed, is, not_there, permitted};
use super::launch::tagged;

/// An existing rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rule {
    /// `sgr-…`
    pub id: String,
    /// Its group.
    pub group: String,
    /// The first port; our rules have one port only.
    pub port: i32,
    /// The admitted network.
    pub from: Option<IpNet>,
    /// Its description.
    pub description: String,
    /// Its tags.
    pub tags: BTreeMap<String, String>,
}

/// A rule to make.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Opening {
    /// The group.
    pub group: String,
    /// The port.
    pub port: u16,
    /// The admitted network.
    pub from: IpNet,
    /// Its description: letters, digits, blanks and `._-:/()#,@[]+=&;{}!$*`.
    pub description: String,
    /// Its tags.
    pub tags: Vec<(String, String)>,
}

impl Aws {
    /// The ingress rules of a group.
    ///
    /// # Errors
    /// No answer, or no permission.
    pub async fn rules(&self, group: &str) -> Result<Vec<Rule>, AwsError> {
        self.described(Filter::builder().name("group-id").values(group).build(), group).await
    }

    /// The ingress rules of all groups whose tag has one of these values.
    ///
    /// # Errors
    /// No answer, or no permission.
    pub async fn tagged_rules(&self, tag: &str, values: &[&str]) -> Result<Vec<Rule>, AwsError> {
        let values = values.iter().map(|value| (*value).to_owned()).collect();
        self.described(Filter::builder().name(format!("tag:{tag}")).set_values(Some(values)).build(), "*")
            .await
    }

    async fn described(&self, filter: Filter, resource: &str) -> Result<Vec<Rule>, AwsError> {
        let operation = "ec2:DescribeSecurityGroupRules";
        let (mut all, mut next) = (Vec::new(), None);
        loop {
            let request =
                self.ec2()?.describe_security_group_rules().filters(filter.clone()).set_next_token(next);
            let answer = request.send().await.map_err(|e| failed(operation, &self.region, resource, &e))?;
            all.extend(answer.security_group_rules().iter().filter_map(read));
            next = answer.next_token().filter(|token| !token.is_empty()).map(str::to_owned);
            if next.is_none() {
                return Ok(all);
            }
        }
    }

    /// Makes a rule and returns it; `None` if another rule admits the network already.
    ///
    /// # Errors
    /// No answer, or AWS refused it.
    pub async fn open(&self, opening: &Opening) -> Result<Option<Rule>, AwsError> {
        let group = &opening.group;
        match self.opening(opening)?.send().await {
            Ok(answer) => Ok(answer.security_group_rules().iter().find_map(read)),
            Err(error) => match failed("ec2:AuthorizeSecurityGroupIngress", &self.region, group, &error) {
                error if is(&error, "InvalidPermission.Duplicate") => Ok(None),
                error => Err(error),
            },
        }
    }

    fn opening(&self, opening: &Opening) -> Result<AuthorizeSecurityGroupIngressFluentBuilder, AwsError> {
        let request = self.ec2()?.authorize_security_group_ingress().group_id(&opening.group);
        let tags = tagged(ResourceType::SecurityGroupRule, &opening.tags);
        Ok(request.ip_permissions(permission(opening)).tag_specifications(tags))
    }

    /// Asks EC2 whether it would allow to make this rule; makes none.
    ///
    /// # Errors
    /// It would not, or did not answer.
    pub async fn may_open(&self, opening: &Opening) -> Result<(), AwsError> {
        let answer = self.opening(opening)?.dry_run(true).send().await;
        let operation = "ec2:AuthorizeSecurityGroupIngress";
        answer.map(drop).or_else(|e| permitted(failed(operation, &self.region, &opening.group, &e)))
    }

    /// Asks EC2 whether it would allow to remove this rule, which need not exist; removes none.
    ///
    /// # Errors
    /// It would not, or did not answer.
    pub async fn may_close(&self, opening: &Opening) -> Result<(), AwsError> {
        let request = self.ec2()?.revoke_security_group_ingress().group_id(&opening.group);
        let answer = request.ip_permissions(permission(opening)).dry_run(true).send().await;
        let operation = "ec2:RevokeSecurityGroupIngress";
        answer.map(drop).or_else(|e| permitted(failed(operation, &self.region, &opening.group, &e)))
    }

    /// Removes a rule; that it is gone already is no error.
    ///
    /// # Errors
    /// No answer, or AWS refused it.
    pub async fn close(&self, rule: &Rule) -> Result<(), AwsError> {
        let request = self.ec2()?.revoke_security_group_ingress().group_id(&rule.group);
        match request.security_group_rule_ids(&rule.id).send().await {
            Ok(_) => Ok(()),
            Err(error) => match failed("ec2:RevokeSecurityGroupIngress", &self.region, &rule.group, &error) {
                error if not_there(&error) => Ok(()),
                error => Err(error),
            },
        }
    }
}

fn permission(opening: &Opening) -> IpPermission {
    let Opening { port, from, description, .. } = opening;
    let permission =
        IpPermission::builder().ip_protocol("tcp").from_port((*port).into()).to_port((*port).into());
    let permission = match from {
        IpNet::V4(net) => {
            permission.ip_ranges(IpRange::builder().cidr_ip(net.to_string()).description(description).build())
        }
        IpNet::V6(net) => permission
            .ipv6_ranges(Ipv6Range::builder().cidr_ipv6(net.to_string()).description(description).build()),
    };
    permission.build()
}

fn read(rule: &SecurityGroupRule) -> Option<Rule> {
    if rule.is_egress() == Some(true) {
        return None;
    }
    let from = rule.cidr_ipv4().or(rule.cidr_ipv6());
    let tags = rule.tags().iter();
    Some(Rule {
        id: rule.security_group_rule_id()?.to_owned(),
        group: rule.group_id()?.to_owned(),
        port: rule.from_port().unwrap_or(-1),
        from: from.and_then(|net| net.parse().ok()),
        description: rule.description().unwrap_or_default().to_owned(),
        tags: tags.filter_map(|tag| Some((tag.key()?.to_owned(), tag.value()?.to_owned()))).collect(),
    })
}
