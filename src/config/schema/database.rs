//! `database`: a URL or its parts.

use super::super::database_url::{DatabaseUrl, dialect, is_host, is_loopback};
use super::super::field::{Field, Map};
use super::super::model::{Connection, Database, ValueRef};
use super::super::names;
use super::super::value::{plain, value};
use super::shared::port;

const PARTS: [&str; 6] = ["scheme", "host", "port", "name", "user", "password"];

const LOOPBACK: &str = "a loopback host is the app's own container, not this machine; name an address that the container can reach";

/// `None` inside is `off`.
pub(super) fn database(field: &Field<'_>) -> Option<Option<Database>> {
    if field.is_off() {
        return Some(None);
    }
    let map = field.record(&["url", "scheme", "host", "port", "name", "user", "password", "env"])?;
    let env = map.or("env", "DATABASE_URL".to_owned(), |field| {
        field.parse("a variable's name", |name| names::variable(name).map(|()| name.to_owned()))
    });
    let given = PARTS.iter().find(|key| map.get(key).is_some());
    let connection = match (map.get("url"), given) {
        (Some(field), None) => url(field),
        (Some(field), Some(_)) => field.fail("give either `url` or the parts of one, not both"),
        (None, Some(_)) => parts(&map),
        (None, None) => {
            map.field.fail("`url` is missing: give it, or its parts host, name, user and password")
        }
    };
    Some(Some(Database { connection: connection?, env: env? }))
}

fn url(field: &Field<'_>) -> Option<Connection> {
    let reference = value(field)?;
    match plain(&reference).map(DatabaseUrl::parse) {
        Some(Err(error)) => field.fail(error.to_string()),
        Some(Ok(url)) if url.is_loopback() => field.fail(LOOPBACK),
        _ => Some(Connection::Url(reference)),
    }
}

fn parts(map: &Map<'_>) -> Option<Connection> {
    let scheme = map.or("scheme", "postgresql".to_owned(), |field| {
        field.parse("a scheme", |scheme| dialect(scheme).map(|_| scheme.to_owned()))
    });
    let host = map.need("host", "the database server's name or address", host);
    let port = map.or("port", 5432, port);
    let name = map.need("name", "the database's name", value);
    let user = map.need("user", "the role to connect as", value);
    let password = map.need("password", "the role's password", value);
    Some(Connection::Parts {
        scheme: scheme?,
        host: host?,
        port: port?,
        name: name?,
        user: user?,
        password: password?,
    })
}

fn host(field: &Field<'_>) -> Option<ValueRef> {
    let reference = value(field)?;
    match plain(&reference) {
        Some(host) if is_loopback(host) => field.fail(LOOPBACK),
        Some(host) if !is_host(host) && host.parse::<std::net::Ipv6Addr>().is_err() => {
            field.fail("expected a host name or an address, without port or brackets")
        }
        _ => Some(reference),
    }
}
