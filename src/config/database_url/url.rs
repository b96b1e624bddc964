//! The URL and what it says.

use std::fmt;
use std::net::Ipv6Addr;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use secrecy::{ExposeSecret as _, SecretString};

use super::endpoint::{Endpoint, is_loopback};
use super::error::DatabaseUrlError;
use super::syntax::{decode, default_port, dialect, endpoints, is_host, split_credentials};
use super::tls_mode::{self, TlsMode};

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
    query: Vec<(String, SecretString)>,
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
        let url = Self {
            url: text.into(),
            endpoints: endpoints(hosts, &query, default_port(dialect))?,
            dialect: dialect.to_owned(),
            name: Some(decode(name)?).filter(|name| !name.is_empty()),
            user: user.or_else(|| value("user").map(str::to_owned)),
            password: password.or_else(|| value("password").map(str::to_owned)).map(SecretString::from),
            query: query.into_iter().map(|(key, value)| (key, SecretString::from(value))).collect(),
        };
        if url.is_postgres() && url.parameter("sslmode").is_some_and(|mode| !tls_mode::is_known(mode)) {
            return Err(E::SslMode);
        }
        Ok(url)
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
        let given = |(key, variable)| Some((variable, self.parameter(key)?.into()));
        env.extend(LIBPQ_QUERY.into_iter().filter_map(given));
        env
    }

    /// Whether a connection is encrypted, as its driver is to have it.
    #[must_use]
    pub fn tls_mode(&self) -> TlsMode<'_> {
        // asyncpg's name for it is the second.
        let mode = self.parameter("sslmode").or_else(|| self.parameter("ssl"));
        TlsMode::of(mode, self.parameter("sslrootcert"))
    }

    /// Settings of the session (libpq's `options`).
    #[must_use]
    pub fn options(&self) -> Option<&str> {
        self.parameter("options")
    }

    /// Whether only a server that takes writes will do.
    #[must_use]
    pub fn wants_writes(&self) -> bool {
        matches!(self.parameter("target_session_attrs"), Some("read-write" | "primary"))
    }

    fn parameter(&self, key: &str) -> Option<&str> {
        self.query.iter().find(|(name, _)| name == key).map(|(_, value)| value.expose_secret())
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
