//! `health`: what proves the application well.

use super::super::field::Field;
use super::super::model::{Health, Stage};
use super::super::names;
use super::super::yaml::{Content, Kind, Node};

pub(super) fn health(field: &Field<'_>) -> Option<Health> {
    let items = field.items("a list of stages: tcp, or {http: /path}")?;
    if items.is_empty() {
        return field.fail("expected at least one stage; without `health` the usual four run");
    }
    // All of them, so that each reports its own problem.
    let stages: Vec<Option<Stage>> = items.iter().map(stage).collect();
    stages.into_iter().collect::<Option<_>>().map(Health::Stages)
}

fn stage(field: &Field<'_>) -> Option<Stage> {
    match field.content() {
        Content::Map(_) => {}
        Content::Scalar { text, .. } if text == "tcp" => return Some(Stage::Tcp),
        _ => return field.fail("expected tcp, or {http: /path} with or without json"),
    }
    let map = field.record(&["http", "json"])?;
    let path = map.need("http", "the path to ask", |field| {
        field.parse("a path", |path| names::url_path(path).map(|()| path.to_owned()))
    });
    let json = map.maybe("json", |field| {
        const EXPECTED: &str = "a map of fields to the values they must have";
        field.entries(EXPECTED, |_| Ok::<(), &str>(()))?;
        match json(field.content()) {
            serde_json::Value::Object(fields) if !fields.is_empty() => Some(fields),
            _ => field.fail(format!("expected {EXPECTED}")),
        }
    });
    Some(Stage::Http { path: path?, json: json? })
}

fn json(content: &Content) -> serde_json::Value {
    use serde_json::Value;
    match content {
        Content::Null => Value::Null,
        Content::Scalar { text, kind: Kind::Bool } => Value::Bool(text.eq_ignore_ascii_case("true")),
        // YAML has spellings that JSON does not (0x1F, 1_000); they stay text.
        Content::Scalar { text, kind: Kind::Number } => {
            text.parse().map_or_else(|_| Value::String(text.clone()), Value::Number)
        }
        Content::Scalar { text, kind: Kind::Text } => Value::String(text.clone()),
        Content::List(items) => {
            Value::Array(items.iter().map(|Node { content, .. }| json(content)).collect())
        }
        Content::Map(entries) => Value::Object(
            entries.iter().map(|entry| (entry.key.clone(), json(&entry.value.content))).collect(),
        ),
    }
}
