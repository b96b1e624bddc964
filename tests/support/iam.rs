//! What IAM answers by a policy, as far as our policies go: an element or an operator that is not here fails the test
//! that meets it.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;

/// A policy of a role, or the one that says who may take a role on.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "PascalCase")]
pub struct Policy {
    #[serde(rename = "Version")]
    _version: String,
    statement: Vec<Statement>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "PascalCase")]
struct Statement {
    #[serde(rename = "Sid")]
    _sid: Option<String>,
    #[serde(rename = "Effect")]
    _effect: Effect,
    action: Words,
    resource: Option<Words>,
    principal: Option<Principal>,
    #[serde(default)]
    condition: BTreeMap<Operator, BTreeMap<String, Words>>,
}

#[derive(Debug, Deserialize)]
enum Effect {
    Allow,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "PascalCase")]
struct Principal {
    federated: String,
}

#[derive(Debug, Deserialize, PartialEq, Eq, PartialOrd, Ord)]
enum Operator {
    ArnEquals,
    StringEquals,
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Words {
    One(String),
    Several(Vec<String>),
}

impl Words {
    fn any(&self, fits: impl Fn(&str) -> bool) -> bool {
        match self {
            Self::One(word) => fits(word),
            Self::Several(words) => words.iter().any(|word| fits(word)),
        }
    }
}

/// One thing that IAM is asked; AWS asks about each resource that a call touches.
#[derive(Debug, Clone)]
pub struct Asked {
    pub action: String,
    /// ARN of the resource; of the provider of an identity that takes on a role.
    pub of: String,
    /// Condition keys that AWS sends along.
    pub context: BTreeMap<String, String>,
}

impl Policy {
    #[track_caller]
    pub fn read(policy: &Value) -> Self {
        assert!(!policy.to_string().contains("${"), "variables of policies: {policy}");
        serde_json::from_value(policy.clone()).unwrap_or_else(|error| panic!("{error}: {policy}"))
    }

    /// Whether a statement allows it; what none allows is denied.
    pub fn allows(&self, asked: &Asked) -> bool {
        self.statement.iter().any(|statement| statement.allows(asked))
    }
}

impl Statement {
    fn allows(&self, asked: &Asked) -> bool {
        let action = asked.action.to_lowercase();
        let of = match (&self.resource, &self.principal) {
            (Some(resources), None) => {
                resources.any(|pattern| pattern == "*" || arn_fits(pattern, &asked.of))
            }
            (None, Some(principal)) => principal.federated == asked.of,
            neither_or_both => panic!("{neither_or_both:?}"),
        };
        of && self.action.any(|pattern| fits(pattern.to_lowercase().as_bytes(), action.as_bytes()))
            && self.condition.iter().all(|(operator, keys)| {
                keys.iter().all(|(key, wanted)| {
                    // IAM reads keys without case. A key that is not sent equals nothing.
                    let sent = asked.context.iter().find(|(name, _)| name.eq_ignore_ascii_case(key));
                    sent.is_some_and(|(_, value)| match operator {
                        Operator::StringEquals => wanted.any(|word| word == value),
                        // IAM reference, "ARN condition operators": as ArnLike.
                        Operator::ArnEquals => wanted.any(|pattern| arn_fits(pattern, value)),
                    })
                })
            })
    }
}

/// ARNs are compared part by part: no `*` reaches over a colon but in the last one.
fn arn_fits(pattern: &str, arn: &str) -> bool {
    let parts = |arn: &str| arn.splitn(6, ':').map(|part| part.as_bytes().to_vec()).collect::<Vec<_>>();
    let (patterns, parts) = (parts(pattern), parts(arn));
    patterns.len() == parts.len() && patterns.iter().zip(&parts).all(|(pattern, part)| fits(pattern, part))
}

fn fits(pattern: &[u8], text: &[u8]) -> bool {
    match (pattern.split_first(), text.split_first()) {
        (None, None) => true,
        (Some((b'*', rest)), _) if fits(rest, text) => true,
        (Some((b'*', _)), Some((_, text))) => fits(pattern, text),
        (Some((b'?', rest)), Some((_, text))) => fits(rest, text),
        (Some((expected, rest)), Some((byte, text))) => expected == byte && fits(rest, text),
        _ => false,
    }
}
