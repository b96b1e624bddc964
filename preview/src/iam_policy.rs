//! The permissions of the caller's role. A pull request can edit its workflow, so the conditions on tags are what
//! limits it; packaging/cloudformation/github-role.yaml has the same policy with the account's own ids.

use serde_json::{Value, json};

use crate::names::{PURPOSE, REPOSITORY, Scope};

/// What the policy names.
#[derive(Debug, Clone)]
pub struct Place<'a> {
    /// The repository of the previews.
    pub repository: &'a str,
    /// The folder of all parameters.
    pub path: &'a str,
    /// ARN of the instance's role, the only one that may be passed to EC2; all else is of its account.
    pub role: &'a str,
    /// ARN of its instance profile, the only one an instance may be launched with.
    pub profile: &'a str,
    /// ARNs of the subnets that may be launched in.
    pub subnets: &'a [String],
    /// ARNs of the groups that may be launched with, and whose rules may change.
    pub groups: &'a [String],
    /// The instance types that may be launched.
    pub kinds: &'a [String],
    /// Whose images: `amazon` or numbers of accounts.
    pub owners: &'a [String],
    /// The parameter of the repository's own machine image, as in `/my/image`.
    pub image_parameter: Option<&'a str>,
}

/// The policy as IAM takes it. A placeholder in capitals matches nothing: with a wildcard in its place, everybody
/// who can edit the workflow could use any role or group, or another account's document of a name like ours.
#[must_use]
pub fn policy(place: &Place<'_>) -> String {
    let Place { repository, path, role, profile, subnets, groups, kinds, owners, image_parameter } = *place;
    let account = role.split(':').nth(4).unwrap_or("ACCOUNT");
    let tags = |of: &str| {
        json!({ "StringEquals": {
            format!("aws:{of}/{PURPOSE}"): Scope::PURPOSES, format!("aws:{of}/{REPOSITORY}"): repository } })
    };
    let mut created = tags("RequestTag");
    created["StringEquals"]["ec2:CreateAction"] = json!(["AuthorizeSecurityGroupIngress", "RunInstances"]);
    let passed = json!({ "StringEquals": { "iam:PassedToService": "ec2.amazonaws.com" } });
    let ec2 = |kind: &str| format!("arn:aws:ec2:*:{account}:{kind}/*");
    let mut launched = tags("RequestTag");
    launched["StringEquals"]["ec2:InstanceType"] = json!(kinds);
    launched["ArnEquals"] = json!({ "ec2:InstanceProfile": profile });
    let made = ["network-interface", "volume"].map(ec2);
    let taggable = ["instance", "network-interface", "security-group-rule", "volume"].map(ec2);
    let parameters = |rest: &str| format!("arn:aws:ssm:*:{account}:parameter{path}{rest}");
    let none = Value::Null;
    let mut statements = vec![
        allow("LaunchInstance", &["ec2:RunInstances"], &[ec2("instance")], launched),
        allow("LaunchTagged", &["ec2:RunInstances"], &made, tags("RequestTag")),
        allow(
            "LaunchImage",
            &["ec2:RunInstances"],
            &["arn:aws:ec2:*::image/*".to_owned()],
            json!({ "StringEquals": { "ec2:Owner": owners } }),
        ),
        allow("LaunchIn", &["ec2:RunInstances"], &[subnets, groups].concat(), none.clone()),
        allow("TagWhatIsMade", &["ec2:CreateTags"], &taggable, created),
        allow(
            "EndOwn",
            &["ec2:GetConsoleOutput", "ec2:TerminateInstances"],
            &[ec2("instance")],
            tags("ResourceTag"),
        ),
        allow(
            "ChangeGroups",
            &["ec2:AuthorizeSecurityGroupIngress", "ec2:RevokeSecurityGroupIngress"],
            groups,
            none.clone(),
        ),
        allow(
            "TaggedRules",
            &["ec2:AuthorizeSecurityGroupIngress"],
            &[ec2("security-group-rule")],
            tags("RequestTag"),
        ),
        allow(
            "Look",
            &[
                "ec2:DescribeImages",
                "ec2:DescribeInstanceTypes",
                "ec2:DescribeInstances",
                "ec2:DescribeSecurityGroupRules",
                "ec2:DescribeSecurityGroups",
                "ec2:DescribeSubnets",
                "ssm:DescribeParameters",
                "ssm:GetCommandInvocation",
            ],
            &["*".to_owned()],
            none.clone(),
        ),
        allow("PassInstanceRole", &["iam:PassRole"], &[role.to_owned()], passed),
        allow(
            "ReadImageNames",
            &["ssm:GetParameter"],
            &["arn:aws:ssm:*::parameter/aws/service/*".to_owned()],
            none.clone(),
        ),
        allow(
            "PullRequestParameters",
            &["ssm:AddTagsToResource", "ssm:DeleteParameters", "ssm:GetParameter", "ssm:PutParameter"],
            &[parameters("/*/*")],
            none.clone(),
        ),
        allow(
            "ListPullRequestParameters",
            &["ssm:GetParametersByPath"],
            &[parameters(""), parameters("/*")],
            none.clone(),
        ),
        allow(
            "CommandDocuments",
            &["ssm:SendCommand"],
            &[format!("arn:aws:ssm:*:{account}:document/PreviewAgent-*")],
            none,
        ),
        allow("CommandInstances", &["ssm:SendCommand"], &[ec2("instance")], tags("ResourceTag")),
    ];
    if let Some(name) = image_parameter {
        let arn = format!("arn:aws:ssm:*:{account}:parameter{name}");
        statements.push(allow("ReadOwnImageName", &["ssm:GetParameter"], &[arn], Value::Null));
    }
    let policy = json!({ "Version": "2012-10-17", "Statement": statements });
    serde_json::to_string_pretty(&policy).unwrap_or_default()
}

fn allow(sid: &str, actions: &[&str], resources: &[String], condition: Value) -> Value {
    let mut statement = json!({ "Sid": sid, "Effect": "Allow", "Action": actions, "Resource": resources });
    if !condition.is_null() {
        statement["Condition"] = condition;
    }
    statement
}
