//! Previews that stand when a test begins.

use std::collections::BTreeMap;

use super::account::{DB_GROUP, GROUP};
use super::ec2::{Instance, Rule};
use super::ssm::Parameter;
use super::status::{document, says};
use super::world::World;

/// A preview of this number that is up, with all that belongs to it.
pub fn has(world: &World, number: u64) {
    let number_text = number.to_string();
    let tags =
        [("Purpose", "pr-preview-singleton"), ("Repository", "acme/api"), ("PullRequest", &*number_text)];
    let id = format!("i-{number}");
    let mut inner = world.account.lock();
    inner.instances.push(Instance::running(&id, &tags));
    let tags: BTreeMap<String, String> =
        tags.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
    let mut rule = |group: &str, port: &str, from: String, description: String, tagged: bool| {
        let mut tags = tags.clone();
        if !tagged {
            tags.remove("PullRequest");
        }
        let id = format!("sgr-{}", inner.rules.len());
        let (group, port) = (group.to_owned(), port.to_owned());
        if !inner.rules.iter().any(|rule| (&rule.group, &rule.port, &rule.from) == (&group, &port, &from)) {
            inner.rules.push(Rule { id, group, port, from, description, tags });
        }
    };
    rule(GROUP, "8000", format!("192.0.2.{number}/32"), format!("pr-preview PR {number}"), true);
    rule(DB_GROUP, "5432", format!("192.0.2.{number}/32"), format!("pr-preview PR {number}"), true);
    rule(GROUP, "8000", format!("198.51.100.{number}/32"), format!("pr-preview PR {number} runner"), true);
    rule(GROUP, "8000", "203.0.113.0/24".to_owned(), "pr-preview viewers".to_owned(), false);
    for (name, secure) in [("status", false), ("database-url", true)] {
        let parameter = Parameter { value: "x".to_owned(), secure, tags: tags.clone() };
        inner.parameters.insert(format!("/pr-preview/{number}/{name}"), parameter);
    }
    says(&mut inner, number, &document(&id, number, "ready"));
}
