//! From the configuration to the desired state: every value fetched from where it lives.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::io::Read as _;
use std::path::Path;

use secrecy::{ExposeSecret as _, SecretString};

use super::desired::{App, Desired, Job, Source};
use super::facts::Facts;
use crate::aws::{Fetched, SECRETS_MANAGER};
use crate::config::{self, Config, Connection, DatabaseUrl, ImageReference, Text, ValueRef, ValueSource};
use crate::docker::pull::Credentials;
use crate::redact::Redactor;
use crate::status::{Code, Fault};

/// Largest file a value is read from: far above any secret.
const VALUE_MAX: u64 = 64 * 1024;

/// Fetches everything and returns the desired state with what the reader should know.
///
/// # Errors
/// One fault that names every value that could not be had.
pub async fn resolve(
    config: &Config,
    facts: &Facts,
    redactor: &Redactor,
) -> Result<(Desired, Vec<String>), Fault> {
    let mut resolver = Resolver {
        facts,
        redactor,
        fetched: fetch(config, facts).await?,
        faults: Vec::new(),
        notes: Vec::new(),
        secret_names: Vec::new(),
    };
    let desired = resolver.desired(config).await;
    match desired {
        Some(desired) if resolver.faults.is_empty() => Ok((desired, resolver.notes)),
        _ => Err(all_in_one(resolver.faults)),
    }
}

/// Several faults as one: the first one's code, everybody's words.
fn all_in_one(faults: Vec<Fault>) -> Fault {
    let code = faults.first().map_or(Code::Internal, |fault| fault.code);
    let words: Vec<String> = faults.into_iter().map(|fault| fault.message).collect();
    Fault::new(code, words.join("; "))
}

async fn fetch(config: &Config, facts: &Facts) -> Result<BTreeMap<String, Fetched>, Fault> {
    let names: BTreeSet<String> = config.values().into_iter().filter_map(name_in_store).collect();
    if names.is_empty() {
        return Ok(BTreeMap::new());
    }
    let names: Vec<String> = names.into_iter().collect();
    match &facts.aws {
        Ok(aws) => aws.parameters().fetch(&names).await.map_err(Fault::from),
        Err(error) => Err(facts.no_region_fault().unwrap_or_else(|| error.clone().into())),
    }
}

fn name_in_store(value: &ValueRef) -> Option<String> {
    match &value.from {
        ValueSource::Ssm(name) => Some(name.clone()),
        ValueSource::SecretsManager { id, .. } => Some(format!("{SECRETS_MANAGER}{id}")),
        _ => None,
    }
}

struct Resolver<'a> {
    facts: &'a Facts,
    redactor: &'a Redactor,
    fetched: BTreeMap<String, Fetched>,
    faults: Vec<Fault>,
    notes: Vec<String>,
    secret_names: Vec<String>,
}

impl Resolver<'_> {
    async fn desired(&mut self, config: &Config) -> Option<Desired> {
        let image = self.image("image", &config.image);
        let database = self.database(config);
        let app = self.app(config, database.as_ref());
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
        Some(Desired {
            image,
            logins,
            source: source.map_or(Some(None), |source| source.map(Some))?,
            database: if config.database.is_some() { Some(database?) } else { None },
            jobs,
            migrate,
            app,
            health: config.health.clone(),
            deadlines: config.deadlines,
            job_tries: config.tries.migrate,
        })
    }

    fn app(&mut self, config: &Config, database: Option<&DatabaseUrl>) -> App {
        let mut env = Vec::new();
        self.secret_names.clear();
        for (name, value) in &config.app.env {
            let field = format!("app.env.{name}");
            let kept_empty = value.from == ValueSource::Literal(Text(Vec::new()));
            match self.value(&field, value) {
                // A variable that is there but empty crashes some applications (an empty SENTRY_DSN).
                Some(text) if text.expose_secret().is_empty() && !kept_empty => {}
                Some(text) => {
                    if !matches!(value.from, ValueSource::Literal(_)) {
                        self.secret_names.push(name.clone());
                    }
                    env.push((name.clone(), text));
                }
                None => {}
            }
        }
        if let (Some(url), Some(database)) = (database, &config.database) {
            env.push((database.env.clone(), url.url().clone()));
            self.secret_names.push(database.env.clone());
        }
        let app = &config.app;
        App {
            entrypoint: app.entrypoint.clone(),
            command: app.command.clone(),
            port: app.port,
            publish: app.publish,
            memory: app.memory,
            on_failure: app.on_failure,
            env,
            secret_names: std::mem::take(&mut self.secret_names),
        }
    }

    fn database(&mut self, config: &Config) -> Option<DatabaseUrl> {
        let parsed = match &config.database.as_ref()?.connection {
            Connection::Url(value) => {
                let url = self.value("database.url", value)?;
                self.learn("database.url", url.expose_secret());
                DatabaseUrl::parse(url.expose_secret())
            }
            Connection::Parts { scheme, host, port, name, user, password } => {
                let host = self.value("database.host", host);
                let name = self.value("database.name", name);
                let user = self.value("database.user", user);
                let password = self.value("database.password", password);
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
                self.faults.push(refused(message.to_owned()));
                None
            }
            Ok(url) => {
                self.redactor.learn(url.url().expose_secret());
                if let Some(password) = url.password() {
                    let known =
                        self.redactor.learn_login(url.user().unwrap_or_default(), password.expose_secret());
                    self.note_short("the database password", known);
                }
                Some(url)
            }
            Err(error) => {
                self.faults.push(refused(format!("database.url: {error}")));
                None
            }
        }
    }

    fn logins(&mut self, config: &Config) -> HashMap<String, Credentials> {
        let mut logins = HashMap::new();
        for (host, login) in &config.registries {
            let username = self.value(&format!("registries.{host}.username"), &login.username);
            let password = self.value(&format!("registries.{host}.password"), &login.password);
            let empty =
                |text: &Option<SecretString>| text.as_ref().is_none_or(|t| t.expose_secret().is_empty());
            if empty(&username) || empty(&password) {
                self.notes.push(format!("{host}: no user name or password, so anonymous"));
            } else if let (Some(username), Some(password)) = (username, password) {
                let username = username.expose_secret().to_owned();
                let known = self.redactor.learn_login(&username, password.expose_secret());
                self.note_short(&format!("the password for {host}"), known);
                logins.insert(host.clone(), Credentials { username, password });
            }
        }
        logins
    }

    /// ECR hosts need no configuration: the instance's role logs in.
    async fn ecr_login(&mut self, image: &ImageReference, logins: &mut HashMap<String, Credentials>) {
        let Some(ecr) = image.ecr() else { return };
        if logins.contains_key(image.registry()) {
            return;
        }
        let token = match &self.facts.aws {
            Ok(aws) => aws.ecr_login(&ecr.region).await,
            Err(error) => Err(error.clone()),
        };
        match token {
            Ok(token) => {
                self.redactor.learn_login(&token.username, token.password.expose_secret());
                let login = Credentials { username: token.username, password: token.password };
                logins.insert(image.registry().to_owned(), login);
            }
            Err(error) => {
                let fault = Fault::from(error);
                let code =
                    if fault.code == Code::ParameterDenied { Code::RegistryDenied } else { fault.code };
                self.faults.push(Fault { code, ..fault });
            }
        }
    }

    fn source(&mut self, source: &config::Source) -> Option<Source> {
        let repository = self.text("source.repository", &source.repository);
        let reference = self.text("source.ref", &source.reference);
        let token = source.token.as_ref().and_then(|value| self.value("source.token", value));
        let mut build_args = HashMap::new();
        for (name, text) in &source.build_args {
            build_args.insert(name.clone(), self.text(&format!("source.build_args.{name}"), text)?);
        }
        Some(Source {
            repository: repository?,
            reference: reference?,
            token: token.filter(|token| !token.expose_secret().is_empty()),
            api_url: source.api_url.clone(),
            context: source.context.clone(),
            dockerfile: source.dockerfile.clone(),
            build_args,
        })
    }

    fn job(&mut self, job: &config::Job) -> Option<Job> {
        let image = match &job.image {
            Some(text) => Some(self.image(&format!("{}.image", job.name), text)?),
            None => None,
        };
        let files = job.files.iter().map(|(inside, host)| (inside.clone(), host.clone())).collect();
        Some(Job {
            name: job.name.clone(),
            image,
            entrypoint: job.entrypoint.clone(),
            command: job.command.clone(),
            files,
            timeout: job.timeout,
        })
    }

    fn image(&mut self, field: &str, text: &Text) -> Option<ImageReference> {
        let name = self.text(field, text)?;
        match ImageReference::parse(&name) {
            Ok(image) => Some(image),
            Err(error) => {
                self.faults.push(Fault::new(Code::ImageNameInvalid, format!("{field}: {error}")));
                None
            }
        }
    }

    fn text(&mut self, field: &str, text: &Text) -> Option<String> {
        match self.facts.expand(text) {
            Ok(text) => Some(text),
            Err(unknown) => {
                self.faults.push(unknown.fault(field));
                None
            }
        }
    }

    /// The value, or `None` where it is absent and may be, or where a fault was noted.
    fn value(&mut self, field: &str, value: &ValueRef) -> Option<SecretString> {
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
            ValueSource::Ssm(_) => self.from_store(field, value).map(|text| text.expose_secret().to_owned()),
            ValueSource::SecretsManager { key, .. } => self
                .from_store(field, value)
                .and_then(|text| pick(field, text.expose_secret(), key.as_deref())),
        };
        match found {
            Ok(text) => {
                self.learn(field, &text);
                Some(text.into())
            }
            Err(fault) if value.optional && fault.code.is_absence() => None,
            Err(fault) => {
                self.faults.push(fault);
                None
            }
        }
    }

    fn from_store(&self, field: &str, value: &ValueRef) -> Result<SecretString, Fault> {
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

    fn learn(&mut self, field: &str, secret: &str) {
        let known = self.redactor.learn(secret);
        self.note_short(field, known);
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

fn read_value(field: &str, path: &Path) -> Result<String, Fault> {
    let missing =
        |words: String| Fault::new(Code::CredentialMissing, format!("{field}: {}: {words}", path.display()));
    let mut bytes = Vec::new();
    let file = std::fs::File::open(path).map_err(|error| missing(error.to_string()))?;
    file.take(VALUE_MAX + 1).read_to_end(&mut bytes).map_err(|error| missing(error.to_string()))?;
    if bytes.len() as u64 > VALUE_MAX {
        return Err(missing(format!("larger than {VALUE_MAX} bytes")));
    }
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
