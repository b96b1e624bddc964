//! What whoever edits the workflow can do with its role and what not: calls, and the tags and names that AWS sends
//! along when it asks about each.

use crate::judge::{Judge, PROFILE, ROLE, ask, ec2, role, ssm};
use crate::support::iam::{Asked, Policy};

/// Tags, by what they are tags of: `aws:RequestTag` or `aws:ResourceTag`.
type Tags<'a> = &'a [(&'a str, &'a str)];

const OURS: Tags<'_> = &[("Purpose", "pr-preview"), ("Repository", "acme/api"), ("PullRequest", "7")];
const SHARED: Tags<'_> = &[("Purpose", "pr-preview-singleton"), ("Repository", "acme/api")];
const OTHERS: [Tags<'_>; 6] = [
    &[("Purpose", "pr-preview"), ("Repository", "acme/web"), ("PullRequest", "7")],
    &[("Purpose", "pr-preview"), ("Repository", "acme/api-evil")],
    &[("Purpose", "production"), ("Repository", "acme/api")],
    &[("Purpose", "pr-preview")],
    &[("Repository", "acme/api")],
    &[],
];

fn tagged(action: &str, of: &str, kind: &str, tags: Tags<'_>, more: &[(&str, &str)]) -> Asked {
    let mut asked = ask(action, of, more);
    asked.context.extend(tags.iter().map(|(key, value)| (format!("{kind}/{key}"), (*value).to_owned())));
    asked
}

/// Something is made by an action, and tagged with that.
fn made(action: &str, of: &str, tags: Tags<'_>, more: &[(&str, &str)]) -> Vec<Asked> {
    let of = ec2(of);
    let mut asked = vec![tagged(action, &of, "aws:RequestTag", tags, more)];
    if !tags.is_empty() {
        let by = [("ec2:CreateAction", action.trim_start_matches("ec2:"))];
        asked.push(tagged("ec2:CreateTags", &of, "aws:RequestTag", tags, &by));
    }
    asked
}

/// A launch.
#[derive(Clone, Copy)]
struct Launch<'a> {
    kind: &'a str,
    profile: Option<&'a str>,
    owner: &'a str,
    subnet: &'a str,
    group: &'a str,
    tags: Tags<'a>,
}

const RUN: &str = "ec2:RunInstances";
const LAUNCH: Launch<'_> = Launch {
    kind: "t3.small",
    profile: Some(PROFILE),
    owner: "amazon",
    subnet: "subnet-a1",
    group: "sg-a1",
    tags: OURS,
};

impl Launch<'_> {
    /// What is made by it.
    fn made(&self) -> Vec<Asked> {
        let mut instance = vec![("ec2:InstanceType", self.kind)];
        instance.extend(self.profile.map(|profile| ("ec2:InstanceProfile", profile)));
        [
            made(RUN, "instance/*", self.tags, &instance),
            made(RUN, "network-interface/*", self.tags, &[]),
            made(RUN, "volume/*", self.tags, &[]),
        ]
        .concat()
    }

    fn asked(&self) -> Vec<Asked> {
        let mut asked = self.made();
        asked.push(ask(RUN, "arn:aws:ec2:us-east-1::image/ami-1", &[("ec2:Owner", self.owner)]));
        asked.push(ask(RUN, &ec2(&format!("subnet/{}", self.subnet)), &[("ec2:SubnetID", self.subnet)]));
        asked.push(group(RUN, self.group, &[]));
        asked
    }
}

fn group(action: &str, id: &str, tags: Tags<'_>) -> Asked {
    let of = ec2(&format!("security-group/{id}"));
    tagged(action, &of, "aws:RequestTag", tags, &[("ec2:SecurityGroupID", id)])
}

#[test]
fn it_launches_one_kind_of_instance() {
    let judge = Judge::new();
    for launch in
        [LAUNCH, Launch { kind: "t3.medium", group: "sg-a2", ..LAUNCH }, Launch { tags: SHARED, ..LAUNCH }]
    {
        judge.says(true, &launch.asked());
    }
    let administrator = "arn:aws:iam::123456789012:instance-profile/administrator";
    for launch in [
        Launch { kind: "p5.48xlarge", ..LAUNCH },
        Launch { profile: Some(administrator), ..LAUNCH },
        Launch { profile: None, ..LAUNCH },
        Launch { owner: "666666666666", ..LAUNCH },
        Launch { subnet: "subnet-a2", ..LAUNCH },
        Launch { group: "sg-b1", ..LAUNCH },
    ] {
        judge.says(false, &launch.asked());
    }
    for tags in OTHERS {
        for asked in (Launch { tags, ..LAUNCH }).made() {
            judge.says(false, &[asked]);
        }
    }
    // What else a launch may name.
    judge.says(false, &[ask(RUN, &ec2("key-pair/mine"), &[])]);
    judge.says(false, &[ask(RUN, &ec2("launch-template/lt-1"), &[])]);
    judge.says(false, &[ask(RUN, "arn:aws:ec2:us-east-1::snapshot/snap-1", &[("ec2:Owner", "amazon")])]);
}

#[test]
fn it_ends_reads_and_commands_its_own_instances_and_tags_nothing_that_is_there() {
    let judge = Judge::new();
    let instance = ec2("instance/i-1");
    let on = |action: &str, tags| tagged(action, &instance, "aws:ResourceTag", tags, &[]);
    let logs = ssm("document/PreviewAgent-Logs");
    let command = |document: &str, tags| [ask("ssm:SendCommand", document, &[]), on("ssm:SendCommand", tags)];
    for tags in [OURS, SHARED] {
        judge.says(true, &[on("ec2:TerminateInstances", tags)]);
        judge.says(true, &[on("ec2:GetConsoleOutput", tags)]);
        judge.says(true, &command(&logs, tags));
    }
    for tags in OTHERS {
        judge.says(false, &[on("ec2:TerminateInstances", tags)]);
        judge.says(false, &[on("ec2:GetConsoleOutput", tags)]);
        judge.says(false, &command(&logs, tags));
    }
    for document in [
        "arn:aws:ssm:us-east-1::document/AWS-RunShellScript",
        "arn:aws:ssm:us-east-1:666666666666:document/PreviewAgent-Logs",
        &ssm("document/AWS-RunShellScript"),
        &ssm("document/Other-PreviewAgent-Logs"),
    ] {
        judge.says(false, &command(document, OURS));
    }
    for action in ["ssm:CreateDocument", "ssm:UpdateDocument"] {
        judge.says(false, &[ask(action, &logs, &[])]);
    }
    judge.says(false, &[ask("ssm:SendCommand", &ssm("managed-instance/mi-1"), &[])]);
    for action in [
        "ec2:AssociateIamInstanceProfile",
        "ec2:CreateImage",
        "ec2:DescribeInstanceAttribute",
        "ec2:ModifyInstanceAttribute",
        "ec2:StopInstances",
        "ssm:StartSession",
    ] {
        judge.says(false, &[on(action, OURS)]);
    }

    // Who could tag any instance could end any instance.
    let tag =
        |of: &str, more: &[(&str, &str)]| [tagged("ec2:CreateTags", &ec2(of), "aws:RequestTag", OURS, more)];
    judge.says(false, &tag("instance/i-1", &[]));
    judge.says(false, &tag("volume/*", &[("ec2:CreateAction", "CreateVolume")]));
    judge.says(false, &tag("image/ami-1", &[("ec2:CreateAction", "RunInstances")]));
    judge.says(false, &[tagged("ec2:DeleteTags", &instance, "aws:ResourceTag", OURS, &[])]);
}

#[test]
fn it_opens_its_groups_and_hands_over_its_role_to_instances_alone() {
    let judge = Judge::new();
    let (authorize, revoke) = ("ec2:AuthorizeSecurityGroupIngress", "ec2:RevokeSecurityGroupIngress");
    for id in ["sg-a1", "sg-a2"] {
        for tags in [OURS, SHARED] {
            let rule = made(authorize, "security-group-rule/*", tags, &[]);
            judge.says(true, &[vec![group(authorize, id, tags)], rule].concat());
        }
        judge.says(true, &[group(revoke, id, &[])]);
    }
    judge.says(false, &[group(authorize, "sg-b1", OURS)]);
    judge.says(false, &[group(revoke, "sg-b1", &[])]);
    for tags in OTHERS {
        for asked in made(authorize, "security-group-rule/*", tags, &[]) {
            judge.says(false, &[asked]);
        }
    }
    for action in
        ["ec2:AuthorizeSecurityGroupEgress", "ec2:DeleteSecurityGroup", "ec2:ModifySecurityGroupRules"]
    {
        judge.says(false, &[group(action, "sg-a1", &[])]);
    }
    let template = Policy::read(&role(&[("DbSecurityGroupId", "sg-db")]).policy("Role", "preview"));
    for (id, allowed) in [("sg-db", true), ("sg-b1", false)] {
        for asked in [group(authorize, id, OURS), group(revoke, id, &[])] {
            judge.says(false, std::slice::from_ref(&asked));
            assert_eq!(template.allows(&asked), allowed, "{asked:?}");
        }
    }
    assert!(!template.allows(&group(RUN, "sg-db", &[])), "an instance among the databases");

    let administrator = "arn:aws:iam::123456789012:role/administrator";
    let pass = |role: &str, service| [ask("iam:PassRole", role, &[("iam:PassedToService", service)])];
    judge.says(true, &pass(ROLE, "ec2.amazonaws.com"));
    judge.says(false, &pass(ROLE, "lambda.amazonaws.com"));
    judge.says(false, &pass(administrator, "ec2.amazonaws.com"));
    judge.says(false, &pass(&format!("{ROLE}-other"), "ec2.amazonaws.com"));
    judge.says(false, &[ask("iam:PassRole", ROLE, &[])]);
    for action in
        ["iam:AttachRolePolicy", "iam:PutRolePolicy", "iam:UpdateAssumeRolePolicy", "sts:AssumeRole"]
    {
        judge.says(false, &[ask(action, ROLE, &[])]);
    }
    judge.says(false, &[ask("iam:AddRoleToInstanceProfile", PROFILE, &[])]);
}

#[test]
fn it_reads_and_writes_the_parameters_of_pull_requests_and_else_only_looks() {
    let judge = Judge::new();
    let says = |allowed, action: &str, names: &[&str]| {
        for name in names {
            judge.says(allowed, &[ask(action, &ssm(&format!("parameter{name}")), &[])]);
        }
    };
    let others = [
        "/pr-preview/database-url",
        "/pr-preview",
        "/pr-preview-other/7/status",
        "/prod/pr-preview/7/status",
        "/prod/database-url",
        "/database-url",
    ];
    for action in ["ssm:AddTagsToResource", "ssm:DeleteParameters", "ssm:GetParameter", "ssm:PutParameter"] {
        says(true, action, &["/pr-preview/7/status", "/pr-preview/12/database-url"]);
        says(false, action, &others);
        let name = ":parameter/pr-preview/7/status";
        judge.says(false, &[ask(action, &format!("arn:aws:ssm:us-east-1:666666666666{name}"), &[])]);
    }
    says(true, "ssm:GetParametersByPath", &["/pr-preview", "/pr-preview/7"]);
    says(false, "ssm:GetParametersByPath", &["/", "/prod", "/pr-preview-other"]);
    says(false, "ssm:GetParameterHistory", &["/pr-preview/7/status"]);

    let image = "arn:aws:ssm:us-east-1::parameter/aws/service/ami-amazon-linux-latest/al2023";
    judge.says(true, &[ask("ssm:GetParameter", image, &[])]);
    judge.says(false, &[ask("ssm:PutParameter", image, &[])]);
    judge.says(true, &[ask("ssm:DescribeParameters", "*", &[])]);
    judge.says(true, &[ask("ssm:GetCommandInvocation", "*", &[])]);
    for what in ["Images", "InstanceTypes", "Instances", "SecurityGroupRules", "SecurityGroups", "Subnets"] {
        judge.says(true, &[ask(&format!("ec2:Describe{what}"), "*", &[])]);
    }
    judge.says(false, &[ask("secretsmanager:ListSecrets", "*", &[])]);
}
