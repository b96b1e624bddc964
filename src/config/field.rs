//! A cursor over the tree: knows the field's path and collects every problem.

use std::collections::HashSet;
use std::fmt::Display;
use std::path::PathBuf;

use super::error::Problem;
use super::findings::{Findings, HostFile};
use super::yaml::{Content, Entry, Node, Position};

/// One field of the document. Readers return `None` once they have reported.
pub struct Field<'a> {
    node: &'a Node,
    path: String,
    findings: &'a Findings,
}

impl<'a> Field<'a> {
    /// The document as a whole; what is wrong goes to the findings.
    #[must_use]
    pub fn root(node: &'a Node, findings: &'a Findings) -> Self {
        Self { node, path: String::new(), findings }
    }

    /// Another node in the place of this one, under this path, with the same findings.
    #[must_use]
    pub fn of<'b>(&self, node: &'b Node, path: &str) -> Field<'b>
    where
        'a: 'b,
    {
        Field { node, path: path.to_owned(), findings: self.findings }
    }

    /// The node.
    #[must_use]
    pub fn node(&self) -> &'a Node {
        self.node
    }

    /// What it holds.
    #[must_use]
    pub fn content(&self) -> &'a Content {
        &self.node.content
    }

    /// Reports a problem with this field's value.
    pub fn fail<T>(&self, message: impl Into<String>) -> Option<T> {
        self.report(self.node.at, self.path.clone(), message.into());
        None
    }

    fn report(&self, at: Position, field: String, message: String) {
        let problem = Problem { line: at.line, column: at.column, field, message };
        self.findings.problems.borrow_mut().push(problem);
    }

    /// The scalar's text; numbers and booleans as they are written. `None` once it was reported that there is
    /// none; so do all readers below.
    pub fn text(&self, expected: &str) -> Option<&'a str> {
        match &self.node.content {
            Content::Scalar { text, .. } => Some(text),
            Content::Null => self.fail(format!("expected {expected}, found nothing")),
            Content::List(_) => self.fail(format!("expected {expected}, found a list")),
            Content::Map(_) => self.fail(format!("expected {expected}, found a map")),
        }
    }

    /// The scalar's text through a parser whose error says what is wrong.
    pub fn parse<T, E: Display>(
        &self,
        expected: &str,
        parser: impl FnOnce(&'a str) -> Result<T, E>,
    ) -> Option<T> {
        match parser(self.text(expected)?) {
            Ok(value) => Some(value),
            Err(error) => self.fail(error.to_string()),
        }
    }

    /// `true` or `false`.
    pub fn bool(&self) -> Option<bool> {
        self.parse("true or false", |text| text.parse::<bool>().map_err(|_| "expected true or false"))
    }

    /// Whether the field says `off`, which YAML 1.1 tools may have turned into `false`.
    #[must_use]
    pub fn is_off(&self) -> bool {
        matches!(&self.node.content, Content::Scalar { text, .. } if text == "off" || text == "false")
    }

    /// The items of a list.
    pub fn items(&self, expected: &str) -> Option<Vec<Field<'a>>> {
        match &self.node.content {
            Content::List(items) => Some(
                items
                    .iter()
                    .enumerate()
                    .map(|(i, node)| self.child(node, format!("{}[{i}]", self.path)))
                    .collect(),
            ),
            Content::Map(_) => self.fail(format!("expected {expected}, found a map")),
            _ => self.fail(format!("expected {expected}")),
        }
    }

    /// A map whose keys are the user's own; `check` judges each key.
    /// A key without a value counts as not given.
    pub fn entries<E: Display>(
        &self,
        expected: &str,
        check: impl Fn(&str) -> Result<(), E>,
    ) -> Option<Vec<(&'a str, Field<'a>)>> {
        let mut fields = Vec::new();
        for entry in self.map_entries(expected)? {
            if let Err(error) = check(&entry.key) {
                // The key is not named: what is no valid name may well be a value.
                self.report(entry.at, self.path.clone(), error.to_string());
            } else if !matches!(entry.value.content, Content::Null) {
                fields.push((entry.key.as_str(), self.member(entry)));
            }
        }
        Some(fields)
    }

    /// A map with the known keys and no other. `unknown` says what to do about
    /// another one.
    pub fn map(&self, known: &[&str], unknown: impl Fn(&str) -> String) -> Option<Map<'a>> {
        let entries = self.map_entries("a map")?;
        for entry in entries.iter().filter(|entry| !known.contains(&entry.key.as_str())) {
            self.report(entry.at, self.path.clone(), unknown(&entry.key));
        }
        let fields = entries
            .iter()
            .filter(|entry| !matches!(entry.value.content, Content::Null))
            .map(|entry| (entry.key.as_str(), self.member(entry)))
            .collect();
        let field = self.child(self.node, self.path.clone());
        Some(Map { field, fields })
    }

    /// [`Self::map`] with the message that lists the known keys.
    pub fn record(&self, known: &[&str]) -> Option<Map<'a>> {
        self.map(known, |key| {
            let name = if is_plain(key) { format!(" `{key}`") } else { String::new() };
            format!("unknown key{name}; known here: {}", known.join(", "))
        })
    }

    fn map_entries(&self, expected: &str) -> Option<&'a [Entry]> {
        let entries = match &self.node.content {
            Content::Map(entries) => entries,
            Content::Null => return self.fail(format!("expected {expected}, found nothing")),
            Content::List(_) => return self.fail(format!("expected {expected}, found a list")),
            Content::Scalar { .. } => return self.fail(format!("expected {expected}, found a single value")),
        };
        let mut seen = HashSet::new();
        for entry in entries {
            if !seen.insert(entry.key.as_str()) {
                self.report(entry.at, self.member(entry).path, "the key is given twice".into());
            }
        }
        Some(entries)
    }

    fn member(&self, entry: &'a Entry) -> Field<'a> {
        let name = if is_plain(&entry.key) { entry.key.as_str() } else { "…" };
        let dot = if self.path.is_empty() { "" } else { "." };
        self.child(&entry.value, format!("{}{dot}{name}", self.path))
    }

    fn child(&self, node: &'a Node, path: String) -> Field<'a> {
        Field { node, path, findings: self.findings }
    }

    /// Notes a host path whose existence the caller of `load` wants to know.
    pub(super) fn note_host_file(&self, path: PathBuf) {
        let file = HostFile { path, field: self.path.clone(), at: self.node.at };
        self.findings.host_files.borrow_mut().push(file);
    }
}

/// Whether a key can be shown: it looks like a name, a host or a path.
fn is_plain(key: &str) -> bool {
    (1..=64).contains(&key.len())
        && key.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.' | b'/' | b':'))
        && !key.contains("://")
}

/// A map with known keys.
pub struct Map<'a> {
    /// The map itself, for what is wrong with it as a whole.
    pub field: Field<'a>,
    fields: Vec<(&'a str, Field<'a>)>,
}

impl<'a> Map<'a> {
    /// The field, unless it is absent or has no value.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&Field<'a>> {
        self.fields.iter().find(|(name, _)| *name == key).map(|(_, field)| field)
    }

    /// A field that must be there.
    pub fn need<T>(
        &self,
        key: &str,
        expected: &str,
        read: impl FnOnce(&Field<'a>) -> Option<T>,
    ) -> Option<T> {
        match self.get(key) {
            Some(field) => read(field),
            None => self.field.fail(format!("`{key}` is missing: {expected}")),
        }
    }

    /// A field with a default.
    pub fn or<T>(&self, key: &str, default: T, read: impl FnOnce(&Field<'a>) -> Option<T>) -> Option<T> {
        self.get(key).map_or(Some(default), read)
    }

    /// A field that may be absent.
    pub fn maybe<T>(&self, key: &str, read: impl FnOnce(&Field<'a>) -> Option<T>) -> Option<Option<T>> {
        self.get(key).map_or(Some(None), |field| read(field).map(Some))
    }
}
