//! `registries`: a login for each registry.

use std::collections::BTreeMap;

use super::super::field::{Field, Map};
use super::super::image_reference::is_registry_host;
use super::super::model::{RegistryLogin, ValueRef, ValueSource};
use super::super::placeholders::Text;
use super::super::value::value;

pub(super) fn registries(field: &Field<'_>) -> Option<BTreeMap<String, RegistryLogin>> {
    let is_host = |host: &str| {
        if is_registry_host(host) {
            Ok(())
        } else {
            Err("expected a registry's host or host:port, such as ghcr.io")
        }
    };
    let mut logins = BTreeMap::new();
    let mut complete = true;
    for (host, field) in field.entries("a map of registry hosts to their logins", is_host)? {
        let login = field.record(&["username", "password"]).and_then(|map| {
            let (username, password) = (login_part(&map, "username"), login_part(&map, "password"));
            Some(RegistryLogin { username: username?, password: password? })
        });
        complete &= login.is_some();
        let known = login.is_some_and(|login| logins.insert(registry_key(host), login).is_some());
        if known {
            field.fail::<()>("another key names the same registry");
        }
    }
    complete.then_some(logins)
}

/// Absent means anonymous, as an empty value does.
fn login_part(map: &Map<'_>, key: &str) -> Option<ValueRef> {
    let anonymous = ValueRef { from: ValueSource::Literal(Text(Vec::new())), optional: false };
    map.or(key, anonymous, value)
}

/// The host as [`crate::config::ImageReference::registry`] tells it.
fn registry_key(host: &str) -> String {
    match host.to_ascii_lowercase().as_str() {
        "index.docker.io" | "registry-1.docker.io" => "docker.io".to_owned(),
        host => host.to_owned(),
    }
}
