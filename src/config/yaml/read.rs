//! Reads a document into its tree, within bounds.

use serde_saphyr::granit_parser::ErrorKind;
use serde_saphyr::localizer::ExternalMessageSource;
use serde_saphyr::options::{DuplicateKeyPolicy, NonFiniteFloatPolicy};
use serde_saphyr::{Error, Location, Spanned};

use super::node::{Content, Entry, Kind, Node, Position};
use super::raw::Raw;
use crate::config::error::Problem;

/// Reads one document, within bounds that no honest configuration comes near.
///
/// # Errors
/// Why it is no such document, with its place.
pub fn read(text: &str) -> Result<Node, Problem> {
    let options = serde_saphyr::options! {
        with_snippet: false,
        strict_booleans: true,
        duplicate_keys: DuplicateKeyPolicy::PassThrough,
        non_finite_float_policy: NonFiniteFloatPolicy::PassThrough,
        budget: serde_saphyr::budget! { max_nodes: 20_000, max_depth: 32 },
        alias_limits: serde_saphyr::alias_limits! { max_total_replayed_events: 10_000 },
    };
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    match serde_saphyr::from_str_with_options::<Spanned<Raw>>(text, options) {
        Ok(raw) => node(raw, text),
        Err(error) => Err(problem(&error)),
    }
}

fn problem(error: &Error) -> Problem {
    let at = error.location().map_or(Position { line: 1, column: 1 }, position);
    Problem { line: at.line, column: at.column, field: String::new(), message: message(error) }
}

const TOO_LARGE: &str = "nested too deeply, or too large once its aliases are expanded";

/// The fault in words of our own wherever the library's could repeat the file.
fn message(error: &Error) -> String {
    let what = match error {
        Error::ExternalMessage { source, .. } => match source.as_ref() {
            ExternalMessageSource::Parser(error) => match error.kind() {
                ErrorKind::TabNotAllowed | ErrorKind::TabInBlockIndentation => {
                    "a tab where YAML takes only spaces".into()
                }
                ErrorKind::UnexpectedCharacter { character } if character.is_control() => {
                    "a control character".into()
                }
                ErrorKind::UnexpectedCharacter { .. } => {
                    "a character that cannot stand here; put the value in quotes".into()
                }
                ErrorKind::RecursionLimitExceeded => return TOO_LARGE.to_owned(),
                ErrorKind::Custom(_) | ErrorKind::InputDecoding { .. } => "unexpected content".into(),
                kind => kind.to_string(),
            },
            _ => "unexpected content".into(),
        },
        Error::Eof { .. } => return "the file is empty".into(),
        Error::MultipleDocuments { .. } => return "expected a single YAML document".into(),
        Error::UnknownAnchor { .. } => "an alias of an anchor that does not exist above it".into(),
        Error::Budget { .. }
        | Error::AliasReplayLimitExceeded { .. }
        | Error::AliasExpansionLimitExceeded { .. }
        | Error::AliasReplayStackDepthExceeded { .. } => {
            return TOO_LARGE.to_owned();
        }
        Error::AliasError { error, .. } => return message(error),
        Error::NullIntoString { .. } | Error::Unexpected { .. } => "expected a key with its value".to_owned(),
        _ => "a value or tag that cannot be read".into(),
    };
    format!("not valid YAML: {what}")
}

fn position(location: Location) -> Position {
    Position { line: location.line().max(1), column: location.column().max(1) }
}

/// A tag would be swallowed with all that it stands for: `!Secret1 x` reads as `x`.
fn untagged(location: Location, source: &str) -> bool {
    let start = location.span().byte_offset().and_then(|start| usize::try_from(start).ok());
    let before = start.and_then(|start| source.get(..start)).unwrap_or_default();
    let line = before.rsplit('\n').next().unwrap_or_default();
    !line
        .split_whitespace()
        .next_back()
        .is_some_and(|word| word.trim_start_matches(['[', '{', ',']).starts_with('!'))
}

fn node(raw: Spanned<Raw>, source: &str) -> Result<Node, Problem> {
    let at = position(raw.referenced);
    if !untagged(raw.defined, source) {
        let message = "a YAML tag (`!…`), which has no meaning here; put the value in quotes".to_owned();
        return Err(Problem { line: at.line, column: at.column, field: String::new(), message });
    }

    let spelling =
        |kind, value: String| Content::Scalar { text: written(raw.defined, source).unwrap_or(value), kind };
    let content = match raw.value {
        Raw::Null => Content::Null,
        Raw::Bool(value) => spelling(Kind::Bool, value.to_string()),
        Raw::Number(value) => spelling(Kind::Number, value),
        Raw::Text(text) => Content::Scalar { text, kind: Kind::Text },
        Raw::List(items) => {
            Content::List(items.into_iter().map(|item| node(item, source)).collect::<Result<_, _>>()?)
        }
        Raw::Map(entries) => Content::Map(
            entries
                .into_iter()
                .map(|(key, value)| {
                    let at = position(key.referenced);
                    Ok(Entry { at, key: key.value, value: node(value, source)? })
                })
                .collect::<Result<_, _>>()?,
        ),
    };
    Ok(Node { at, content })
}

/// A plain scalar as it stands in the file.
fn written(location: Location, source: &str) -> Option<String> {
    let start = usize::try_from(location.span().byte_offset()?).ok()?;
    let length = usize::try_from(location.span().byte_len()?).ok()?;
    let text = source.get(start..start.checked_add(length)?)?;
    (!text.is_empty()).then(|| text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tag_is_refused_and_a_quoted_exclamation_mark_is_not() {
        for tagged in ["a: !Secret1 more", "a: !Secret1", "a: [!x y]", "a: !!str 5", "a:\n  - !t {b: 1}\n"] {
            assert!(read(tagged).is_err(), "{tagged}");
        }
        for plain in ["a: \"!Secret1 more\"", "a: hello !you", "a: '!x'", "# !tag\na: b", "a: b # !c\nd: e"] {
            assert!(read(plain).is_ok(), "{plain}");
        }
    }
}
