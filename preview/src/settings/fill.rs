//! Fills a pull request's facts into the agent's configuration: `${pr.number}`, `${sha}`, `${secret.NAME}`. This
//! happens after the file was parsed, so that a commit of digits only stays a text.

use preview_agent::config::yaml::{Content, Kind, Node, Position};

use super::model::Secret;
use crate::names::Preview;

/// All placeholders below `agent`: those filled in here, and those that the agent fills in on the instance.
pub(super) const PLACEHOLDERS: &str =
    "${sha}, ${pr.number}, ${secret.NAME}, ${instance.id}, ${instance.region} and ${instance.tag.NAME}";

/// The facts.
#[derive(Debug, Clone, Copy)]
pub struct Fill<'a> {
    /// The preview.
    pub preview: &'a Preview,
    /// The commit.
    pub sha: &'a str,
    /// The secrets that may be named.
    pub secrets: &'a [Secret],
}

impl Fill<'_> {
    /// Fills in all texts of the tree.
    ///
    /// # Errors
    /// The place of an unknown placeholder, and the reason.
    pub(super) fn fill(&self, node: &mut Node) -> Result<(), (Position, String)> {
        match &mut node.content {
            Content::Scalar { text, kind } => {
                if let Some(filled) = self.text(text).map_err(|why| (node.at, why))? {
                    (*text, *kind) = (filled, Kind::Text);
                }
                Ok(())
            }
            Content::List(items) => items.iter_mut().try_for_each(|item| self.fill(item)),
            Content::Map(entries) => entries.iter_mut().try_for_each(|entry| self.fill(&mut entry.value)),
            Content::Null => Ok(()),
        }
    }

    /// The text with its placeholders filled in; `None` if it has none of ours. The agent reads the others.
    fn text(&self, raw: &str) -> Result<Option<String>, String> {
        let (mut filled, mut rest, mut any) = (String::new(), raw, false);
        while let Some(start) = rest.find("${") {
            let (before, tail) = (&rest[..start], &rest[start + 2..]);
            filled += before;
            let known = if before.ends_with('$') { None } else { self.value(tail)? };
            match known {
                Some((value, after)) => {
                    (any, rest) = (true, after);
                    filled += &value;
                }
                None => {
                    filled += "${";
                    rest = tail;
                }
            }
        }
        filled += rest;
        Ok(any.then_some(filled))
    }

    /// The value of the placeholder at the start, and the text behind it.
    fn value<'t>(&self, tail: &'t str) -> Result<Option<(String, &'t str)>, String> {
        let Some((name, after)) = tail.split_once('}') else { return Ok(None) };
        let value = match name {
            "pr.number" => self.preview.number.to_string(),
            "sha" => self.sha.to_owned(),
            _ => match name.strip_prefix("secret.") {
                Some(secret) if self.secrets.iter().any(|known| known.name == secret) => {
                    self.preview.secret(secret)
                }
                Some(_) => return Err("a `${secret.…}` that `secrets` does not list".to_owned()),
                None if name.starts_with("pr.") => {
                    return Err(format!("a `${{pr.…}}` that is none of {PLACEHOLDERS}"));
                }
                None => return Ok(None),
            },
        };
        Ok(Some((value, after)))
    }
}
