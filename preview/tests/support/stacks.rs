//! Stacks as CloudFormation keeps them, in small: what a change set would do follows from two templates, and
//! what is executed happens step by step, one at each look.

use std::collections::{BTreeMap, VecDeque};

use serde_json::Value;

use super::account::ACCOUNT;

/// Parameters or tags.
pub type Pairs = BTreeMap<String, String>;

#[derive(Debug, Clone)]
pub struct Event {
    pub id: String,
    /// A second for each.
    pub at: String,
    pub resource: String,
    pub physical: String,
    pub kind: String,
    pub status: String,
    pub reason: String,
    pub properties: String,
    pub token: String,
}

/// Of a change to a resource: what it is about, as in the document that AWS answers with.
#[derive(Debug, Clone)]
pub struct Change {
    pub action: &'static str,
    pub id: String,
    pub kind: String,
    pub replacement: &'static str,
    pub policy: &'static str,
    /// The change set of a nested stack.
    pub nested: String,
    /// The properties that it has then, as JSON.
    pub after: String,
    /// Path, before, after, recreation, parameters that it comes from.
    pub details: Vec<(String, String, String, &'static str, Vec<String>)>,
}

#[derive(Debug, Clone)]
pub struct ChangeSet {
    pub id: String,
    pub name: String,
    pub client_token: String,
    pub status: &'static str,
    pub execution: &'static str,
    pub reason: String,
    /// Looks until it is made.
    pub looks: usize,
    pub template: Value,
    pub parameters: Pairs,
    pub tags: Pairs,
    pub capabilities: Vec<String>,
    pub changes: Vec<Change>,
    pub create: bool,
}

#[derive(Debug, Clone)]
pub struct Stack {
    pub name: String,
    pub id: String,
    pub status: String,
    pub template: Value,
    pub parameters: Pairs,
    pub tags: Pairs,
    pub capabilities: Vec<String>,
    /// The oldest first.
    pub events: Vec<Event>,
    /// What is yet to happen, each with the status that the stack has then.
    pub coming: VecDeque<(Event, String)>,
    pub sets: Vec<ChangeSet>,
    /// Tokens that were executed, with how often that was done.
    pub executed: Vec<String>,
}

#[derive(Debug, Default)]
pub struct Stacks {
    pub all: Vec<Stack>,
    /// Looks that a change set takes to be made.
    pub slow: usize,
    /// Items of a page of changes or events.
    pub page: Option<usize>,
    /// Change sets that are left over by another one are kept, as obsolete.
    pub keeps: bool,
    /// The other way to say that there are no changes.
    pub other_words: bool,
    /// Events that happen between two looks; 0 for one.
    pub step: usize,
    count: usize,
}

/// Replaced whenever one of these changes: whole types, or single properties.
const REPLACED: [(&str, &str); 3] =
    [("AWS::ECS::TaskDefinition", ""), ("AWS::RDS::DBInstance", "Engine"), ("AWS::EC2::Instance", "ImageId")];
/// Perhaps replaced.
const MAYBE: [(&str, &str); 2] = [("AWS::RDS::DBInstance", "Iops"), ("AWS::EC2::Instance", "InstanceType")];

impl Stacks {
    pub fn stack(&mut self, name: &str) -> Option<&mut Stack> {
        self.all.iter_mut().find(|stack| stack.name == name || stack.id == name)
    }

    /// A stack that is there, without a history.
    pub fn add(&mut self, name: &str, template: &Value, parameters: &[(&str, &str)]) -> &mut Stack {
        let stack = self.new_stack(name);
        stack.status = "CREATE_COMPLETE".to_owned();
        stack.template = template.clone();
        stack.parameters = parameters.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        let (id, name) = (stack.id.clone(), stack.name.clone());
        for status in ["CREATE_IN_PROGRESS", "CREATE_COMPLETE"] {
            let event = self.event(&name, &id, "AWS::CloudFormation::Stack", status, "");
            self.all.last_mut().unwrap().events.push(event);
        }
        self.all.last_mut().unwrap()
    }

    pub fn new_stack(&mut self, name: &str) -> &mut Stack {
        self.count += 1;
        let id = format!("arn:aws:cloudformation:eu-central-1:{ACCOUNT}:stack/{name}/{:08}", self.count);
        self.all.push(Stack {
            name: name.to_owned(),
            id,
            status: "REVIEW_IN_PROGRESS".to_owned(),
            template: Value::Null,
            parameters: Pairs::new(),
            tags: Pairs::new(),
            capabilities: Vec::new(),
            events: Vec::new(),
            coming: VecDeque::new(),
            sets: Vec::new(),
            executed: Vec::new(),
        });
        self.all.last_mut().unwrap()
    }

    pub fn number(&mut self) -> usize {
        self.count += 1;
        self.count
    }

    fn event(&mut self, resource: &str, physical: &str, kind: &str, status: &str, reason: &str) -> Event {
        let number = self.number();
        Event {
            id: format!("e-{number}"),
            at: format!("2026-01-01T12:{:02}:{:02}Z", number / 60 % 60, number % 60),
            resource: resource.to_owned(),
            physical: physical.to_owned(),
            kind: kind.to_owned(),
            status: status.to_owned(),
            reason: reason.to_owned(),
            properties: String::new(),
            token: String::new(),
        }
    }

    /// Something happens to a stack, once.
    pub fn happens(&mut self, stack: &str, resource: &str, kind: &str, status: &str, reason: &str) {
        let event = self.event(resource, resource, kind, status, reason);
        self.stack(stack).unwrap().events.push(event);
    }

    /// A look at a stack: time goes on.
    pub fn tick(&mut self, name: &str) {
        let step = self.step.max(1);
        let Some(stack) = self.stack(name) else { return };
        for _ in 0..step {
            let Some((event, status)) = stack.coming.pop_front() else { break };
            stack.status = status;
            stack.events.push(event);
            if stack.coming.is_empty() {
                let ended = stack.status.clone();
                let going = stack.sets.iter_mut().find(|set| set.execution == "EXECUTE_IN_PROGRESS");
                if let Some(set) = going {
                    let good = ["CREATE_COMPLETE", "UPDATE_COMPLETE"].contains(&ended.as_str());
                    set.execution = if good { "EXECUTE_COMPLETE" } else { "EXECUTE_FAILED" };
                }
            }
        }
    }

    /// Executes a change set: what comes of it happens at later looks.
    pub fn execute(&mut self, name: &str, set: &ChangeSet, token: &str, keep_failed: bool) {
        let (id, own) = {
            let stack = self.stack(name).unwrap();
            (stack.id.clone(), stack.name.clone())
        };
        let word = if set.create { "CREATE" } else { "UPDATE" };
        let stack_kind = "AWS::CloudFormation::Stack";
        let going = format!("{word}_IN_PROGRESS");
        let mut coming = vec![(self.event(&own, &id, stack_kind, &going, "User Initiated"), going.clone())];
        let failing = set.changes.iter().find_map(|change| {
            let why = change.details.iter().find_map(|(_, _, after, ..)| after.strip_prefix("fails: "))?;
            Some((change.id.clone(), why.to_owned()))
        });
        for change in &set.changes {
            let verb = match change.action {
                "Add" => "CREATE",
                "Remove" => "DELETE",
                _ => "UPDATE",
            };
            let mut begun = self.event(&change.id, "", &change.kind, &format!("{verb}_IN_PROGRESS"), "");
            let resource = &set.template["Resources"][&change.id];
            begun.properties = resolved(&resource["Properties"], &set.parameters).to_string();
            coming.push((begun, going.clone()));
            let (end, reason) = match &failing {
                None => ("COMPLETE", String::new()),
                Some((id, why)) if *id == change.id => ("FAILED", why.clone()),
                Some(_) => {
                    let noun = if verb == "CREATE" { "creation" } else { "update" };
                    ("FAILED", format!("Resource {noun} cancelled"))
                }
            };
            let physical = match change.kind.as_str() {
                "AWS::ECS::Service" => {
                    format!("arn:aws:ecs:eu-central-1:{ACCOUNT}:service/cluster/{}", change.id)
                }
                _ => "p".to_owned(),
            };
            let ended = self.event(&change.id, &physical, &change.kind, &format!("{verb}_{end}"), &reason);
            coming.push((ended, going.clone()));
        }
        let ends: Vec<String> = match &failing {
            None if set.create => vec!["CREATE_COMPLETE".to_owned()],
            None => vec!["UPDATE_COMPLETE_CLEANUP_IN_PROGRESS".to_owned(), "UPDATE_COMPLETE".to_owned()],
            Some(_) if keep_failed => vec![format!("{word}_FAILED")],
            Some(_) if set.create => vec!["ROLLBACK_IN_PROGRESS".to_owned(), "ROLLBACK_COMPLETE".to_owned()],
            Some(_) => ["IN_PROGRESS", "COMPLETE_CLEANUP_IN_PROGRESS", "COMPLETE"]
                .map(|end| format!("UPDATE_ROLLBACK_{end}"))
                .to_vec(),
        };
        for end in ends {
            let reason = match &failing {
                Some((id, _)) if end.ends_with("ROLLBACK_IN_PROGRESS") => {
                    format!("The following resource(s) failed to update: [{id}].")
                }
                _ => String::new(),
            };
            coming.push((self.event(&own, &id, stack_kind, &end, &reason), end));
        }
        let forget = !self.keeps;
        let stack = self.stack(name).unwrap();
        for (event, _) in &mut coming {
            event.token = token.to_owned();
        }
        stack.coming.extend(coming);
        stack.status = going;
        stack.executed.push(token.to_owned());
        stack.sets.retain(|other| other.id == set.id || !forget);
        for other in &mut stack.sets {
            other.execution = if other.id == set.id { "EXECUTE_IN_PROGRESS" } else { "OBSOLETE" };
        }
        if failing.is_none() {
            stack.template = set.template.clone();
            stack.parameters = set.parameters.clone();
            stack.tags = set.tags.clone();
            stack.capabilities = set.capabilities.clone();
        }
    }
}

/// A tree with its `{"Ref": NAME}` filled in.
pub fn resolved(tree: &Value, parameters: &Pairs) -> Value {
    match tree {
        Value::Object(fields) => match fields.get("Ref").and_then(Value::as_str) {
            Some(name) if fields.len() == 1 => {
                parameters.get(name).map_or(Value::String(name.to_owned()), |value| value.as_str().into())
            }
            _ => fields.iter().map(|(key, value)| (key.clone(), resolved(value, parameters))).collect(),
        },
        Value::Array(items) => items.iter().map(|item| resolved(item, parameters)).collect(),
        other => other.clone(),
    }
}

/// All texts of a tree, with their paths and the parameters that they come from.
fn leaves(tree: &Value, path: &str, found: &mut BTreeMap<String, (Value, Vec<String>)>) {
    match tree {
        Value::Object(fields) => match fields.get("Ref").and_then(Value::as_str) {
            Some(name) if fields.len() == 1 => {
                found.insert(path.to_owned(), (tree.clone(), vec![name.to_owned()]));
            }
            _ => fields.iter().for_each(|(key, value)| leaves(value, &format!("{path}/{key}"), found)),
        },
        Value::Array(items) => {
            items.iter().enumerate().for_each(|(i, item)| leaves(item, &format!("{path}/{i}"), found));
        }
        other => drop(found.insert(path.to_owned(), (other.clone(), Vec::new()))),
    }
}

/// What leads from one template with its parameters to another.
pub fn changes((old, old_values): (&Value, &Pairs), (new, new_values): (&Value, &Pairs)) -> Vec<Change> {
    let empty = serde_json::Map::new();
    let old = old["Resources"].as_object().unwrap_or(&empty);
    let new = new["Resources"].as_object().unwrap_or(&empty);
    let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    let mut all = Vec::new();
    for (id, resource) in new {
        let kind = text(&resource["Type"]);
        let mut now = BTreeMap::new();
        leaves(&resource["Properties"], "/Properties", &mut now);
        let mut change = Change {
            action: "Add",
            id: id.clone(),
            kind: kind.clone(),
            replacement: "",
            policy: "",
            nested: String::new(),
            after: serde_json::json!({ "Properties": resolved(&resource["Properties"], new_values) })
                .to_string(),
            details: Vec::new(),
        };
        let mut before = BTreeMap::new();
        if let Some(was) = old.get(id) {
            leaves(&was["Properties"], "/Properties", &mut before);
            (change.action, change.replacement) = ("Modify", "False");
        }
        let paths: std::collections::BTreeSet<&String> = now.keys().chain(before.keys()).collect();
        for path in paths {
            let of = |leaves: &BTreeMap<String, (Value, Vec<String>)>, values: &Pairs| {
                leaves.get(path).map(|(value, _)| text(&resolved(value, values))).unwrap_or_default()
            };
            let (was, is) = (of(&before, old_values), of(&now, new_values));
            if was == is {
                continue;
            }
            let name = path.split('/').nth(2).unwrap_or_default();
            let listed = |list: &[(&str, &str)]| {
                list.iter().any(|(of, property)| *of == kind && (property.is_empty() || *property == name))
            };
            let recreation = if listed(&REPLACED) {
                (change.replacement, change.policy) = ("True", "ReplaceAndDelete");
                "Always"
            } else if listed(&MAYBE) {
                change.replacement = if change.replacement == "True" { "True" } else { "Conditional" };
                "Conditionally"
            } else {
                "Never"
            };
            let causes = now.get(path).map(|(_, causes)| causes.clone()).unwrap_or_default();
            change.details.push((path.clone(), was, is, recreation, causes));
        }
        if change.action == "Add" {
            (change.replacement, change.policy) = ("", "");
        }
        if change.action == "Add" || !change.details.is_empty() {
            all.push(change);
        }
    }
    for (id, was) in old.iter().filter(|(id, _)| !new.contains_key(*id)) {
        let policy = if was["DeletionPolicy"] == "Retain" { "Retain" } else { "Delete" };
        let (id, kind) = (id.clone(), text(&was["Type"]));
        let (nested, after) = (String::new(), String::new());
        all.push(Change {
            action: "Remove",
            id,
            kind,
            replacement: "",
            policy,
            nested,
            after,
            details: Vec::new(),
        });
    }
    all
}
