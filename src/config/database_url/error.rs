//! What can be wrong with a database URL.

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
    /// A known scheme with a letter or two amiss.
    #[error("the scheme of the database URL is not known; did you mean {0}://")]
    Misspelt(&'static str),
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
    /// An `sslmode` that libpq does not know.
    #[error(
        "libpq does not know the sslmode of the database URL; it knows disable, allow, prefer, require, verify-ca and \
         verify-full"
    )]
    SslMode,
    /// No port, and the dialect has no well-known one.
    #[error("the database URL names no port, and its scheme has no usual one")]
    NoPort,
}
