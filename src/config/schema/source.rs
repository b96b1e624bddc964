//! `source`: the repository that the image may be built from.

use std::collections::BTreeMap;

use super::super::field::Field;
use super::super::model::Source;
use super::super::names;
use super::super::value::{checked_text, text, value};

pub(super) fn source(field: &Field<'_>) -> Option<Source> {
    let map =
        field.record(&["repository", "ref", "token", "api_url", "context", "dockerfile", "build_args"])?;
    let repository = map.need("repository", "a GitHub repository as owner/name", |field| {
        checked_text(field, names::repository)
    });
    let reference =
        map.need("ref", "a commit, tag or branch", |field| checked_text(field, names::git_reference));
    let token = map.maybe("token", value);
    let api_url = map.or("api_url", "https://api.github.com".to_owned(), |field| {
        field.parse("a URL", |text| api_url(text).map(|()| text.to_owned()))
    });
    let context =
        map.or("context", ".".to_owned(), |field| field.parse("a folder", names::inside_repository));
    let dockerfile = map.or("dockerfile", "Dockerfile".to_owned(), |field| {
        match field.parse("a file", names::inside_repository)?.as_str() {
            "." => field.fail("expected a file, found the context's folder itself"),
            path => Some(path.to_owned()),
        }
    });
    let build_args = map.or("build_args", BTreeMap::new(), |field| {
        let entries = field.entries("a map of names to texts", names::variable)?;
        entries.into_iter().map(|(name, field)| Some((name.to_owned(), text(&field)?))).collect()
    });
    Some(Source {
        repository: repository?,
        reference: reference?,
        token: token?,
        api_url: api_url?,
        context: context?,
        dockerfile: dockerfile?,
        build_args: build_args?,
    })
}

fn api_url(text: &str) -> Result<(), &'static str> {
    let fits = url::Url::parse(text).is_ok_and(|url| {
        matches!(url.scheme(), "http" | "https")
            && url.has_host()
            && url.username().is_empty()
            && url.password().is_none()
            && url.query().is_none()
            && url.fragment().is_none()
    });
    match text.ends_with('/') {
        false if fits => Ok(()),
        _ => Err("expected an http or https URL without credentials, query or trailing slash"),
    }
}
