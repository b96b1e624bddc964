//! From the configuration to the desired state.

use std::collections::HashMap;

use secrecy::{ExposeSecret as _, SecretString};

use super::desired::{Desired, Job, Logins, Source};
use super::environment::Environment;
use super::value_sources::ValueSources;
use crate::config::{self, Config, Connection, DatabaseUrl, ImageReference, Text, ValueSource};
use crate::docker::pull::Credentials;
use crate::redact::Redactor;
use crate::status::{Code, Fault};

/// Fetches every value and returns the desired state with what the reader should know.
///
/// # Errors
/// One fault that names every value that could not be had.
pub async fn from_config(
    config: &Config,
    environment: &Environment,
    redactor: &Redactor,
) -> Result<(Desired, Vec<String>), Fault> {
    let values = ValueSources::fetch(config, environment, redactor).await?;
    let mut resolver = Resolver { environment, values };
    let desired = resolver.desired(config).await;
    let ValueSources { faults, notes, .. } = resolver.values;
    match desired {
        Some(desired) if faults.is_empty() => Ok((desired, notes)),
        _ => Err(all_in_one(faults)),
    }
}

/// Several faults as one: the first one's code, everybody's words.
fn all_in_one(faults: Vec<Fault>) -> Fault {
    let code = faults.first().map_or(Code::Internal, |fault| fault.code);
    let words: Vec<String> = faults.into_iter().map(|fault| fault.message).collect();
    Fault::new(code, words.join("; "))
}

struct Resolver<'a> {
    environment: &'a Environment,
    values: ValueSources<'a>,
}

impl Resolver<'_> {
    async fn desired(&mut self, config: &Config) -> Option<Desired> {
        let image = self.image("image", &config.image);
        let database = self.database(config);
        let (env, secret_names) = self.env(config, database.as_ref());
        let source = config.source.as_ref().map(|source| self.source(source));
        let jobs: Vec<Option<Job>> = config.jobs.iter().map(|job| self.job(job)).collect();
        let migrate = config.migrate.as_ref().map(|job| self.job(job));
        let mut logins = self.logins(config);
        let image = image?;
        let jobs: Vec<Job> = jobs.into_iter().collect::<Option<_>>()?;
        let migrate = migrate.map_or(Some(None), |job| job.map(Some))?;
        let images = jobs.iter().chain(&migrate).filter_map(|job| job.image.clone());
        for image in images.chain([image.clone()]) {
            self.ecr_login(&image, &mut logins).await;
        }
        // Only a name: where it cannot be had, the status says so.
        let deployment = config.deployment_id.as_ref().and_then(|id| self.environment.expand(id).ok());
        Some(Desired {
            config: config.clone(),
            deployment: deployment.unwrap_or_else(|| "unnamed".to_owned()),
            image,
            logins,
            source: source.map_or(Some(None), |source| source.map(Some))?,
            database: if config.database.is_some() { Some(database?) } else { None },
            jobs,
            migrate,
            env,
            secret_names,
        })
    }

    /// The application's environment, and which of its variables hold secrets.
    fn env(
        &mut self,
        config: &Config,
        database: Option<&DatabaseUrl>,
    ) -> (Vec<(String, SecretString)>, Vec<String>) {
        let mut env = Vec::new();
        let mut secret_names = Vec::new();
        for (name, value) in &config.app.env {
            let field = format!("app.env.{name}");
            let kept_empty = value.from == ValueSource::Literal(Text(Vec::new()));
            match self.values.value(&field, value) {
                // A variable that is there but empty crashes some applications (an empty SENTRY_DSN).
                Some(text) if text.expose_secret().is_empty() && !kept_empty => {}
                Some(text) => {
                    if !matches!(value.from, ValueSource::Literal(_)) {
                        secret_names.push(name.clone());
                    }
                    env.push((name.clone(), text));
                }
                None => {}
            }
        }
        if let (Some(url), Some(database)) = (database, &config.database) {
            env.push((database.env.clone(), url.url().clone()));
            secret_names.push(database.env.clone());
        }
        (env, secret_names)
    }

    fn database(&mut self, config: &Config) -> Option<DatabaseUrl> {
        let parsed = match &config.database.as_ref()?.connection {
            Connection::Url(value) => {
                let url = self.values.value("database.url", value)?;
                self.values.learn("database.url", url.expose_secret());
                DatabaseUrl::parse(url.expose_secret())
            }
            Connection::Parts { scheme, host, port, name, user, password } => {
                let host = self.values.value("database.host", host);
                let name = self.values.value("database.name", name);
                let user = self.values.value("database.user", user);
                let password = self.values.value("database.password", password);
                let (host, name, user, password) = (host?, name?, user?, password?);
                DatabaseUrl::from_parts(
                    scheme,
                    host.expose_secret(),
                    *port,
                    name.expose_secret(),
                    user.expose_secret(),
                    &password,
                )
            }
        };
        let refused = |message: String| Fault::new(Code::DatabaseUrlInvalid, message);
        match parsed {
            Ok(url) if url.is_loopback() => {
                let message = "the database URL names the loopback address, which inside the app's container is the container itself";
                self.values.faults.push(refused(message.to_owned()));
                None
            }
            Ok(url) => {
                self.values.learn("database.url", url.url().expose_secret());
                if let Some(password) = url.password() {
                    let user = url.user().unwrap_or_default();
                    self.values.learn_login("the database password", user, password);
                }
                Some(url)
            }
            Err(error) => {
                self.values.faults.push(refused(format!("database.url: {error}")));
                None
            }
        }
    }

    fn logins(&mut self, config: &Config) -> Logins {
        let mut logins = HashMap::new();
        for (host, login) in &config.registries {
            let username = self.values.value(&format!("registries.{host}.username"), &login.username);
            let password = self.values.value(&format!("registries.{host}.password"), &login.password);
            let empty =
                |text: &Option<SecretString>| text.as_ref().is_none_or(|t| t.expose_secret().is_empty());
            if empty(&username) || empty(&password) {
                self.values.notes.push(format!("{host}: no user name or password, so anonymous"));
            } else if let (Some(username), Some(password)) = (username, password) {
                let username = username.expose_secret().to_owned();
                self.values.learn_login(&format!("the password for {host}"), &username, &password);
                logins.insert(host.clone(), Ok(Credentials { username, password }));
            }
        }
        logins
    }

    /// ECR hosts need no configuration: the instance's role logs in.
    async fn ecr_login(&mut self, image: &ImageReference, logins: &mut Logins) {
        let Some(ecr) = image.ecr() else { return };
        if logins.contains_key(image.registry()) {
            return;
        }
        let token = match &self.environment.aws {
            Ok(aws) => aws.ecr_login(&ecr.region).await,
            Err(error) => Err(error.clone()),
        };
        let login = token.map(|token| {
            self.values.learn_login("the ECR token", &token.username, &token.password);
            Credentials { username: token.username, password: token.password }
        });
        // Not the end of the run: the image may still be built.
        let refused = |error| {
            let fault = Fault::from(error);
            let code = if fault.code == Code::ParameterDenied { Code::RegistryDenied } else { fault.code };
            Fault { code, ..fault }
        };
        logins.insert(image.registry().to_owned(), login.map_err(refused));
    }

    fn source(&mut self, source: &config::Source) -> Option<Source> {
        let repository = self.values.text("source.repository", &source.repository);
        let reference = self.values.text("source.ref", &source.reference);
        let token = source.token.as_ref().and_then(|value| self.values.value("source.token", value));
        let mut build_args = HashMap::new();
        for (name, text) in &source.build_args {
            build_args.insert(name.clone(), self.values.text(&format!("source.build_args.{name}"), text)?);
        }
        Some(Source {
            repository: repository?,
            reference: reference?,
            token: token.filter(|token| !token.expose_secret().is_empty()),
            build_args,
            settings: source.clone(),
        })
    }

    fn job(&mut self, job: &config::Job) -> Option<Job> {
        let image = match &job.image {
            Some(text) => Some(self.image(&format!("{}.image", job.name), text)?),
            None => None,
        };
        Some(Job { settings: job.clone(), image })
    }

    fn image(&mut self, field: &str, text: &Text) -> Option<ImageReference> {
        let name = self.values.text(field, text)?;
        match ImageReference::parse(&name) {
            Ok(image) => Some(image),
            Err(error) => {
                self.values.faults.push(Fault::new(Code::ImageNameInvalid, format!("{field}: {error}")));
                None
            }
        }
    }
}
