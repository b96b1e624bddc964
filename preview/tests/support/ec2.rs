//! EC2 and STS over the query protocol, strict where moto is not: tokens, tags, descriptions, pages.

use std::collections::BTreeMap;

use super::account::{ACCOUNT, AMI, DB_GROUP, GROUP, Inner, SUBNET};
use super::calls::Fields;

/// An answer, or status, code and message of an error.
pub type Answer = Result<String, (u16, String, String)>;

#[derive(Debug, Clone)]
pub struct Instance {
    pub id: String,
    pub state: &'static str,
    pub reason: Option<(&'static str, &'static str)>,
    pub address: String,
    pub launched: String,
    pub tags: BTreeMap<String, String>,
    pub user_data: String,
    /// Looks so far, and looks since it is ending.
    looks: usize,
    ends: usize,
}

#[derive(Debug, Clone)]
pub struct Rule {
    pub id: String,
    pub group: String,
    pub port: String,
    pub from: String,
    pub description: String,
    pub tags: BTreeMap<String, String>,
}

impl Instance {
    /// One that runs, with these tags.
    pub fn running(id: &str, tags: &[(&str, &str)]) -> Self {
        let tags = tags.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        Self {
            id: id.to_owned(),
            state: "running",
            reason: None,
            address: "127.0.0.1".to_owned(),
            launched: "2099-11-29T10:00:00.000Z".to_owned(),
            tags,
            user_data: String::new(),
            looks: usize::MAX / 2,
            ends: 0,
        }
    }
}

pub fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

fn refused<T>(code: &str, message: impl Into<String>) -> Result<T, (u16, String, String)> {
    Err((400, code.to_owned(), message.into()))
}

/// `Name.1`, `Name.2` and so on.
fn list(fields: &Fields, name: &str) -> Vec<String> {
    (1..).map_while(|i| fields.get(&format!("{name}.{i}")).cloned()).collect()
}

/// `PREFIX.1.Key`, `PREFIX.1.Value` and so on.
fn tags(fields: &Fields, prefix: &str) -> BTreeMap<String, String> {
    (1..)
        .map_while(|i| {
            let of = |part: &str| fields.get(&format!("{prefix}.{i}.{part}")).cloned();
            Some((of("Key")?, of("Value")?))
        })
        .collect()
}

/// The tags that a request gives to what it makes.
fn specified(fields: &Fields, resource: &str) -> BTreeMap<String, String> {
    let i = (1..20).find(|i| {
        fields.get(&format!("TagSpecification.{i}.ResourceType")).is_some_and(|kind| kind == resource)
    });
    i.map(|i| tags(fields, &format!("TagSpecification.{i}.Tag"))).unwrap_or_default()
}

fn tag_set(tags: &BTreeMap<String, String>) -> String {
    let items = tags
        .iter()
        .map(|(k, v)| format!("<item><key>{}</key><value>{}</value></item>", escaped(k), escaped(v)));
    format!("<tagSet>{}</tagSet>", items.collect::<String>())
}

fn respond(action: &str, body: &str) -> String {
    format!(
        "<{action}Response xmlns=\"http://ec2.amazonaws.com/doc/2016-11-15/\"><requestId>r</requestId>{body}</{action}Response>"
    )
}

pub fn answer(inner: &mut Inner, action: &str, fields: &Fields) -> Answer {
    let dry = fields.get("DryRun").is_some_and(|dry| dry == "true");
    // A launch is looked at as a whole before.
    if dry && action != "RunInstances" {
        return rehearsed();
    }
    let body = match action {
        "GetCallerIdentity" => {
            return Ok(format!(
                "<GetCallerIdentityResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><GetCallerIdentityResult>\
                 <Arn>arn:aws:sts::{ACCOUNT}:assumed-role/previews/x</Arn><UserId>A:x</UserId><Account>{ACCOUNT}</Account>\
                 </GetCallerIdentityResult><ResponseMetadata><RequestId>r</RequestId></ResponseMetadata></GetCallerIdentityResponse>"
            ));
        }
        "RunInstances" => run_instances(inner, fields)?,
        "DescribeInstances" => describe_instances(inner, fields)?,
        "TerminateInstances" => terminate(inner, fields)?,
        "GetConsoleOutput" => {
            use base64::Engine as _;
            let output = base64::engine::general_purpose::STANDARD.encode(&inner.console);
            format!("<instanceId>{}</instanceId><output>{output}</output>", fields["InstanceId"])
        }
        "DescribeImages" => image(fields)?,
        "DescribeInstanceTypes" => {
            let name = &fields["InstanceType.1"];
            let architecture = if name.starts_with("t4g.") { "arm64" } else { "x86_64" };
            if !name.starts_with("t3.") && !name.starts_with("t4g.") {
                return refused(
                    "InvalidInstanceType",
                    format!("The following supplied instance types do not exist: [{name}]"),
                );
            }
            format!(
                "<instanceTypeSet><item><instanceType>{name}</instanceType><processorInfo><supportedArchitectures><item>\
                 {architecture}</item></supportedArchitectures></processorInfo></item></instanceTypeSet>"
            )
        }
        "DescribeSubnets" => {
            let id = &fields["SubnetId.1"];
            if id != SUBNET {
                return refused("InvalidSubnetID.NotFound", format!("The subnet ID '{id}' does not exist"));
            }
            format!(
                "<subnetSet><item><subnetId>{id}</subnetId><state>available</state><vpcId>vpc-1</vpcId>\
                 <availableIpAddressCount>250</availableIpAddressCount></item></subnetSet>"
            )
        }
        "DescribeSecurityGroups" => {
            let id = &fields["GroupId.1"];
            if ![GROUP, DB_GROUP, "sg-0other"].contains(&id.as_str()) {
                return refused("InvalidGroup.NotFound", format!("The security group '{id}' does not exist"));
            }
            let vpc = if id == "sg-0other" { "vpc-2" } else { "vpc-1" };
            format!(
                "<securityGroupInfo><item><groupId>{id}</groupId><vpcId>{vpc}</vpcId></item></securityGroupInfo>"
            )
        }
        "AuthorizeSecurityGroupIngress" => authorize(inner, fields)?,
        "DescribeSecurityGroupRules" => describe_rules(inner, fields)?,
        "RevokeSecurityGroupIngress" => {
            for id in list(fields, "SecurityGroupRuleId") {
                let Some(place) = inner.rules.iter().position(|rule| rule.id == id) else {
                    return refused(
                        "InvalidSecurityGroupRuleId.NotFound",
                        format!("The security group rule ID '{id}' does not exist"),
                    );
                };
                inner.rules.remove(place);
            }
            "<return>true</return>".to_owned()
        }
        other => return refused("InvalidAction", other),
    };
    Ok(respond(action, &body))
}

/// The answer to a dry run of what is allowed.
fn rehearsed() -> Answer {
    let message = "Request would have succeeded, but DryRun flag is set.";
    Err((412, "DryRunOperation".to_owned(), message.to_owned()))
}

fn run_instances(inner: &mut Inner, fields: &Fields) -> Answer {
    for resource in ["instance", "volume", "network-interface"] {
        if !specified(fields, resource).contains_key("Purpose") {
            return Err((403, "UnauthorizedOperation".to_owned(), format!("{resource} has no tag Purpose")));
        }
    }
    if !fields["ImageId"].starts_with("ami-") {
        return refused("InvalidAMIID.Malformed", "Invalid id");
    }
    if fields.get("IamInstanceProfile.Name").is_none_or(|name| name.contains('/')) {
        return refused(
            "InvalidParameterValue",
            "Value for parameter iamInstanceProfile.name is invalid. Invalid IAM Instance Profile name",
        );
    }
    if !fields.contains_key("BlockDeviceMapping.1.Ebs.VolumeSize") {
        return refused("MissingParameter", "The request must contain the parameter size or snapshotId");
    }
    if fields.get("DryRun").is_some_and(|dry| dry == "true") {
        return rehearsed();
    }
    let token = fields["ClientToken"].clone();
    if let Some((asked, id)) = inner.tokens.get(&token) {
        if asked != fields {
            return refused(
                "IdempotentParameterMismatch",
                "Arguments on this idempotent request are inconsistent",
            );
        }
        let known =
            inner.instances.iter().find(|it| &it.id == id).filter(|it| it.state != "terminated").cloned();
        let Some(known) = known else {
            return refused("IdempotentInstanceTerminated", "the instance was terminated");
        };
        // A replayed answer has no tags.
        return Ok(launched(&Instance { tags: BTreeMap::new(), ..known }));
    }
    let counted = inner.instances.iter().filter(|it| it.state != "terminated").count();
    if inner.quota.is_some_and(|quota| counted >= quota) {
        return refused(
            "VcpuLimitExceeded",
            "You have requested more vCPU capacity than your current vCPU limit allows",
        );
    }
    let id = format!("i-{:017x}", inner.instances.len() + 1);
    let instance =
        Instance { user_data: fields["UserData"].clone(), looks: 0, ..Instance::running(&id, &[]) };
    let instance = Instance { tags: specified(fields, "instance"), ..instance };
    inner.instances.push(instance.clone());
    inner.tokens.insert(token, (fields.clone(), id.clone()));
    if let Some(then) = inner.on_launch.take() {
        then(&id, inner);
        inner.on_launch.get_or_insert(then);
    }
    Ok(launched(&instance))
}

fn launched(instance: &Instance) -> String {
    format!("<reservationId>r-1</reservationId><instancesSet>{}</instancesSet>", item(instance, false, true))
}

fn item(instance: &Instance, address: bool, with_tags: bool) -> String {
    let code = match instance.state {
        "pending" => 0,
        "running" => 16,
        "shutting-down" => 32,
        "terminated" => 48,
        "stopping" => 64,
        _ => 80,
    };
    let address =
        if address { format!("<ipAddress>{}</ipAddress>", instance.address) } else { String::new() };
    let reason = instance.reason.map(|(code, message)| {
        format!("<stateReason><code>{code}</code><message>{message}</message></stateReason>")
    });
    format!(
        "<item><instanceId>{}</instanceId><instanceState><code>{code}</code><name>{}</name></instanceState>\
         <launchTime>{}</launchTime>{address}{}{}</item>",
        instance.id,
        instance.state,
        instance.launched,
        reason.unwrap_or_default(),
        if with_tags { tag_set(&instance.tags) } else { String::new() }
    )
}

fn describe_instances(inner: &mut Inner, fields: &Fields) -> Answer {
    let ids = list(fields, "InstanceId");
    let (unknown, no_address, ending) = (inner.unknown, inner.no_address, inner.ending);
    let mut ended = Vec::new();
    for instance in &mut inner.instances {
        instance.looks += 1;
        if instance.state == "shutting-down" {
            instance.ends += 1;
            if instance.ends > ending {
                instance.state = "terminated";
                ended.push(instance.id.clone());
            }
        }
    }
    if let Some(then) = inner.on_end.take() {
        ended.iter().for_each(|id| then(id, inner));
        inner.on_end.get_or_insert(then);
    }
    for id in &ids {
        let known = inner.instances.iter().find(|it| &it.id == id);
        if known.is_none_or(|it| it.looks <= unknown) {
            return refused("InvalidInstanceID.NotFound", format!("The instance ID '{id}' does not exist"));
        }
    }
    let mut wanted: Vec<&Instance> =
        inner.instances.iter().filter(|it| ids.is_empty() || ids.contains(&it.id)).collect();
    for i in 1.. {
        let Some(name) = fields.get(&format!("Filter.{i}.Name")) else { break };
        let values = list(fields, &format!("Filter.{i}.Value"));
        wanted.retain(|it| match name.strip_prefix("tag:") {
            Some(tag) => it.tags.get(tag).is_some_and(|value| values.contains(value)),
            None => name == "instance-state-name" && values.iter().any(|value| value == it.state),
        });
    }
    let (page, next) = paged(inner, fields, &wanted);
    let items =
        page.iter().map(|it| item(it, it.looks > no_address && it.state != "terminated", !inner.no_tags));
    let reservations = items.map(|item| {
        format!("<item><reservationId>r</reservationId><instancesSet>{item}</instancesSet></item>")
    });
    Ok(format!("<reservationSet>{}</reservationSet>{next}", reservations.collect::<String>()))
}

/// A page of a list as XML has it.
fn paged<'a, T>(inner: &Inner, fields: &Fields, all: &'a [T]) -> (&'a [T], String) {
    let (page, next) = page(inner.page, fields.get("NextToken").map(String::as_str), all);
    (page, next.map(|next| format!("<nextToken>{next}</nextToken>")).unwrap_or_default())
}

/// A page of a list, and what the next one is asked for with; the first one of several is empty, as it may be.
pub fn page<'a, T>(size: Option<usize>, token: Option<&str>, all: &'a [T]) -> (&'a [T], Option<String>) {
    let Some(size) = size else { return (all, None) };
    let Some(token) = token else { return (&all[..0], Some("0".to_owned())) };
    let from = token.parse::<usize>().unwrap().min(all.len());
    let end = (from + size).min(all.len());
    (&all[from..end], (end < all.len()).then(|| end.to_string()))
}

fn terminate(inner: &mut Inner, fields: &Fields) -> Answer {
    for id in list(fields, "InstanceId") {
        let Some(instance) = inner.instances.iter_mut().find(|it| it.id == id) else {
            return refused("InvalidInstanceID.NotFound", format!("The instance ID '{id}' does not exist"));
        };
        if instance.state != "terminated" {
            instance.state = "shutting-down";
        }
    }
    Ok("<instancesSet/>".to_owned())
}

fn image(fields: &Fields) -> Answer {
    let id = &fields["ImageId.1"];
    if !id.starts_with("ami-") {
        return refused("InvalidAMIID.Malformed", format!("Invalid id: \"{id}\""));
    }
    if id != AMI && id != "ami-0arm" {
        return refused("InvalidAMIID.NotFound", format!("The image id '[{id}]' does not exist"));
    }
    let architecture = if id == AMI { "x86_64" } else { "arm64" };
    Ok(format!(
        "<imagesSet><item><imageId>{id}</imageId><imageState>available</imageState><architecture>{architecture}</architecture>\
         <rootDeviceName>/dev/sda1</rootDeviceName><blockDeviceMapping><item><deviceName>/dev/sda1</deviceName><ebs>\
         <volumeSize>30</volumeSize></ebs></item></blockDeviceMapping></item></imagesSet>"
    ))
}

fn authorize(inner: &mut Inner, fields: &Fields) -> Answer {
    let field = |name: &str| fields.get(name).cloned().unwrap_or_default();
    let of = |name: &str| field(&format!("IpPermissions.1.{name}"));
    let v4 = of("IpRanges.1.CidrIp");
    let (from, description) = match v4.is_empty() {
        false => (v4, of("IpRanges.1.Description")),
        true => (of("Ipv6Ranges.1.CidrIpv6"), of("Ipv6Ranges.1.Description")),
    };
    // EC2 API reference, IpRange: these characters and no other.
    let fits = |c: char| c.is_ascii_alphanumeric() || " ._-:/()#,@[]+=&;{}!$*".contains(c);
    if !description.chars().all(fits) {
        return refused("InvalidParameterValue", "Invalid rule description");
    }
    let rule = Rule {
        id: format!("sgr-{:017x}", fastrand::u64(..)),
        group: field("GroupId"),
        port: of("FromPort"),
        from,
        description,
        tags: specified(fields, "security-group-rule"),
    };
    let same =
        |other: &&Rule| (&other.group, &other.port, &other.from) == (&rule.group, &rule.port, &rule.from);
    if inner.rules.iter().any(|other| same(&other)) {
        return refused("InvalidPermission.Duplicate", "the specified rule already exists");
    }
    let made =
        format!("<return>true</return><securityGroupRuleSet>{}</securityGroupRuleSet>", rule_item(&rule));
    inner.rules.push(rule);
    Ok(made)
}

fn rule_item(rule: &Rule) -> String {
    let from = if rule.from.contains(':') { "cidrIpv6" } else { "cidrIpv4" };
    format!(
        "<item><securityGroupRuleId>{}</securityGroupRuleId><groupId>{}</groupId><isEgress>false</isEgress><ipProtocol>tcp\
         </ipProtocol><fromPort>{}</fromPort><toPort>{}</toPort><{from}>{}</{from}><description>{}</description>{}</item>",
        rule.id,
        rule.group,
        rule.port,
        rule.port,
        rule.from,
        escaped(&rule.description),
        tag_set(&rule.tags)
    )
}

fn describe_rules(inner: &mut Inner, fields: &Fields) -> Answer {
    let (name, values) = (fields["Filter.1.Name"].as_str(), list(fields, "Filter.1.Value"));
    let tag = name.strip_prefix("tag:");
    if tag.is_none() && name != "group-id" {
        return refused("InvalidParameterValue", "The filter is not valid");
    }
    let fits = |rule: &&Rule| match tag {
        Some(tag) => rule.tags.get(tag).is_some_and(|value| values.contains(value)),
        None => values.contains(&rule.group),
    };
    let wanted: Vec<&Rule> = inner.rules.iter().filter(fits).collect();
    let (page, next) = paged(inner, fields, &wanted);
    let items = page.iter().map(|rule| rule_item(rule));
    Ok(format!("<securityGroupRuleSet>{}</securityGroupRuleSet>{next}", items.collect::<String>()))
}
