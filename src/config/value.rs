//! Reads values that are literals or name the place they are kept.

use std::path::PathBuf;

use super::field::{Field, Map};
use super::model::{ValueRef, ValueSource};
use super::names;
use super::placeholders::Text;
use super::yaml::Content;

const SOURCES: [&str; 5] = ["env", "file", "credential", "ssm", "secretsmanager"];
const EXPECTED: &str = "a value, or exactly one of env, file, credential, ssm and secretsmanager";

/// A literal with placeholders.
pub(super) fn text(field: &Field<'_>) -> Option<Text> {
    field.parse("a text", Text::parse)
}

/// A literal that is held against `check` at once if it has no placeholder.
pub(super) fn checked_text<E: std::fmt::Display>(
    field: &Field<'_>,
    check: impl FnOnce(&str) -> Result<(), E>,
) -> Option<Text> {
    let text = text(field)?;
    match text.as_plain().map(check) {
        Some(Err(error)) => field.fail(error.to_string()),
        _ => Some(text),
    }
}

/// A value or the place it is read from.
pub(super) fn value(field: &Field<'_>) -> Option<ValueRef> {
    let Content::Map(entries) = field.content() else {
        let text = field.parse(EXPECTED, Text::parse)?;
        return Some(ValueRef { from: ValueSource::Literal(text), optional: false });
    };
    let known: Vec<&str> = SOURCES.into_iter().chain(["key", "optional"]).collect();
    // An unknown key is not named here: it may be a secret that lost its quotes.
    let map = field.map(&known, |_| format!("unknown value source; known here: {}", known.join(", ")))?;
    let optional = map.or("optional", false, Field::bool);
    let key = map.maybe("key", |key| match key.text("a field of the secret")? {
        "" => key.fail("expected a field of the secret, found nothing"),
        name => Some(name.to_owned()),
    });
    if entries.iter().any(|entry| !known.contains(&entry.key.as_str())) {
        // That was reported, and most likely is the source that would be missed next.
        return None;
    }
    let from = source(&map, key?)?;
    Some(ValueRef { from, optional: optional? })
}

fn source(map: &Map<'_>, key: Option<String>) -> Option<ValueSource> {
    let mut named = SOURCES.iter().filter_map(|name| Some((*name, map.get(name)?)));
    let (Some((name, field)), None) = (named.next(), named.next()) else {
        return map.field.fail(format!("expected {EXPECTED}"));
    };
    if key.is_some() && name != "secretsmanager" {
        return map.field.fail("`key` goes with secretsmanager only");
    }
    let checked = |expected: &str, check: fn(&str) -> Result<(), &'static str>| {
        field.parse(expected, |text| check(text).map(|()| text.to_owned()))
    };
    Some(match name {
        "env" => ValueSource::Env(checked("a variable's name", names::variable)?),
        "file" => ValueSource::File(PathBuf::from(checked("an absolute path", names::absolute_path)?)),
        "credential" => ValueSource::Credential(checked("a credential's name", names::credential)?),
        "ssm" => ValueSource::Ssm(checked("a parameter's name", names::parameter_source)?),
        _ => ValueSource::SecretsManager { id: checked("a secret's name", names::secret)?, key },
    })
}

/// The text of a value that stands in the file itself, without placeholders.
pub(super) fn plain(value: &ValueRef) -> Option<&str> {
    match &value.from {
        ValueSource::Literal(text) => text.as_plain(),
        _ => None,
    }
}
