//! What a pull request may change with its own `preview.yaml`. The base branch decides the rest: nobody has
//! reviewed a pull request when its preview is launched.

use preview_agent::config::yaml::{Content, Entry, Node};

use super::model::Settings;

/// Keys of `agent.source` that come from the head.
const SOURCE: [&str; 5] = ["ref", "context", "dockerfile", "target", "build_args"];
/// Keys of a job and of the migration that come from the head. The base decides the others, such as `files`.
const JOB: [&str; 5] = ["name", "image", "entrypoint", "command", "timeout"];

/// A setting in the head's file that has no effect before the merge.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused {
    /// Line in the head's file, from 1.
    pub line: u64,
    /// The field, as in `agent.database`.
    pub field: String,
}

/// The base's settings with the head's allowed changes, and the head's other changes.
#[must_use]
pub fn with_head(base: Settings, head: &Settings) -> (Settings, Vec<Refused>) {
    let mut agent = base.agent.clone();
    take(&mut agent, &head.agent);
    let mut refused = Vec::new();
    differences(&agent, &head.agent, "agent", &mut refused);
    let fields = [
        ("instance", base.instance != head.instance),
        ("scope", base.scope != head.scope),
        ("path", base.path != head.path),
        ("viewers", base.viewers != head.viewers),
        ("secrets", base.secrets != head.secrets),
    ];
    let changed = fields.iter().filter(|(_, changed)| *changed);
    refused.splice(
        0..0,
        changed.map(|(field, _)| Refused {
            line: head.lines.get(*field).copied().unwrap_or(1),
            field: (*field).to_owned(),
        }),
    );
    (Settings { agent, ..base }, refused)
}

fn take(base: &mut Node, head: &Node) {
    take_key(base, head, "image");
    take_key(base, head, "health");
    within(base, head, "source", |base, head| SOURCE.iter().for_each(|key| take_key(base, head, key)));
    within(base, head, "app", |base, head| {
        take_key(base, head, "command");
        take_literals(base, head);
    });
    within(base, head, "migrate", |base, head| JOB.iter().for_each(|key| take_key(base, head, key)));
    take_jobs(base, head);
}

/// Takes the head's value, or removes the base's if the head has none.
fn take_key(base: &mut Node, head: &Node, key: &str) {
    let (Content::Map(base), Content::Map(head)) = (&mut base.content, &head.content) else { return };
    let place = base.iter().position(|entry| entry.key == key);
    match (place, head.iter().find(|entry| entry.key == key)) {
        (Some(place), Some(new)) => base[place] = new.clone(),
        (None, Some(new)) => base.push(new.clone()),
        (Some(place), None) => drop(base.remove(place)),
        (None, None) => {}
    }
}

/// Calls `then` if both have this section; of a section that only one of them has, the base decides.
fn within(base: &mut Node, head: &Node, key: &str, then: impl FnOnce(&mut Node, &Node)) {
    if let (Some(base), Some(head)) = (get_mut(base, key), get(head, key)) {
        then(base, head);
    }
}

/// Takes the literals of `app.env`. A reference leads to a secret, so the base decides those.
fn take_literals(base: &mut Node, head: &Node) {
    let Some(Content::Map(news)) = get(head, "env").map(|env| &env.content) else { return };
    let Content::Map(entries) = &mut base.content else { return };
    if !entries.iter().any(|entry| entry.key == "env") {
        let value = Node { at: head.at, content: Content::Map(Vec::new()) };
        entries.push(Entry { key: "env".to_owned(), at: head.at, value });
    }
    let Some(Content::Map(olds)) = get_mut(base, "env").map(|env| &mut env.content) else { return };
    let is_literal = |entry: &Entry| matches!(entry.value.content, Content::Scalar { .. });
    olds.retain(|old| !is_literal(old) || news.iter().any(|new| new.key == old.key));
    for new in news.iter().filter(|entry| is_literal(entry)) {
        match olds.iter_mut().find(|old| old.key == new.key) {
            Some(old) => *old = new.clone(),
            None => olds.push(new.clone()),
        }
    }
}

/// Takes the head's jobs in the head's order; keys other than [`JOB`] come from the base's job of the same name.
fn take_jobs(base: &mut Node, head: &Node) {
    let none = Node { at: head.at, content: Content::List(Vec::new()) };
    let olds = get(base, "jobs").unwrap_or(&none).clone();
    let (Content::List(olds), Content::List(news)) =
        (olds.content, &get(head, "jobs").unwrap_or(&none).content)
    else {
        return;
    };
    let jobs = news.iter().map(|new| {
        let same = |old: &&Node| scalar(old, "name").is_some() && scalar(old, "name") == scalar(new, "name");
        let empty = Node { at: new.at, content: Content::Map(Vec::new()) };
        let mut job = olds.iter().find(same).unwrap_or(&empty).clone();
        JOB.iter().for_each(|key| take_key(&mut job, new, key));
        job
    });
    let jobs = Node { at: head.at, content: Content::List(jobs.collect()) };
    let Content::Map(entries) = &mut base.content else { return };
    entries.retain(|entry| entry.key != "jobs");
    if !news.is_empty() {
        entries.push(Entry { key: "jobs".to_owned(), at: head.at, value: jobs });
    }
}

fn get<'a>(node: &'a Node, key: &str) -> Option<&'a Node> {
    let Content::Map(entries) = &node.content else { return None };
    entries.iter().find(|entry| entry.key == key).map(|entry| &entry.value)
}

fn get_mut<'a>(node: &'a mut Node, key: &str) -> Option<&'a mut Node> {
    let Content::Map(entries) = &mut node.content else { return None };
    entries.iter_mut().find(|entry| entry.key == key).map(|entry| &mut entry.value)
}

fn scalar<'a>(node: &'a Node, key: &str) -> Option<&'a str> {
    match get(node, key).map(|node| &node.content) {
        Some(Content::Scalar { text, .. }) => Some(text),
        _ => None,
    }
}

/// Finds where the settings in use differ from the head's.
fn differences(used: &Node, head: &Node, path: &str, found: &mut Vec<Refused>) {
    let mut differs = |node: &Node, path: String| found.push(Refused { line: node.at.line, field: path });
    match (&used.content, &head.content) {
        (Content::Null, Content::Null) => {}
        (Content::Scalar { text: a, .. }, Content::Scalar { text: b, .. }) if a == b => {}
        (Content::List(a), Content::List(b)) if a.len() == b.len() => {
            for (i, (a, b)) in a.iter().zip(b).enumerate() {
                differences(a, b, &format!("{path}[{i}]"), found);
            }
        }
        (Content::Map(a), Content::Map(b)) => {
            for entry in b {
                let inner = format!("{path}.{}", entry.key);
                match a.iter().find(|used| used.key == entry.key) {
                    Some(used) => differences(&used.value, &entry.value, &inner, found),
                    None => found.push(Refused { line: entry.at.line, field: inner }),
                }
            }
            for entry in a.iter().filter(|used| b.iter().all(|entry| entry.key != used.key)) {
                found.push(Refused { line: head.at.line, field: format!("{path}.{}", entry.key) });
            }
        }
        _ => differs(head, path.to_owned()),
    }
}
