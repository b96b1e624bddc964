//! The agent's configuration for one pull request: placeholders filled in, checked as the agent checks it, and
//! written as JSON for the User Data.

use std::fmt::Write as _;

use preview_agent::config::yaml::{Content, Entry, Kind, Node, Position};
use preview_agent::config::{self, Config, Error, Field, Findings, Problem, UnknownPlaceholder};

use super::fill::{Fill, PLACEHOLDERS};
use super::model::Settings;
use crate::names::deployment;

/// A valid configuration of the agent.
#[derive(Debug)]
pub struct AgentConfig {
    /// The parsed configuration.
    pub config: Config,
    /// One line of JSON, which is YAML too.
    pub text: String,
}

impl AgentConfig {
    /// Fills in a pull request's facts and the parameter for the agent's status.
    ///
    /// # Errors
    /// Each mistake, with its line in the settings' file.
    pub fn new(settings: &Settings, fill: &Fill<'_>) -> Result<Self, Error> {
        let findings = Findings::default();
        let nowhere = node(Content::Null);
        let made = checked(&Field::root(&nowhere, &findings), &settings.agent, fill);
        let problems = problems(findings);
        match made {
            Some(made) if problems.is_empty() => Ok(made),
            _ => Err(Error::Invalid { file: settings.file.clone(), problems }),
        }
    }
}

/// The findings. Of an unknown placeholder the agent's own message names only those of the instance.
pub(super) fn problems(findings: Findings) -> Vec<Problem> {
    let agents = UnknownPlaceholder.to_string();
    let mut problems = findings.into_problems();
    for problem in problems.iter_mut().filter(|problem| problem.message == agents) {
        problem.message =
            format!("a `${{` that begins none of {PLACEHOLDERS}; write a literal one as `$${{`");
    }
    problems
}

/// The configuration; `None` if it has mistakes, which are among the field's findings then.
pub(super) fn checked(root: &Field<'_>, agent: &Node, fill: &Fill<'_>) -> Option<AgentConfig> {
    let mut filled = agent.clone();
    if let Err((at, why)) = fill.fill(&mut filled) {
        return root.of(&Node { at, ..node(Content::Null) }, "agent").fail(why);
    }
    if let Content::Map(entries) = &mut filled.content {
        // `preview` finds the status by these.
        for ours in ["report", "deployment"] {
            if let Some(entry) = entries.iter().find(|entry| entry.key == ours) {
                let at = Node { at: entry.at, ..node(Content::Null) };
                return root
                    .of(&at, &format!("agent.{ours}"))
                    .fail("`preview` sets this itself; leave it out");
            }
        }
        entries.push(entry("report", map([("parameter", text(fill.preview.status()))])));
        entries.push(entry("deployment", map([("id", text(deployment(fill.preview.number)))])));
    }
    let config = config::read_field(&root.of(&filled, "agent"))?;
    Some(AgentConfig { config, text: json(&filled) })
}

fn node(content: Content) -> Node {
    Node { at: Position { line: 1, column: 1 }, content }
}

fn text(text: String) -> Node {
    node(Content::Scalar { text, kind: Kind::Text })
}

fn map<const N: usize>(entries: [(&str, Node); N]) -> Node {
    node(Content::Map(entries.into_iter().map(|(key, value)| entry(key, value)).collect()))
}

fn entry(key: &str, value: Node) -> Entry {
    Entry { key: key.to_owned(), at: Position { line: 1, column: 1 }, value }
}

/// The tree as JSON. Numbers and booleans become texts, so that `1.10` stays `1.10`: the agent reads them as they are
/// written.
fn json(node: &Node) -> String {
    let mut out = String::new();
    write_json(node, &mut out);
    out
}

fn write_json(node: &Node, out: &mut String) {
    match &node.content {
        Content::Null => *out += "null",
        Content::Scalar { text, .. } => quote(text, out),
        Content::List(items) => {
            *out += "[";
            for (i, item) in items.iter().enumerate() {
                *out += if i > 0 { "," } else { "" };
                write_json(item, out);
            }
            *out += "]";
        }
        Content::Map(entries) => {
            *out += "{";
            for (i, entry) in entries.iter().enumerate() {
                *out += if i > 0 { "," } else { "" };
                quote(&entry.key, out);
                *out += ":";
                write_json(&entry.value, out);
            }
            *out += "}";
        }
    }
}

/// Writes a string in ASCII without `@`: the User Data script takes a word between two `@` for a placeholder that
/// nobody replaced.
fn quote(text: &str, out: &mut String) {
    out.push('"');
    for unit in text.encode_utf16() {
        match char::from_u32(u32::from(unit)) {
            Some(c @ ('"' | '\\')) => out.extend(['\\', c]),
            Some(c @ ' '..='~') if c != '@' => out.push(c),
            // Writing to a string never fails.
            _ => write!(out, "\\u{unit:04x}").unwrap_or_default(),
        }
    }
    out.push('"');
}
