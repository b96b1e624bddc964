//! `sslmode`, as libpq knows it (PostgreSQL documentation, "SSL Mode Descriptions").

/// Whether a connection to PostgreSQL is encrypted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TlsMode<'a> {
    /// Never.
    Off,
    /// Where the server can.
    Preferred,
    /// Always, with any certificate; by this name.
    Required(&'a str),
    /// With a certificate that is held against those of the client's own file system, or by a name that
    /// libpq does not know.
    Other(&'a str),
}

/// The names that libpq knows.
const NAMES: [&str; 6] = ["disable", "allow", "prefer", "require", "verify-ca", "verify-full"];

/// Whether libpq knows this name.
pub(super) fn is_known(name: &str) -> bool {
    NAMES.contains(&name)
}

impl<'a> TlsMode<'a> {
    pub(super) fn of(mode: Option<&'a str>, root_certificates: Option<&str>) -> Self {
        match mode {
            None | Some("allow" | "prefer") => Self::Preferred,
            Some("disable") => Self::Off,
            // With certificates at hand libpq takes `require` for `verify-ca`.
            Some(name @ "require") if root_certificates.is_none() => Self::Required(name),
            Some(name) => Self::Other(name),
        }
    }
}
