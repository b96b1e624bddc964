//! From AWS's description of a change set to ours.

use aws_sdk_cloudformation::operation::describe_change_set::DescribeChangeSetOutput;
use aws_sdk_cloudformation::types as sdk;
use serde_json::Value;

use super::change_set::{
    Action, Change, ChangeSet, Execution, Making, Policy, Property, Recreation, Replacement,
};

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

#[cfg(test)]
mod tests {
    use super::*;

    fn detail(
        path: Option<&str>,
        values: Option<(&str, &str)>,
        cause: Option<&str>,
    ) -> sdk::ResourceChangeDetail {
        let target = sdk::ResourceTargetDefinition::builder()
            .attribute(sdk::ResourceAttribute::Properties)
            .name("ContainerDefinitions")
            .set_path(path.map(str::to_owned))
            .set_before_value(values.map(|(before, _)| before.to_owned()))
            .set_after_value(values.map(|(_, after)| after.to_owned()))
            .requires_recreation(sdk::RequiresRecreation::Always);
        let detail = sdk::ResourceChangeDetail::builder().target(target.build());
        detail.set_causing_entity(cause.map(str::to_owned)).build()
    }

    fn read_of(details: Vec<sdk::ResourceChangeDetail>) -> Vec<Property> {
        let after =
            r#"{"Properties":{"ContainerDefinitions":[{"Environment":[{"Name":"MODE","Value":"fast"}]}]}}"#;
        let change = sdk::ResourceChange::builder().set_details(Some(details)).after_context(after).build();
        super::change(&change).properties
    }

    #[test]
    fn what_aws_says_of_one_property_in_several_places_is_one() {
        // As AWS does it, in either order.
        let image = "/Properties/ContainerDefinitions/0/Image";
        let told = detail(Some(image), Some(("img:1", "img:2")), None);
        let caused = detail(None, None, Some("ContainerImage"));
        for details in [vec![told.clone(), caused.clone()], vec![caused.clone(), told]] {
            let [property] = read_of(details).try_into().unwrap();
            assert_eq!((property.path.as_str(), property.after.as_deref()), (image, Some("img:2")));
            assert_eq!(
                (property.causes, property.recreation),
                (vec!["ContainerImage".to_owned()], Recreation::Always)
            );
        }
        // As ministack does it, which knows no paths.
        let [property] = read_of(vec![detail(None, None, None), caused]).try_into().unwrap();
        assert_eq!((property.path.as_str(), property.causes.len()), ("ContainerDefinitions", 1));
    }

    #[test]
    fn an_entry_is_called_by_the_name_beside_it() {
        let place = "/Properties/ContainerDefinitions/0/Environment/0/Value";
        let [property] = read_of(vec![detail(Some(place), Some(("slow", "fast")), None)]).try_into().unwrap();
        assert_eq!(property.label.as_deref(), Some("MODE"));
        let gone = "/Properties/ContainerDefinitions/9/Environment/0/Value";
        assert_eq!(read_of(vec![detail(Some(gone), None, None)])[0].label, None);
    }
}
