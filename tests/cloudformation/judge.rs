//! The role of a repository's workflow, and what it is allowed: by the template's policy as it came out at the peer,
//! and by the one that `preview iam-policy` prints for the same place.

use std::process::Command;

use serde_json::{Value, json};

use crate::ACCOUNT;
use crate::support::iam::{Asked, Policy};
use crate::support::process::preview;
use crate::support::stack::{self, Stack, python};

pub const ROLE: &str = "arn:aws:iam::123456789012:role/preview";
pub const PROFILE: &str = "arn:aws:iam::123456789012:instance-profile/preview";

/// Keys that AWS sends with an action whatever it is done to, which the linter's copy of the reference lacks.
const OF_ACTIONS: [&str; 2] = ["ec2:CreateAction", "iam:PassedToService"];

/// A stack with a role for acme/api.
pub fn role(more: &[(&str, &str)]) -> Stack {
    let template = format!("file://{}", stack::template("github-role.yaml").display());
    let parameters = [
        ("Repository", "acme/api"),
        // The peer knows no such thing.
        ("CreateProvider", "false"),
        ("InstanceRoleArn", ROLE),
        ("InstanceProfileArn", PROFILE),
        ("SubnetId", "subnet-a1"),
        ("SecurityGroupIds", "sg-a1,sg-a2"),
        ("InstanceTypes", "t3.small,t3.medium"),
    ];
    Stack::create(&template, &[&parameters, more].concat())
}

/// One thing that AWS asks IAM.
pub fn ask(action: &str, of: &str, context: &[(&str, &str)]) -> Asked {
    let owned = |(key, value): &(&str, &str)| ((*key).to_owned(), (*value).to_owned());
    Asked { action: action.to_owned(), of: of.to_owned(), context: context.iter().map(owned).collect() }
}

/// What is allowed, and AWS's reference of what it asks.
pub struct Judge {
    policies: [(&'static str, Policy); 2],
    reference: Value,
}

impl Judge {
    pub fn new() -> Self {
        let reference = "import importlib.resources as r, json; \
            print((r.files('cfnlint') / 'data/AdditionalSpecs/Policies.json').read_text())";
        let template = ("the template", Policy::read(&role(&[]).policy("Role", "preview")));
        Self { policies: [template, ("preview iam-policy", printed())], reference: python(reference, "") }
    }

    /// A call is allowed where everything is that AWS asks about it. What is allowed is so with this action and in
    /// this account only.
    #[track_caller]
    pub fn says(&self, allowed: bool, call: &[Asked]) {
        call.iter().for_each(|asked| self.is_asked(asked));
        for (name, policy) in &self.policies {
            assert_eq!(call.iter().all(|asked| policy.allows(asked)), allowed, "{name}: {call:#?}");
            for asked in call.iter().filter(|_| allowed) {
                let (service, _) = asked.action.split_once(':').unwrap();
                let action = Asked { action: format!("{service}:Other"), ..asked.clone() };
                assert!(!policy.allows(&action), "{name}: {action:#?}");
                let account = Asked { of: asked.of.replace(ACCOUNT, "666666666666"), ..asked.clone() };
                assert!(account.of == asked.of || !policy.allows(&account), "{name}: {account:#?}");
            }
        }
    }

    /// AWS asks about this action for a resource of this kind, and sends keys of these names.
    #[track_caller]
    fn is_asked(&self, asked: &Asked) {
        let (service, action) = asked.action.split_once(':').unwrap();
        let action = &self.reference[service]["Actions"][action.to_lowercase()];
        if asked.of == "*" {
            assert_eq!(action, &json!({}), "{asked:?}");
            return;
        }
        let parts: Vec<&str> = asked.of.splitn(6, ':').collect();
        let kind = parts[5].split('/').next().unwrap();
        assert!(
            action["Resources"].as_array().is_some_and(|kinds| kinds.contains(&json!(kind))),
            "{asked:?}"
        );
        let keys = &self.reference[parts[2]]["Resources"][kind]["ConditionKeys"];
        for key in asked.context.keys().filter(|key| !OF_ACTIONS.contains(&key.as_str())) {
            let tag = key.split_once('/').map(|(of, _)| json!(format!("{of}/${{TagKey}}")));
            assert!(
                keys.as_array().unwrap().contains(&tag.unwrap_or_else(|| json!(key))),
                "{key}: {asked:?}"
            );
        }
    }
}

fn printed() -> Policy {
    let mut command = Command::new(preview());
    command.args(["--repository", "acme/api", "iam-policy", "--role", ROLE, "--profile", PROFILE]);
    for (option, value) in [
        ("--subnet", ec2("subnet/subnet-a1")),
        ("--security-group", ec2("security-group/sg-a1")),
        ("--security-group", ec2("security-group/sg-a2")),
        ("--instance-type", "t3.small".to_owned()),
        ("--instance-type", "t3.medium".to_owned()),
    ] {
        command.args([option, &value]);
    }
    let output = command.env_clear().output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Policy::read(&serde_json::from_slice(&output.stdout).unwrap())
}

pub fn ec2(resource: &str) -> String {
    format!("arn:aws:ec2:us-east-1:123456789012:{resource}")
}

pub fn ssm(resource: &str) -> String {
    format!("arn:aws:ssm:us-east-1:123456789012:{resource}")
}
