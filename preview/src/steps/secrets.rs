//! Checks the values of the secrets: Parameter Store must take them, and the agent the database's URL.

use preview_agent::config::{Config, Connection, DatabaseUrl, TextPart, ValueRef, ValueSource};

use super::failure::Failure;
use super::job::Job;
use crate::names::Preview;
use crate::settings::{MORE, Settings};

impl Job {
    /// What is wrong with the secrets' values; never a part of one.
    pub(super) fn secret_faults(
        &self,
        settings: &Settings,
        preview: &Preview,
        config: Option<&Config>,
    ) -> Vec<Failure> {
        let mut faults: Vec<Failure> = config.into_iter().flat_map(written_out).collect();
        for line in self.variables.malformed() {
            let message = format!("{MORE}, line {line}: expected NAME=value");
            faults.push(Failure::settings(message).hint("Correct the secret; its value is not shown here."));
        }
        for secret in &settings.secrets {
            let variable = &secret.variable;
            let wrong = match self.variables.get(variable) {
                None if secret.optional => continue,
                None => {
                    format!("{variable} is empty or not set, and the secret {} comes from it", secret.name)
                }
                // Larger values cost money; `{{` would name another parameter.
                Some(value) if value.len() > 4096 => {
                    format!("{variable} is longer than 4096 bytes, which Parameter Store does not take")
                }
                Some(value) if value.contains("{{") => {
                    format!("{variable} holds `{{{{`, which Parameter Store does not take")
                }
                Some(value) => {
                    let is_url =
                        config.is_some_and(|config| is_database_url(config, &preview.secret(&secret.name)));
                    faults.extend(is_url.then(|| url_fault(variable, value)).flatten());
                    continue;
                }
            };
            faults.push(Failure::settings(wrong).hint(
                "Add it to the repository's secrets and pass it to the workflow; runs of forks and of Dependabot get none.",
            ));
        }
        faults
    }
}

/// Passwords and tokens that the file itself holds: User Data would show them to whoever may describe the instance.
fn written_out(config: &Config) -> Vec<Failure> {
    let mut found = Vec::new();
    match config.database.as_ref().map(|database| &database.connection) {
        Some(Connection::Url(url)) if literal(url).is_some_and(|url| has_password(&url)) => {
            found.push("database.url".to_owned());
        }
        Some(Connection::Parts { password, .. }) if literal(password).is_some() => {
            found.push("database.password".to_owned());
        }
        _ => {}
    }
    for (host, login) in &config.registries {
        found.extend(literal(&login.password).map(|_| format!("registries.{host}.password")));
    }
    let token = config.source.as_ref().and_then(|source| source.token.as_ref());
    found.extend(token.and_then(literal).map(|_| "source.token".to_owned()));
    let fault = |field| {
        Failure::settings(format!("`agent.{field}` holds a secret, which User Data would show"))
            .hint("Name it below `secrets`, and write { ssm: \"${secret.NAME}\" } in its place.")
    };
    found.into_iter().map(fault).collect()
}

/// The text of a value that stands in the file and is not empty.
fn literal(value: &ValueRef) -> Option<String> {
    let ValueSource::Literal(text) = &value.from else { return None };
    let parts = text.0.iter().map(|part| match part {
        TextPart::Plain(text) => text.as_str(),
        _ => "",
    });
    Some(parts.collect::<String>()).filter(|text| !text.is_empty())
}

fn has_password(url: &str) -> bool {
    DatabaseUrl::parse(url).is_ok_and(|url| url.password().is_some())
}

/// Whether the agent reads the database's URL from this parameter.
fn is_database_url(config: &Config, parameter: &str) -> bool {
    match config.database.as_ref().map(|database| &database.connection) {
        Some(Connection::Url(url)) => matches!(&url.from, ValueSource::Ssm(name) if name == parameter),
        _ => false,
    }
}

/// Why the agent would refuse this URL on the instance.
fn url_fault(variable: &str, url: &str) -> Option<Failure> {
    let wrong = match DatabaseUrl::parse(url) {
        Ok(url) if url.is_loopback() => {
            "it names the loopback address, which in the application's container is the container itself"
                .to_owned()
        }
        Ok(_) => return None,
        Err(error) => error.to_string(),
    };
    let hint = "Correct the secret; its value is not shown here.";
    Some(Failure::settings(format!("{variable}, the database's URL: {wrong}")).hint(hint))
}
