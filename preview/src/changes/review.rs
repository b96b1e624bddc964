//! A change set as a reviewer sees it: one view, of which the text, the Markdown and the JSON are made, and
//! whose fingerprint says that what is applied is what was seen.

use std::collections::BTreeMap;

use serde::Serialize;

use super::gate::{Refusal, refusals};
use super::mask::{MASKED, shown};
use crate::aws::{Action, Change, ChangeSet, Policy, Property, Recreation, Replacement};

/// A change set, reviewed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Review {
    /// What there is to see.
    pub page: Page,
    /// What is not applied unless it is allowed.
    pub refused: Vec<Refusal>,
}

/// All that is shown, and all that the fingerprint is of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Page {
    /// The stack's name.
    pub stack: String,
    /// The stack's ARN.
    pub stack_id: String,
    /// The change set's name.
    pub name: String,
    /// The change set's ARN.
    pub change_set: String,
    /// What each parameter would be.
    pub parameters: BTreeMap<String, String>,
    /// What would become of each resource.
    pub changes: Vec<Row>,
}

/// What would become of one resource.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Row {
    /// `+`, `~`, `-` or `↻`.
    pub sign: &'static str,
    /// Its logical id.
    pub id: String,
    /// Its type.
    #[serde(rename = "type")]
    pub kind: String,
    /// Its id or ARN, once it has one.
    pub physical: Option<String>,
    /// What becomes of it, in words.
    pub what: &'static str,
    /// What of it changes.
    pub properties: Vec<Cell>,
}

/// What becomes of one property.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Cell {
    /// Where it is.
    pub path: String,
    /// What its neighbour calls it.
    pub label: Option<String>,
    /// What it is.
    pub before: Option<String>,
    /// What it would be.
    pub after: Option<String>,
    /// `never`, `maybe` or `always`: whether that takes another resource.
    pub recreation: &'static str,
    /// What it comes from.
    pub causes: Vec<String>,
}

impl Review {
    /// What a reviewer sees of a change set who allows these.
    #[must_use]
    pub fn new(set: &ChangeSet, allowed: &[String]) -> Self {
        let page = Page {
            stack: set.stack.clone(),
            stack_id: set.stack_id.clone(),
            name: set.name.clone(),
            change_set: set.id.clone(),
            parameters: set.parameters.iter().map(|(key, value)| (key.clone(), shown(key, value))).collect(),
            changes: set.changes.iter().map(|change| row(change, &set.parameters)).collect(),
        };
        Self { page, refused: refusals(&set.changes, allowed) }
    }

    /// What stands for all that was seen, as in `sha256:…`: of another set, or the same with another content, it
    /// is another.
    #[must_use]
    pub fn fingerprint(&self) -> String {
        let page = serde_json::to_vec(&self.page).unwrap_or_default();
        let digest = ring::digest::digest(&ring::digest::SHA256, &page);
        let digits: String = digest.as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
        format!("sha256:{digits}")
    }
}

fn row(change: &Change, parameters: &[(String, String)]) -> Row {
    let mut properties: Vec<Cell> =
        change.properties.iter().map(|property| cell(property, parameters)).collect();
    // Another order is no other change.
    properties.sort_by(|a, b| a.path.cmp(&b.path));
    Row {
        sign: sign(change),
        id: change.id.clone(),
        kind: change.kind.clone(),
        physical: change.physical.clone(),
        what: what(change),
        properties,
    }
}

fn sign(change: &Change) -> &'static str {
    match change.action {
        Action::Add | Action::Import => "+",
        Action::Remove => "-",
        _ if matches!(change.replacement, Replacement::Yes | Replacement::Conditional) => "↻",
        _ if matches!(
            change.policy,
            Some(Policy::ReplaceAndDelete | Policy::ReplaceAndRetain | Policy::ReplaceAndSnapshot)
        ) =>
        {
            "↻"
        }
        _ => "~",
    }
}

fn what(change: &Change) -> &'static str {
    match (change.action, change.replacement, change.policy) {
        (Action::Add, ..) => "is made",
        (Action::Import, ..) => "is taken into the stack as it is",
        (Action::Remove, _, Some(Policy::Retain)) => "is removed from the stack, and stays outside of it",
        (Action::Remove, _, Some(Policy::Snapshot)) => "is removed and deleted; a snapshot stays",
        (Action::Remove, ..) => "is removed and deleted",
        (Action::Sync, ..) => "is as the template says again",
        (Action::Dynamic, ..) => "is changed in a way that is known only when it comes to it",
        (Action::Unknown, ..) => "is changed in a way that is not known here",
        (_, _, Some(Policy::Delete)) => "is deleted",
        (_, _, Some(Policy::ReplaceAndDelete)) => "is replaced; the old one is deleted",
        (_, _, Some(Policy::ReplaceAndRetain)) => "is replaced; the old one stays outside of the stack",
        (_, _, Some(Policy::ReplaceAndSnapshot)) => "is replaced; a snapshot of the old one stays",
        (_, Replacement::Yes, _) => "is replaced",
        (_, Replacement::Conditional, _) => "may be replaced",
        (_, Replacement::No, _) => "is changed in place",
        (_, Replacement::Unsaid, _) => "is changed",
    }
}

fn cell(property: &Property, parameters: &[(String, String)]) -> Cell {
    let name = property.label.as_deref().unwrap_or(&property.path);
    // What comes from a masked parameter holds it. AWS says so of the whole of a property, `ContainerDefinitions`
    // for one: what is some other parameter's value is not meant.
    let is_masked =
        parameters.iter().any(|(key, value)| value == MASKED && property.causes.iter().any(|it| it == key));
    let is_known = |value: &str| parameters.iter().any(|(_, known)| known == value);
    let fit = |value: &Option<String>| {
        let value = value.as_ref()?;
        Some(if is_masked && !is_known(value) { MASKED.to_owned() } else { shown(name, value) })
    };
    let mut causes = property.causes.clone();
    causes.sort_unstable();
    Cell {
        path: property.path.clone(),
        label: property.label.clone(),
        before: fit(&property.before),
        after: fit(&property.after),
        recreation: match property.recreation {
            Recreation::Never => "never",
            Recreation::Maybe => "maybe",
            Recreation::Always => "always",
        },
        causes,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::aws::{Execution, Making};

    fn property(path: &str, after: &str) -> Property {
        Property {
            path: path.to_owned(),
            label: None,
            before: Some("1".to_owned()),
            after: Some(after.to_owned()),
            recreation: Recreation::Never,
            causes: vec!["B".to_owned(), "A".to_owned()],
        }
    }

    fn set(image: &str, properties: Vec<Property>) -> ChangeSet {
        let parameter = |key: &str, value: &str| (key.to_owned(), value.to_owned());
        ChangeSet {
            id: "arn".to_owned(),
            name: "name".to_owned(),
            stack_id: "stack-arn".to_owned(),
            stack: "stack".to_owned(),
            making: Making::Made,
            reason: None,
            execution: Execution::Available,
            parameters: vec![parameter("Image", image), parameter("Environment", "prod")],
            changes: vec![Change {
                action: Action::Modify,
                id: "Task".to_owned(),
                kind: "AWS::ECS::TaskDefinition".to_owned(),
                physical: None,
                replacement: Replacement::Yes,
                policy: Some(Policy::ReplaceAndDelete),
                properties,
                nested: None,
            }],
        }
    }

    #[test]
    fn the_fingerprint_is_of_the_content_whatever_its_order() {
        let of = |set: &ChangeSet| Review::new(set, &[]).fingerprint();
        let first = set("app:2", vec![property("/a", "2"), property("/b", "3")]);
        let mut turned = set("app:2", vec![property("/b", "3"), property("/a", "2")]);
        turned.parameters.reverse();
        turned.changes[0].properties[0].causes.reverse();
        assert_eq!(of(&first), of(&turned));
        // That it is allowed by now is no other content.
        assert_eq!(of(&first), Review::new(&first, &["Task".to_owned()]).fingerprint());
        let mut other = vec![set("app:3", first.changes[0].properties.clone())];
        other.push(set("app:2", vec![property("/a", "2"), property("/b", "4")]));
        other.push(ChangeSet { id: "another".to_owned(), ..first.clone() });
        other.push(ChangeSet { changes: Vec::new(), ..first.clone() });
        for other in &other {
            assert_ne!(of(&first), of(other), "{other:?}");
        }
    }
}
