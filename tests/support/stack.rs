//! Stacks made from our templates at the SSM peer's server, which makes what they
//! describe at once.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};

use super::peers::{aws, peers};

/// What the `aws` client answers.
#[track_caller]
pub fn answer(args: &[&str]) -> Value {
    let output = aws(args).output().unwrap();
    assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap_or(Value::Null)
}

/// Where our template of this name is.
pub fn template(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("packaging/cloudformation").join(name)
}

/// A stack of a test, deleted when dropped.
pub struct Stack {
    pub name: String,
    /// Physical ids by logical ones.
    pub resources: BTreeMap<String, String>,
}

impl Stack {
    /// Of a template's text or `file://…`.
    pub fn create(template: &str, parameters: &[(&str, &str)]) -> Self {
        let name = format!("test-{:08x}", fastrand::u32(..));
        let given: Vec<Value> = parameters
            .iter()
            .map(|(key, value)| json!({"ParameterKey": key, "ParameterValue": value}))
            .collect();
        let given = json!(given).to_string();
        let mut stack = Self { name, resources: BTreeMap::new() };
        let create =
            ["cloudformation", "create-stack", "--stack-name", &stack.name, "--template-body", template];
        answer(&[create.as_slice(), &["--capabilities", "CAPABILITY_IAM", "--parameters", &given]].concat());
        let made = answer(&["cloudformation", "describe-stack-resources", "--stack-name", &stack.name]);
        for resource in made["StackResources"].as_array().unwrap() {
            let text = |key: &str| resource[key].as_str().unwrap_or_default().to_owned();
            stack.resources.insert(text("LogicalResourceId"), text("PhysicalResourceId"));
        }
        stack
    }

    /// A policy of one of its roles. The peer hands it out as Python prints it, with holes for what
    /// `AWS::NoValue` takes away.
    pub fn policy(&self, role: &str, name: &str) -> Value {
        let role = &self.resources[role];
        let stored = answer(&["iam", "get-role-policy", "--role-name", role, "--policy-name", name]);
        let stored = stored["PolicyDocument"].as_str().unwrap();
        without_holes(python(
            "import ast, json, sys; print(json.dumps(ast.literal_eval(sys.argv[1])))",
            stored,
        ))
    }

    /// The policy of one of its roles that says who may take it on.
    pub fn trust(&self, role: &str) -> Value {
        let found = answer(&["iam", "get-role", "--role-name", &self.resources[role]]);
        without_holes(found["Role"]["AssumeRolePolicyDocument"].clone())
    }
}

impl Drop for Stack {
    fn drop(&mut self) {
        aws(&["cloudformation", "delete-stack", "--stack-name", &self.name]).output().ok();
    }
}

/// A template's text as JSON, its short forms written out, as the linter reads it.
pub fn read(name: &str) -> Value {
    let convert =
        "import json, sys; from cfnlint.decode import decode; print(json.dumps(decode(sys.argv[1])[0]))";
    python(convert, template(name).to_str().unwrap())
}

fn without_holes(policy: Value) -> Value {
    match policy {
        Value::Array(items) => items.into_iter().filter(|item| !item.is_null()).map(without_holes).collect(),
        Value::Object(map) => map.into_iter().map(|(key, value)| (key, without_holes(value))).collect(),
        word => word,
    }
}

/// What a program in Python makes of its argument.
pub fn python(program: &str, argument: &str) -> Value {
    let output = Command::new(&peers().python).args(["-c", program, argument]).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

/// The id of a VPC, and subnets of it in different zones.
pub fn network() -> (String, Vec<String>) {
    let found = answer(&["ec2", "describe-subnets", "--filters", "Name=default-for-az,Values=true"]);
    let subnets = found["Subnets"].as_array().unwrap();
    let ids = subnets.iter().map(|subnet| subnet["SubnetId"].as_str().unwrap().to_owned()).collect();
    (subnets[0]["VpcId"].as_str().unwrap().to_owned(), ids)
}
