//! Who takes on the role of a repository's workflow. The peer makes the role but judges nothing, so its policy as it
//! came out is asked, as AWS would ask it.

use serde_json::json;

use crate::judge::{ask, role};
use crate::support::iam::{Asked, Policy};
use crate::support::stack::{self, Stack, python};

const PROVIDER: &str = "arn:aws:iam::123456789012:oidc-provider/token.actions.githubusercontent.com";

/// A run of a workflow with GitHub's token for this subject takes the role on.
fn run(subject: &str) -> Asked {
    let (audience, about) =
        ("token.actions.githubusercontent.com:aud", "token.actions.githubusercontent.com:sub");
    ask("sts:AssumeRoleWithWebIdentity", PROVIDER, &[(audience, "sts.amazonaws.com"), (about, subject)])
}

const NAMES: [&str; 2] = ["repo:acme/api:pull_request", "repo:acme/api:ref:refs/heads/main"];
const IDS: [&str; 2] =
    ["repo:acme@1234/api@567890:pull_request", "repo:acme@1234/api@567890:ref:refs/heads/main"];
const STRANGERS: [&str; 14] = [
    "repo:evil/api:pull_request",
    "repo:acme/api-evil:pull_request",
    "repo:acme-evil/api:pull_request",
    "repo:Acme/api:pull_request",
    "repo:acme/api:pull_request:evil",
    "repo:acme/api:ref:refs/heads/other",
    "repo:acme/api:ref:refs/heads/main2",
    "repo:acme/api:ref:refs/tags/main",
    "repo:acme/api:environment:prod",
    "repo:acme/api:*",
    "repo:acme@6666/api@567890:pull_request",
    "repo:acme@1234/api@6666:pull_request",
    "repo:acme@1234/api@567890:ref:refs/heads/other",
    "",
];

#[track_caller]
fn admits(stack: &Stack, admitted: &[&str], refused: &[&str]) -> Policy {
    let trust = Policy::read(&stack.trust("Role"));
    for (subjects, expected) in [(admitted, true), (refused, false)] {
        for subject in subjects {
            assert_eq!(trust.allows(&run(subject)), expected, "{subject}");
        }
    }
    trust
}

#[test]
fn the_role_is_for_pull_requests_and_the_default_branch_of_one_repository() {
    let ids = [("OwnerId", "1234"), ("RepositoryId", "567890")];
    let trust = admits(&role(&ids), &[NAMES, IDS].concat(), &STRANGERS);
    let refuses = |change: &dyn Fn(&mut Asked)| {
        let mut run = run(NAMES[0]);
        change(&mut run);
        assert!(!trust.allows(&run), "{run:?}");
    };
    refuses(&|run| {
        run.context.insert(
            "token.actions.githubusercontent.com:aud".to_owned(),
            "https://github.com/acme".to_owned(),
        );
    });
    refuses(&|run| drop(run.context.remove("token.actions.githubusercontent.com:aud")));
    refuses(&|run| drop(run.context.remove("token.actions.githubusercontent.com:sub")));
    // An enterprise's own issuer; with claims of the very names, so that nothing but the provider tells them apart.
    refuses(&|run| run.of += "/acme");
    refuses(&|run| run.action = "sts:AssumeRole".to_owned());

    let branch = "repo:acme/api:ref:refs/heads/release/2.x";
    let strangers = [&STRANGERS[..], &IDS, &NAMES[1..]].concat();
    admits(&role(&[("DefaultBranch", "release/2.x")]), &[NAMES[0], branch], &strangers);
}

#[test]
fn subjects_that_are_given_are_all_that_there_are_and_none_is_a_pattern() {
    let own = ["repository_id:567890:context:pull_request", "repo:acme/*"];
    let subjects = own.join(",");
    let stack = role(&[("OwnerId", "1234"), ("RepositoryId", "567890"), ("Subjects", &subjects)]);
    admits(&stack, &own, &[&NAMES[..], &IDS, &STRANGERS].concat());
}

#[test]
fn no_parameter_takes_a_wildcard() {
    let parameters = stack::read("github-role.yaml")["Parameters"].clone();
    let values = [
        ("DbSecurityGroupId", "sg-*"),
        ("InstanceProfileArn", "arn:aws:iam::123456789012:instance-profile/*"),
        ("InstanceRoleArn", "arn:aws:iam::123456789012:role/*"),
        ("ParameterPath", "/*"),
        ("Repository", "acme/*"),
    ];
    let each = |letter: &str, matched: bool| {
        let given =
            values.map(|(name, value)| (&parameters[name]["AllowedPattern"], value.replace('*', letter)));
        let program = "import json, re, sys; \
            print(json.dumps([bool(re.fullmatch(*given)) for given in json.loads(sys.argv[1])]))";
        assert_eq!(python(program, &json!(given).to_string()), json!(values.map(|_| matched)), "{letter}");
    };
    each("1", true);
    each("*", false);
    each("?", false);
}

#[test]
fn the_provider_that_the_stack_makes_is_githubs_and_stays_for_others() {
    let resources = &stack::read("github-role.yaml")["Resources"];
    let provider = &resources["Provider"];
    assert_eq!(provider["Properties"]["Url"], "https://token.actions.githubusercontent.com");
    assert_eq!(provider["Properties"]["ClientIdList"], json!(["sts.amazonaws.com"]));
    assert_eq!(provider["DeletionPolicy"], "Retain");
    let trust = &resources["Role"]["Properties"]["AssumeRolePolicyDocument"]["Statement"][0];
    let federated = &trust["Principal"]["Federated"]["Fn::If"];
    assert_eq!((&federated[0], &federated[1]), (&json!("MakesProvider"), &json!({"Ref": "Provider"})));
}
