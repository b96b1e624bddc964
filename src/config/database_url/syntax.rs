//! The pieces of a database URL, and the mistakes people make in them.

use std::net::Ipv6Addr;

use percent_encoding::percent_decode_str;

use super::endpoint::Endpoint;
use super::error::DatabaseUrlError;

/// The schemes that have a usual port, which is how they are known.
const DIALECTS: [&str; 7] = ["postgresql", "mysql", "mariadb", "mssql", "oracle", "cockroachdb", "redshift"];

/// The scheme in front of `+driver`.
pub(crate) fn dialect(scheme: &str) -> Result<&str, DatabaseUrlError> {
    let dialect = scheme.split_once('+').map_or(scheme, |(dialect, _)| dialect);
    if dialect.is_empty() || !scheme.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'+' || b == b'_') {
        return Err(DatabaseUrlError::NotAUrl);
    }
    match dialect {
        "postgres" => Err(DatabaseUrlError::PostgresScheme),
        "sqlite" => Err(DatabaseUrlError::Sqlite),
        dialect => match meant(dialect) {
            Some(known) => Err(DatabaseUrlError::Misspelt(known)),
            None => Ok(dialect),
        },
    }
}

/// The known scheme that was most likely meant by this unknown one. Others are left to SQLAlchemy, which has
/// dialects of many databases: a wrong letter in four is a misspelling.
fn meant(dialect: &str) -> Option<&'static str> {
    if DIALECTS.contains(&dialect) {
        return None;
    }
    if ["postgre", "psql", "pgsql"].contains(&dialect) {
        return Some("postgresql");
    }
    DIALECTS.into_iter().find(|known| strsim::osa_distance(known, dialect) <= known.len() / 4)
}

pub(super) fn default_port(dialect: &str) -> Option<u16> {
    match dialect {
        "postgresql" => Some(5432),
        "mysql" | "mariadb" => Some(3306),
        "mssql" => Some(1433),
        "oracle" => Some(1521),
        "cockroachdb" => Some(26257),
        "redshift" => Some(5439),
        _ => None,
    }
}

/// Splits `user:password@` off, and finds the reserved characters that someone
/// forgot to encode there: such a URL has its `@` in a place where none can be.
pub(super) fn split_credentials(rest: &str) -> Result<(Option<&str>, &str), DatabaseUrlError> {
    use DatabaseUrlError::Unencoded;
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let (authority, tail) = rest.split_at(end);
    let path = tail.split('?').next().unwrap_or_default();
    match authority.split_once('@') {
        Some((_, after)) if after.contains('@') || path.contains('@') => Err(Unencoded('@')),
        Some((credentials, _)) if credentials.matches(':').count() > 1 => Err(Unencoded(':')),
        Some((credentials, after)) => Ok((Some(credentials), &rest[rest.len() - after.len() - tail.len()..])),
        // `user:pass/word@host`: the first reserved character ended the authority.
        None if tail.contains('@') && (authority.contains(':') || path.contains('@')) => {
            Err(Unencoded(tail.chars().next().unwrap_or('@')))
        }
        None => Ok((None, rest)),
    }
}

/// The servers of the authority, or of the query's `host` parameters, which win.
pub(super) fn endpoints(
    hosts: &str,
    query: &[(String, String)],
    default: Option<u16>,
) -> Result<Vec<Endpoint>, DatabaseUrlError> {
    let values = |key: &'static str| {
        query
            .iter()
            .filter(move |(k, _)| k == key)
            .flat_map(|(_, value)| value.split(','))
            .collect::<Vec<_>>()
    };
    let (named, ports) = (values("host"), values("port"));
    if named.is_empty() {
        return hosts.split(',').map(|text| endpoint(text, default)).collect();
    }
    let port = |i: usize| match ports.get(i).or(ports.first()) {
        Some(port) => port_number(port).map(Some),
        None => Ok(default),
    };
    named.iter().enumerate().map(|(i, text)| endpoint(text, port(i)?)).collect()
}

fn endpoint(text: &str, default: Option<u16>) -> Result<Endpoint, DatabaseUrlError> {
    use DatabaseUrlError as E;
    let (host, port) = match text.strip_prefix('[') {
        Some(rest) => {
            let (address, after) = rest.split_once(']').ok_or(E::Brackets)?;
            address.parse::<Ipv6Addr>().map_err(|_| E::Host)?;
            let port = after.strip_prefix(':');
            if port.is_none() && !after.is_empty() {
                return Err(E::Host);
            }
            (address, port)
        }
        None if text.matches(':').count() > 1 => return Err(E::Brackets),
        None => text.split_once(':').map_or((text, None), |(host, port)| (host, Some(port))),
    };
    let decoded = decode(host)?;
    if decoded.is_empty() {
        return Err(E::NoHost);
    }
    if decoded.starts_with('/') {
        return Err(E::Socket);
    }
    if !text.starts_with('[') && !is_host(&decoded) {
        return Err(E::Host);
    }
    // `host:` with nothing behind the colon fails in SQLAlchemy, so it fails here.
    let port = port.map_or(default.ok_or(E::NoPort), port_number)?;
    Ok(Endpoint { host: decoded, port })
}

fn port_number(text: &str) -> Result<u16, DatabaseUrlError> {
    text.parse().ok().filter(|port| *port > 0).ok_or(DatabaseUrlError::Port)
}

/// A DNS name as resolvers take it (underscores included) or an IPv4 address.
pub(crate) fn is_host(text: &str) -> bool {
    (1..=253).contains(&text.len())
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._".contains(&b))
        && !text.starts_with(['-', '.'])
}

pub(super) fn decode(text: &str) -> Result<String, DatabaseUrlError> {
    let encodes = |rest: &str| rest.len() >= 2 && rest.bytes().take(2).all(|b| b.is_ascii_hexdigit());
    if !text.split('%').skip(1).all(encodes) {
        return Err(DatabaseUrlError::Percent);
    }
    let decoded = percent_decode_str(text).decode_utf8().map_err(|_| DatabaseUrlError::Percent)?;
    Ok(decoded.into_owned())
}
