//! What is not applied unless somebody has said so of that very resource.

use std::fmt;

use super::stateful::is_stateful;
use crate::aws::{Action, Change, Policy, Replacement};

/// A change that is refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// The resource's logical id, which `--allow` takes.
    pub id: String,
    /// Its type.
    pub kind: String,
    /// Why.
    pub why: Why,
}

/// Why a change is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Why {
    /// It is removed from the stack.
    Removed,
    /// It is deleted, whatever else is done.
    Deleted,
    /// Another one takes its place, with nothing in it.
    Replaced,
    /// Another one may take its place.
    MaybeReplaced,
    /// AWS does not say whether another one takes its place.
    Unsaid,
    /// It is a nested stack, and nobody can see what would change in it.
    Hidden,
    /// AWS says a word of it that is not known here.
    Unknown,
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Removed => "is removed",
            Self::Deleted => "is deleted",
            Self::Replaced => "is replaced, and what it holds is lost",
            Self::MaybeReplaced => "may be replaced, and what it holds be lost",
            Self::Unsaid => "changes, and AWS does not say whether it is replaced",
            Self::Hidden => "is a nested stack whose changes are not shown",
            Self::Unknown => "is changed in a way that is not known here",
        })
    }
}

/// The changes that are not applied unless their ids are among these.
#[must_use]
pub fn refusals(changes: &[Change], allowed: &[String]) -> Vec<Refusal> {
    let refused = changes.iter().filter(|change| !allowed.contains(&change.id));
    refused.filter_map(|change| Some(refusal(change, why(change)?))).collect()
}

fn refusal(change: &Change, why: Why) -> Refusal {
    Refusal { id: change.id.clone(), kind: change.kind.clone(), why }
}

fn why(change: &Change) -> Option<Why> {
    let stateful = is_stateful(&change.kind);
    let is_nested = change.kind == "AWS::CloudFormation::Stack";
    match (change.action, change.policy) {
        // Whatever its policy: what is retained is no longer the stack's.
        (Action::Remove, _) => return Some(Why::Removed),
        (_, Some(Policy::Delete)) => return Some(Why::Deleted),
        (Action::Unknown, _) | (_, Some(Policy::Unknown)) => return Some(Why::Unknown),
        (Action::Add | Action::Import | Action::Sync, _) => return None,
        (Action::Modify | Action::Dynamic, _) if !stateful => return None,
        (Action::Modify, _) => {}
        (Action::Dynamic, _) => return Some(Why::MaybeReplaced),
    }
    // Replacement may be unsaid where the policy tells of it.
    let replaces = matches!(
        change.policy,
        Some(Policy::ReplaceAndDelete | Policy::ReplaceAndRetain | Policy::ReplaceAndSnapshot)
    );
    match change.replacement {
        Replacement::Yes => Some(Why::Replaced),
        _ if replaces => Some(Why::Replaced),
        Replacement::Conditional => Some(Why::MaybeReplaced),
        Replacement::No | Replacement::Unsaid if is_nested && change.nested.is_none() => Some(Why::Hidden),
        Replacement::No => None,
        Replacement::Unsaid if is_nested => None,
        Replacement::Unsaid => Some(Why::Unsaid),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn change(kind: &str, action: Action, replacement: Replacement, policy: Option<Policy>) -> Change {
        Change {
            action,
            id: "It".to_owned(),
            kind: kind.to_owned(),
            physical: None,
            replacement,
            policy,
            properties: Vec::new(),
            nested: None,
        }
    }

    #[test]
    fn what_takes_something_along_is_refused() {
        use Action::{Add, Dynamic, Import, Modify, Remove, Sync, Unknown};
        use Policy::{Delete, ReplaceAndDelete, ReplaceAndRetain, ReplaceAndSnapshot, Retain, Snapshot};
        use Replacement::{Conditional, No, Unsaid, Yes};
        let (task, service, db) = ("AWS::ECS::TaskDefinition", "AWS::ECS::Service", "AWS::RDS::DBInstance");
        let (instance, stack) = ("AWS::EC2::Instance", "AWS::CloudFormation::Stack");
        let table = [
            // The document's own update.
            (task, Modify, Yes, Some(ReplaceAndDelete), None),
            (service, Modify, No, None, None),
            (service, Modify, Conditional, None, None),
            (task, Modify, Conditional, None, None),
            (db, Add, Unsaid, None, None),
            (db, Import, Unsaid, None, None),
            (db, Sync, No, None, None),
            (db, Modify, No, None, None),
            // Whatever is removed, whatever it is.
            (task, Remove, Unsaid, Some(Delete), Some(Why::Removed)),
            (task, Remove, Unsaid, None, Some(Why::Removed)),
            (db, Remove, Unsaid, Some(Retain), Some(Why::Removed)),
            (db, Remove, Unsaid, Some(Snapshot), Some(Why::Removed)),
            (service, Modify, No, Some(Delete), Some(Why::Deleted)),
            // What would lose what it holds.
            (db, Modify, Yes, Some(ReplaceAndDelete), Some(Why::Replaced)),
            (db, Modify, Yes, Some(ReplaceAndSnapshot), Some(Why::Replaced)),
            (db, Modify, Yes, Some(ReplaceAndRetain), Some(Why::Replaced)),
            (db, Modify, Yes, None, Some(Why::Replaced)),
            (db, Modify, Unsaid, Some(ReplaceAndDelete), Some(Why::Replaced)),
            (db, Modify, No, Some(ReplaceAndDelete), Some(Why::Replaced)),
            (db, Modify, Conditional, None, Some(Why::MaybeReplaced)),
            (db, Modify, Unsaid, None, Some(Why::Unsaid)),
            (db, Dynamic, Unsaid, None, Some(Why::MaybeReplaced)),
            (service, Dynamic, Unsaid, None, None),
            (instance, Modify, Yes, Some(ReplaceAndDelete), Some(Why::Replaced)),
            (instance, Modify, Conditional, None, Some(Why::MaybeReplaced)),
            (stack, Modify, No, None, Some(Why::Hidden)),
            (stack, Modify, Yes, None, Some(Why::Replaced)),
            (task, Unknown, Unsaid, None, Some(Why::Unknown)),
            (task, Modify, No, Some(Policy::Unknown), Some(Why::Unknown)),
        ];
        for (kind, action, replacement, policy, why) in table {
            let found = refusals(&[change(kind, action, replacement, policy)], &[]);
            let found = found.first().map(|refusal| refusal.why);
            assert_eq!(found, why, "{kind} {action:?} {replacement:?} {policy:?}");
        }
        let mut seen = change(stack, Modify, No, None);
        seen.nested = Some("arn".to_owned());
        assert_eq!(refusals(&[seen], &[]), []);
    }

    #[test]
    fn each_is_allowed_by_its_own_id() {
        let mut other = change("AWS::SQS::Queue", Action::Remove, Replacement::Unsaid, None);
        other.id = "Other".to_owned();
        let all = [change("AWS::SQS::Queue", Action::Remove, Replacement::Unsaid, None), other];
        let left = |allowed: &[&str]| {
            let allowed: Vec<String> = allowed.iter().map(|id| (*id).to_owned()).collect();
            refusals(&all, &allowed).into_iter().map(|refusal| refusal.id).collect::<Vec<_>>()
        };
        assert_eq!(left(&[]), ["It", "Other"]);
        assert_eq!(left(&["It"]), ["Other"]);
        assert_eq!(left(&["other", "*"]), ["It", "Other"]);
        assert_eq!(left(&["It", "Other"]), <Vec<String>>::new());
    }
}
