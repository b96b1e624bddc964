//! Database URLs in SQLAlchemy's forms, read without ever repeating one.

mod syntax;

use std::fmt;
use std::net::{IpAddr, Ipv6Addr};

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use secrecy::{ExposeSecret as _, SecretString};
use serde::{Deserialize, Serialize};

use syntax::{decode, default_port, endpoints, split_credentials};
pub(super) use syntax::{dialect, is_host};

/// Everything but RFC 3986's unreserved characters (section 2.3).
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// Query parameters of libpq that a client learns through its environment instead.
const LIBPQ_QUERY: [(&str, &str); 3] =
    [("sslmode", "PGSSLMODE"), ("target_session_attrs", "PGTARGETSESSIONATTRS"), ("options", "PGOPTIONS")];

/// A database URL and what it says. `Debug` shows neither user nor password.
#[derive(Clone)]
pub struct DatabaseUrl {
    url: SecretString,
    dialect: String,
    endpoints: Vec<Endpoint>,
    name: Option<String>,
    user: Option<String>,
    password: Option<SecretString>,
    libpq_query: Vec<(&'static str, SecretString)>,
}

/// One server of the URL.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Endpoint {
    /// Name or address; IPv6 without brackets.
    pub host: String,
    /// TCP port.
    pub port: u16,
}

/// What is wrong with a database URL, without any part of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum DatabaseUrlError {
    /// Nothing there.
    #[error("the database URL is empty")]
    Empty,
    /// No `scheme://`.
    #[error("expected a database URL such as postgresql+psycopg://user:password@host:5432/name")]
    NotAUrl,
    /// `postgres://`.
    #[error("SQLAlchemy refuses the scheme postgres:// since 1.4; write postgresql://")]
    PostgresScheme,
    /// `sqlite://`.
    #[error("SQLite needs no server to wait for; write `database: off`")]
    Sqlite,
    /// A space, line break or control character.
    #[error("the database URL contains a space, a line break or a control character; write a space as %20")]
    WhiteSpace,
    /// A reserved character in user or password.
    #[error("the user or password contains an unencoded `{0}`; write it as %{code:02X}", code = u32::from(*.0))]
    Unencoded(char),
    /// `#` behind the host.
    #[error("the database URL contains an unencoded `#`; write it as %23")]
    Fragment,
    /// `%` without two hexadecimal digits, or bytes that are no UTF-8.
    #[error("the database URL contains a `%` that encodes nothing; write a literal one as %25")]
    Percent,
    /// No host at all.
    #[error("the database URL names no host; the app's container has no Unix socket to fall back to")]
    NoHost,
    /// A host that is a path.
    #[error("the database URL names a Unix socket, which the app's container does not have; name a host")]
    Socket,
    /// A host with impossible characters.
    #[error("the host of the database URL is neither a name nor an address")]
    Host,
    /// Several colons without brackets.
    #[error("an IPv6 address in the database URL stands in brackets: [2001:db8::1]:5432")]
    Brackets,
    /// A port that is none.
    #[error("the port of the database URL is not a number from 1 to 65535")]
    Port,
    /// No port, and the dialect has no well-known one.
    #[error("the database URL names no port, and its scheme has no usual one")]
    NoPort,
}

impl DatabaseUrl {
    /// Reads a URL in SQLAlchemy's forms.
    ///
    /// # Errors
    /// What is wrong, without any part of the URL.
    pub fn parse(text: &str) -> Result<Self, DatabaseUrlError> {
        use DatabaseUrlError as E;
        if text.is_empty() {
            return Err(E::Empty);
        }
        if text.contains(|c: char| c.is_whitespace() || c.is_control()) {
            return Err(E::WhiteSpace);
        }
        let (scheme, rest) = text.split_once("://").ok_or(E::NotAUrl)?;
        let dialect = dialect(scheme)?;
        let (credentials, rest) = split_credentials(rest)?;
        if rest.contains('#') {
            return Err(E::Fragment);
        }
        let (location, query) = rest.split_once('?').unwrap_or((rest, ""));
        let (hosts, name) = location.split_once('/').unwrap_or((location, ""));
        let query: Vec<(String, String)> =
            url::form_urlencoded::parse(query.as_bytes()).into_owned().collect();
        let value = |key: &str| query.iter().find(|(k, _)| k == key).map(|(_, v)| v.as_str());

        let (user, password) = match credentials.map(|text| text.split_once(':').unwrap_or((text, ""))) {
            Some((user, password)) => {
                let given = credentials.is_some_and(|text| text.contains(':'));
                (Some(decode(user)?), given.then(|| decode(password)).transpose()?)
            }
            None => (None, None),
        };
        Ok(Self {
            url: text.into(),
            endpoints: endpoints(hosts, &query, default_port(dialect))?,
            dialect: dialect.to_owned(),
            name: Some(decode(name)?).filter(|name| !name.is_empty()),
            user: user.or_else(|| value("user").map(str::to_owned)),
            password: password.or_else(|| value("password").map(str::to_owned)).map(SecretString::from),
            libpq_query: LIBPQ_QUERY
                .iter()
                .filter_map(|(key, variable)| Some((*variable, SecretString::from(value(key)?))))
                .collect(),
        })
    }

    /// The URL of one server from its parts; user, password and name are encoded here.
    ///
    /// # Errors
    /// What is wrong with scheme or host.
    pub fn from_parts(
        scheme: &str,
        host: &str,
        port: u16,
        name: &str,
        user: &str,
        password: &SecretString,
    ) -> Result<Self, DatabaseUrlError> {
        let encode = |text| utf8_percent_encode(text, RESERVED);
        let host = match host.parse::<Ipv6Addr>() {
            Ok(address) => format!("[{address}]"),
            Err(_) if is_host(host) => host.to_owned(),
            Err(_) => return Err(DatabaseUrlError::Host),
        };
        let (user, password, name) = (encode(user), encode(password.expose_secret()), encode(name));
        Self::parse(&format!("{scheme}://{user}:{password}@{host}:{port}/{name}"))
    }

    /// The servers, in the order of the URL; at least one.
    #[must_use]
    pub fn endpoints(&self) -> &[Endpoint] {
        &self.endpoints
    }

    /// The servers as one text, without user and password.
    #[must_use]
    pub fn endpoints_text(&self) -> String {
        let all: Vec<String> = self.endpoints.iter().map(Endpoint::to_string).collect();
        all.join(",")
    }

    /// Whether the server speaks PostgreSQL's protocol.
    #[must_use]
    pub fn is_postgres(&self) -> bool {
        matches!(self.dialect.as_str(), "postgresql" | "cockroachdb" | "redshift")
    }

    /// The database's name, decoded.
    #[must_use]
    pub fn name(&self) -> Option<&str> {
        self.name.as_deref()
    }

    /// The role, decoded.
    #[must_use]
    pub fn user(&self) -> Option<&str> {
        self.user.as_deref()
    }

    /// The password, decoded.
    #[must_use]
    pub fn password(&self) -> Option<&SecretString> {
        self.password.as_ref()
    }

    /// The URL as given.
    #[must_use]
    pub fn url(&self) -> &SecretString {
        &self.url
    }

    /// Whether a server's host means the machine itself, which inside the
    /// app's container is the container.
    #[must_use]
    pub fn is_loopback(&self) -> bool {
        self.endpoints.iter().any(|endpoint| is_loopback(&endpoint.host))
    }

    /// The variables from which `psql` and other libpq clients learn the same
    /// connection; empty for other databases.
    #[must_use]
    pub fn libpq_env(&self) -> Vec<(&'static str, SecretString)> {
        if !self.is_postgres() {
            return Vec::new();
        }
        let list = |part: fn(&Endpoint) -> String| {
            SecretString::from(self.endpoints.iter().map(part).collect::<Vec<_>>().join(","))
        };
        let mut env = vec![
            ("PGHOST", list(|endpoint| endpoint.host.clone())),
            ("PGPORT", list(|endpoint| endpoint.port.to_string())),
        ];
        env.extend(self.user.as_deref().map(|user| ("PGUSER", user.into())));
        env.extend(self.password.clone().map(|password| ("PGPASSWORD", password)));
        env.extend(self.name.as_deref().map(|name| ("PGDATABASE", name.into())));
        env.extend(self.libpq_query.iter().cloned());
        env
    }
}

impl fmt::Debug for DatabaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DatabaseUrl")
            .field("endpoints", &self.endpoints)
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            write!(f, "[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{}:{}", self.host, self.port)
        }
    }
}

/// Whether a host means the machine itself, wherever the name is used.
#[must_use]
pub fn is_loopback(host: &str) -> bool {
    let host = host.trim_end_matches('.').to_ascii_lowercase();
    match host.parse::<IpAddr>().map(|address| address.to_canonical()) {
        Ok(address) => address.is_loopback() || address.is_unspecified(),
        Err(_) => host == "localhost" || host.ends_with(".localhost"),
    }
}

#[cfg(test)]
mod tests;
