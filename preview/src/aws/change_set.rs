//! A change set as AWS describes it: what would become of each resource, and why.

use aws_sdk_cloudformation::operation::describe_change_set::DescribeChangeSetOutput;
use aws_sdk_cloudformation::types as sdk;
use serde_json::Value;

/// A change set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChangeSet {
    /// Its ARN; a name can be given again, this cannot.
    pub id: String,
    /// Its name.
    pub name: String,
    /// The ARN of its stack.
    pub stack_id: String,
    /// The name of its stack.
    pub stack: String,
    /// Whether it is made.
    pub making: Making,
    /// Why it is not.
    pub reason: Option<String>,
    /// Whether it can be executed.
    pub execution: Execution,
    /// The values that parameters would have; AWS masks those that are not to be shown.
    pub parameters: Vec<(String, String)>,
    /// What would change, by logical id; of nested stacks as `Nested/Id`.
    pub changes: Vec<Change>,
}

/// How far AWS is with making it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Making {
    /// It is at work.
    Going,
    /// It is made.
    Made,
    /// It could not be made, or there was nothing to make.
    Failed,
    /// It is being deleted, or is gone.
    Gone,
}

/// Whether it can be executed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Execution {
    /// Not, or not yet.
    Unavailable,
    /// Yes.
    Available,
    /// It is being executed.
    Going,
    /// It was executed.
    Done,
    /// It was executed, and that failed.
    Failed,
    /// Another one was executed since.
    Obsolete,
}

/// What would become of one resource.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// What is done.
    pub action: Action,
    /// Its logical id.
    pub id: String,
    /// Its type, as in `AWS::ECS::Service`.
    pub kind: String,
    /// Its id or ARN, once it has one.
    pub physical: Option<String>,
    /// Whether another resource takes its place.
    pub replacement: Replacement,
    /// What becomes of the old resource.
    pub policy: Option<Policy>,
    /// Which of its properties change.
    pub properties: Vec<Property>,
    /// The change set of a nested stack, if AWS made one.
    pub nested: Option<String>,
}

/// What is done to a resource.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// It is made.
    Add,
    /// It is changed.
    Modify,
    /// It is removed from the stack.
    Remove,
    /// One that exists is taken into the stack.
    Import,
    /// AWS knows only when it comes to it.
    Dynamic,
    /// The stack's record of it is corrected.
    Sync,
    /// A word that is not known here.
    Unknown,
}

/// Whether another resource takes the place of the one that is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Replacement {
    /// It stays.
    No,
    /// It goes.
    Yes,
    /// AWS knows only when it comes to it.
    Conditional,
    /// AWS does not say.
    Unsaid,
}

/// What becomes of the old resource.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Policy {
    /// It is deleted.
    Delete,
    /// It stays, outside of the stack.
    Retain,
    /// It is deleted, and a snapshot stays.
    Snapshot,
    /// A new one takes its place, and it is deleted.
    ReplaceAndDelete,
    /// A new one takes its place, and it stays.
    ReplaceAndRetain,
    /// A new one takes its place, and a snapshot stays.
    ReplaceAndSnapshot,
    /// A word that is not known here.
    Unknown,
}

/// A property that changes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Property {
    /// Where it is, as in `/Properties/ContainerDefinitions/0/Image` or `Tags`.
    pub path: String,
    /// What its neighbour calls it, as an environment's entry does: `DATABASE_URL`.
    pub label: Option<String>,
    /// What it is.
    pub before: Option<String>,
    /// What it is to be.
    pub after: Option<String>,
    /// Whether that takes another resource.
    pub recreation: Recreation,
    /// What it comes from, as in `ContainerImage`; empty where the template says it itself.
    pub causes: Vec<String>,
}

/// Whether a changed property takes another resource.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Recreation {
    /// No.
    Never,
    /// It depends.
    Maybe,
    /// Yes.
    Always,
}

/// One page of a change set.
pub(super) fn read(answer: &DescribeChangeSetOutput) -> ChangeSet {
    let text = |value: Option<&str>| value.unwrap_or_default().to_owned();
    let parameters = answer.parameters().iter();
    ChangeSet {
        id: text(answer.change_set_id()),
        name: text(answer.change_set_name()),
        stack_id: text(answer.stack_id()),
        stack: text(answer.stack_name()),
        making: answer.status().map_or(Making::Going, making),
        reason: answer.status_reason().filter(|it| !it.is_empty()).map(str::to_owned),
        execution: answer.execution_status().map_or(Execution::Unavailable, execution),
        parameters: parameters
            .filter_map(|it| Some((it.parameter_key()?.to_owned(), it.parameter_value()?.to_owned())))
            .collect(),
        changes: answer.changes().iter().filter_map(|it| it.resource_change()).map(change).collect(),
    }
}

fn making(status: &sdk::ChangeSetStatus) -> Making {
    use sdk::ChangeSetStatus as Of;
    match status {
        Of::CreateComplete => Making::Made,
        Of::Failed => Making::Failed,
        Of::DeleteComplete | Of::DeleteFailed | Of::DeleteInProgress | Of::DeletePending => Making::Gone,
        _ => Making::Going,
    }
}

fn execution(status: &sdk::ExecutionStatus) -> Execution {
    use sdk::ExecutionStatus as Of;
    match status {
        Of::Available => Execution::Available,
        Of::ExecuteInProgress => Execution::Going,
        Of::ExecuteComplete => Execution::Done,
        Of::ExecuteFailed => Execution::Failed,
        Of::Obsolete => Execution::Obsolete,
        _ => Execution::Unavailable,
    }
}

fn change(change: &sdk::ResourceChange) -> Change {
    use sdk::{ChangeAction as Does, PolicyAction as Keeps, Replacement as Replaces};
    let text = |value: Option<&str>| value.filter(|it| !it.is_empty()).map(str::to_owned);
    Change {
        action: match change.action() {
            Some(Does::Add) => Action::Add,
            Some(Does::Modify) => Action::Modify,
            Some(Does::Remove) => Action::Remove,
            Some(Does::Import) => Action::Import,
            Some(Does::Dynamic) => Action::Dynamic,
            Some(Does::SyncWithActual) => Action::Sync,
            _ => Action::Unknown,
        },
        id: text(change.logical_resource_id()).unwrap_or_default(),
        kind: text(change.resource_type()).unwrap_or_default(),
        physical: text(change.physical_resource_id()),
        replacement: match change.replacement() {
            Some(Replaces::True) => Replacement::Yes,
            Some(Replaces::False) => Replacement::No,
            Some(Replaces::Conditional) => Replacement::Conditional,
            _ => Replacement::Unsaid,
        },
        policy: change.policy_action().map(|policy| match policy {
            Keeps::Delete => Policy::Delete,
            Keeps::Retain => Policy::Retain,
            Keeps::Snapshot => Policy::Snapshot,
            Keeps::ReplaceAndDelete => Policy::ReplaceAndDelete,
            Keeps::ReplaceAndRetain => Policy::ReplaceAndRetain,
            Keeps::ReplaceAndSnapshot => Policy::ReplaceAndSnapshot,
            _ => Policy::Unknown,
        }),
        properties: properties(change),
        nested: text(change.change_set_id()),
    }
}

/// AWS tells of one property in several details: what it is and was in one, what it comes from in others,
/// which name the property at the top level only.
fn properties(change: &sdk::ResourceChange) -> Vec<Property> {
    let contexts = [change.after_context(), change.before_context()];
    let contexts: Vec<Value> =
        contexts.into_iter().flatten().filter_map(|text| serde_json::from_str(text).ok()).collect();
    let mut found: Vec<(&str, Property)> = Vec::new();
    let targets = change.details().iter().filter_map(|detail| Some((detail, detail.target()?)));
    let (placed, named): (Vec<_>, Vec<_>) = targets.partition(|(_, target)| path(target).is_some());
    for (detail, target) in placed.into_iter().chain(named) {
        let attribute = target.attribute().map_or("", |it| it.as_str());
        let name = target.name().unwrap_or(attribute);
        let text = |value: Option<&str>| value.map(str::to_owned);
        let detail = Property {
            path: path(target).unwrap_or(name).to_owned(),
            label: path(target).and_then(|path| label(path, &contexts)),
            before: text(target.before_value()),
            after: text(target.after_value()),
            recreation: match target.requires_recreation().map(|it| it.as_str()) {
                Some("Always") => Recreation::Always,
                Some("Conditionally") => Recreation::Maybe,
                _ => Recreation::Never,
            },
            causes: detail.causing_entity().map(str::to_owned).into_iter().collect(),
        };
        let is_same = |of: &str, property: &Property| match path(target) {
            Some(path) => property.path == path,
            None => of == name,
        };
        let mut is_told = false;
        for (_, property) in found.iter_mut().filter(|(of, property)| is_same(of, property)) {
            property.add(&detail);
            is_told = true;
        }
        if !is_told {
            found.push((name, detail));
        }
    }
    found.into_iter().map(|(_, property)| property).collect()
}

fn path(target: &sdk::ResourceTargetDefinition) -> Option<&str> {
    target.path().filter(|path| !path.is_empty())
}

/// The `Name` beside a `Value`.
fn label(path: &str, contexts: &[Value]) -> Option<String> {
    let name = format!("{}/Name", path.strip_suffix("/Value")?);
    contexts.iter().find_map(|context| context.pointer(&name)?.as_str().map(str::to_owned))
}

impl Property {
    /// Takes over what another detail says of the same.
    fn add(&mut self, other: &Self) {
        self.recreation = self.recreation.max(other.recreation);
        self.before = self.before.take().or_else(|| other.before.clone());
        self.after = self.after.take().or_else(|| other.after.clone());
        for cause in &other.causes {
            if !self.causes.contains(cause) {
                self.causes.push(cause.clone());
            }
        }
    }
}
