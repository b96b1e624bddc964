//! One value, fetched from where it lives: the file, the environment, a
//! systemd credential or the parameter store.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use secrecy::{ExposeSecret as _, SecretString};

use super::environment::Environment;
use crate::aws::{Fetched, SECRETS_MANAGER};
use crate::config::{Config, Text, ValueRef, ValueSource, service_hint};
use crate::files;
use crate::redact::Redactor;
use crate::status::{Code, Fault};

/// Largest file a value is read from: far above any secret.
const VALUE_MAX: u64 = 64 * 1024;

/// Gives values, and gathers what could not be had and what the reader should know.
pub(super) struct ValueSources<'a> {
    environment: &'a Environment,
    redactor: &'a Redactor,
    fetched: BTreeMap<String, Fetched>,
    /// Values that could not be had.
    pub(super) faults: Vec<Fault>,
    /// What the reader should know.
    pub(super) notes: Vec<String>,
}

impl<'a> ValueSources<'a> {
    /// Asks the parameter store for everything that the configuration names, at once.
    ///
    /// # Errors
    /// The store could not be asked at all; what it refuses or lacks gets its fault with the value.
    pub(super) async fn fetch(
        config: &Config,
        environment: &'a Environment,
        redactor: &'a Redactor,
    ) -> Result<Self, Fault> {
        let fetched = fetch(config, environment).await?;
        Ok(Self { environment, redactor, fetched, faults: Vec::new(), notes: Vec::new() })
    }

    /// A text with the instance's environment filled in, or `None` where a fault was noted.
    pub(super) fn text(&mut self, field: &str, text: &Text) -> Option<String> {
        match self.environment.expand(text) {
            Ok(text) => Some(text),
            Err(unknown) => {
                self.faults.push(unknown.fault(field));
                None
            }
        }
    }

    /// The value, or `None` where it is absent and may be, or where a fault was noted.
    pub(super) fn value(&mut self, field: &str, value: &ValueRef) -> Option<SecretString> {
        let found = match &value.from {
            ValueSource::Literal(text) => return self.text(field, text).map(SecretString::from),
            ValueSource::Env(name) => std::env::var(name).map_err(|_| {
                Fault::new(
                    Code::CredentialMissing,
                    format!("{field}: the environment variable {name} is not set"),
                )
            }),
            ValueSource::File(path) => read_value(field, path),
            ValueSource::Credential(name) => match std::env::var_os("CREDENTIALS_DIRECTORY") {
                Some(folder) => read_value(field, &Path::new(&folder).join(name)),
                None => Err(Fault::new(
                    Code::CredentialMissing,
                    format!(
                        "{field}: there is no systemd credential {name} (CREDENTIALS_DIRECTORY is not set)"
                    ),
                )),
            },
            ValueSource::Ssm(_) => self.stored(field, value).map(|text| text.expose_secret().to_owned()),
            ValueSource::SecretsManager { key, .. } => {
                self.stored(field, value).and_then(|text| pick(field, text.expose_secret(), key.as_deref()))
            }
        };
        match found {
            Ok(text) if text.contains('\0') => {
                let message = format!(
                    "{field}: the value holds a NUL byte, which no environment variable and no login can"
                );
                self.faults.push(Fault::new(Code::ConfigInvalid, message));
                None
            }
            Ok(text) => {
                self.learn(field, &text);
                Some(text.into())
            }
            Err(fault) if value.optional && is_absence(fault.code) => None,
            Err(fault) => {
                self.faults.push(fault);
                None
            }
        }
    }

    fn stored(&self, field: &str, value: &ValueRef) -> Result<SecretString, Fault> {
        let name = name_in_store(value).unwrap_or_default();
        match self.fetched.get(&name) {
            Some(Fetched::Value(text)) => Ok(text.clone()),
            Some(Fetched::Refused(error)) => {
                let fault = Fault::from(error.clone());
                Err(Fault { message: format!("{field}: {}", fault.message), ..fault })
            }
            Some(Fetched::Missing) | None => {
                Err(Fault::new(Code::ParameterMissing, format!("{field}: there is no parameter {name}")))
            }
        }
    }

    /// Has a secret masked from now on.
    pub(super) fn learn(&mut self, field: &str, secret: &str) {
        let known = self.redactor.learn(secret);
        self.note_short(field, known);
    }

    /// Has a password masked from now on, and the login header it makes.
    pub(super) fn learn_login(&mut self, what: &str, user: &str, password: &SecretString) {
        let known = self.redactor.learn_login(user, password.expose_secret());
        self.note_short(what, known);
    }

    fn note_short(&mut self, what: &str, known: bool) {
        if !known {
            let note =
                format!("{what} is shorter than {} characters and is not masked", crate::redact::SHORTEST);
            if !self.notes.contains(&note) {
                self.notes.push(note);
            }
        }
    }
}

/// Whether a value simply is not there, which `optional` allows.
fn is_absence(code: Code) -> bool {
    matches!(code, Code::ParameterMissing | Code::CredentialMissing | Code::SecretFieldMissing)
}

async fn fetch(config: &Config, environment: &Environment) -> Result<BTreeMap<String, Fetched>, Fault> {
    let names: BTreeSet<String> = config.values().into_iter().filter_map(name_in_store).collect();
    if names.is_empty() {
        return Ok(BTreeMap::new());
    }
    let names: Vec<String> = names.into_iter().collect();
    match &environment.aws {
        Ok(aws) => aws.parameters().fetch(&names).await.map_err(Fault::from),
        Err(error) => Err(environment.no_aws(error)),
    }
}

fn name_in_store(value: &ValueRef) -> Option<String> {
    match &value.from {
        ValueSource::Ssm(name) => Some(name.clone()),
        ValueSource::SecretsManager { id, .. } => Some(format!("{SECRETS_MANAGER}{id}")),
        _ => None,
    }
}

fn read_value(field: &str, path: &Path) -> Result<String, Fault> {
    let missing =
        |words: String| Fault::new(Code::CredentialMissing, format!("{field}: {}: {words}", path.display()));
    let bytes = files::read(path, VALUE_MAX)
        .map_err(|error| missing(format!("{error}{}", service_hint(path, error.kind()))))?;
    let mut text = String::from_utf8(bytes).map_err(|_| missing("not UTF-8 text".to_owned()))?;
    if text.ends_with('\n') {
        text.pop();
    }
    Ok(text)
}

/// One field of a JSON object; numbers and booleans as text.
fn pick(field: &str, text: &str, key: Option<&str>) -> Result<String, Fault> {
    let Some(key) = key else { return Ok(text.to_owned()) };
    let fault = |words: &str| Fault::new(Code::SecretFieldMissing, format!("{field}: the secret {words}"));
    let json: serde_json::Value = serde_json::from_str(text).map_err(|_| fault("is not a JSON object"))?;
    match json.get(key) {
        Some(serde_json::Value::String(text)) => Ok(text.clone()),
        Some(value @ (serde_json::Value::Number(_) | serde_json::Value::Bool(_))) => Ok(value.to_string()),
        _ => Err(fault(&format!("has no field {key}"))),
    }
}
