//! Checks the values of the secrets: Parameter Store must take them, and the agent the database's URL.

use preview_agent::config::{Config, Connection, DatabaseUrl, ValueSource};

use super::failure::Failure;
use super::job::Job;
use crate::names::Preview;
use crate::settings::Settings;

impl Job {
    /// What is wrong with the secrets' values; never a part of one.
    pub(super) fn secret_faults(
        &self,
        settings: &Settings,
        preview: &Preview,
        config: Option<&Config>,
    ) -> Vec<Failure> {
        let mut faults = Vec::new();
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
