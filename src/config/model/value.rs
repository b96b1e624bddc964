//! A value, or the place that it is kept in.

use std::path::PathBuf;

use super::super::placeholders::Text;

/// A value or the place it is read from.
#[derive(Clone, PartialEq, Eq)]
pub struct ValueRef {
    /// Where the value is.
    pub from: ValueSource,
    /// Whether absence is fine.
    pub optional: bool,
}

impl std::fmt::Debug for ValueRef {
    /// Names the place, never a literal: that may be a password.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self.from {
            ValueSource::Literal(_) => "literal",
            ValueSource::Env(_) => "env",
            ValueSource::File(_) => "file",
            ValueSource::Credential(_) => "credential",
            ValueSource::Ssm(_) => "ssm",
            ValueSource::SecretsManager { .. } => "secretsmanager",
        })
    }
}

/// The places a value can be read from.
#[derive(Clone, PartialEq, Eq)]
pub enum ValueSource {
    /// The value itself.
    Literal(Text),
    /// An environment variable of the agent.
    Env(String),
    /// A file; one trailing newline is dropped.
    File(PathBuf),
    /// A systemd credential, below `$CREDENTIALS_DIRECTORY`.
    Credential(String),
    /// An SSM parameter, decrypted.
    Ssm(String),
    /// A Secrets Manager secret, whole or one field of its JSON.
    SecretsManager {
        /// Name or ARN of the secret.
        id: String,
        /// The field of the JSON object, if not the whole text.
        key: Option<String>,
    },
}
