//! `agent check`: reads the configuration and touches nothing.

use std::io::{self, Write};
use std::net::SocketAddr;
use std::path::PathBuf;

use super::bounded::{self, first};
use super::exit;
use super::output::written;
use crate::config::{
    self, Config, Connection, Health, ImageReference, Stage, Text, TextPart, ValueRef, ValueSource,
};

/// Check a configuration and touch nothing
///
/// Says everything that is wrong with it, each with line, column, field and
/// what was expected, or what a run would do. Needs no network.
#[derive(Debug, clap::Args)]
pub struct Check {
    /// The configuration file
    #[arg(long, value_name = "FILE", default_value = config::DEFAULT_PATH)]
    pub config: PathBuf,
    /// Write at most this many bytes: the last lines are left out
    #[arg(long, value_name = "N", value_parser = bounded::bytes)]
    pub bytes: Option<usize>,
}

impl Check {
    /// Writes the verdict and returns the exit code: 0, 77 (may not be read) or 78 (wrong).
    pub fn run(self) -> u8 {
        written(self.report(&mut io::stdout().lock(), &mut io::stderr().lock()))
    }

    fn report(&self, out: &mut dyn Write, err: &mut dyn Write) -> io::Result<u8> {
        match config::load(&self.config) {
            Ok(loaded) => {
                let text = format!("{}: ok\n{}", self.config.display(), summary(&loaded.config));
                out.write_all(self.bounded(text).as_bytes())?;
                Ok(exit::OK)
            }
            Err(error) => {
                // A reader that has gone away does not change what the file is worth.
                err.write_all(self.bounded(format!("{error}\n")).as_bytes()).ok();
                Ok(exit::of_config_error(&error))
            }
        }
    }

    fn bounded(&self, text: String) -> String {
        match self.bytes {
            Some(max) => first(&text, max),
            None => text,
        }
    }
}

/// What a run would do, one line for each part.
fn summary(config: &Config) -> String {
    let source = config.source.as_ref().map_or_else(
        || "none; the image is only pulled".to_owned(),
        |source| format!("{} at {}, if the pull fails", shown(&source.repository), shown(&source.reference)),
    );
    let database = config.database.as_ref().map_or_else(
        || "off".to_owned(),
        |database| match &database.connection {
            Connection::Url(url) => format!("url {}, as {}", place(url), database.env),
            Connection::Parts { host, password, .. } => {
                format!("host {}, password {}, as {}", place(host), place(password), database.env)
            }
        },
    );
    let jobs: Vec<&str> = config.jobs.iter().map(|job| job.name.as_str()).collect();
    let stages = match &config.health {
        Health::Default => "tcp, /docs, /readyz, /health/db as far as they are served".to_owned(),
        Health::Stages(stages) => stages
            .iter()
            .map(|stage| match stage {
                Stage::Tcp => "tcp",
                Stage::Http { path, .. } => path,
            })
            .collect::<Vec<_>>()
            .join(", "),
    };
    let report = config.report_parameter.as_ref().map_or_else(
        || "the status file only".to_owned(),
        |name| format!("SSM parameter {} and the status file", shown(name)),
    );
    let rows = [
        ("image", image(&config.image)),
        ("source", source),
        ("database", database),
        ("jobs", if jobs.is_empty() { "none".to_owned() } else { jobs.join(", ") }),
        // The first word only: what follows may be nobody else's business.
        ("migrate", config.migrate.as_ref().map_or("off", |job| first_word(&job.command)).to_owned()),
        (
            "app",
            format!(
                "port {}, published at {}",
                config.app.port,
                SocketAddr::new(config.app.publish.ip, config.app.publish.port)
            ),
        ),
        ("health", stages),
        ("report", report),
    ];
    rows.iter().map(|(name, value)| format!("  {name:<9} {value}\n")).collect()
}

fn first_word(command: &[String]) -> &str {
    command.first().map_or("the image's own command", String::as_str)
}

/// The image as it will be pulled: folded and with its defaults.
fn image(name: &Text) -> String {
    name.as_plain()
        .and_then(|name| ImageReference::parse(name).ok())
        .map_or_else(|| shown(name), |image| image.to_string())
}

/// A text with its placeholders as they are written.
fn shown(text: &Text) -> String {
    text.0
        .iter()
        .map(|part| match part {
            TextPart::Plain(text) => text.clone(),
            TextPart::InstanceId => "${instance.id}".to_owned(),
            TextPart::InstanceRegion => "${instance.region}".to_owned(),
            TextPart::InstanceTag(name) => format!("${{instance.tag.{name}}}"),
        })
        .collect()
}

/// Where a value is kept, never the value.
fn place(value: &ValueRef) -> String {
    match &value.from {
        ValueSource::Literal(_) => "in the file itself".to_owned(),
        ValueSource::Env(name) => format!("from the environment's {name}"),
        ValueSource::File(path) => format!("from file {}", path.display()),
        ValueSource::Credential(name) => format!("from credential {name}"),
        ValueSource::Ssm(name) => format!("from SSM parameter {name}"),
        ValueSource::SecretsManager { id, key: None } => format!("from secret {id}"),
        ValueSource::SecretsManager { id, key: Some(key) } => format!("from secret {id}, field {key}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Exit code, stdout and stderr for a file with this text, its folder cut off.
    fn check(text: &str) -> (u8, String, String) {
        let folder = tempfile::tempdir().unwrap();
        let config = folder.path().join("config.yaml");
        std::fs::write(&config, text).unwrap();
        let (mut out, mut err) = (Vec::new(), Vec::new());
        let code = Check { config, bytes: None }.report(&mut out, &mut err).unwrap();
        let folder = format!("{}/", folder.path().display());
        let shown = |bytes| String::from_utf8(bytes).unwrap().replace(&folder, "");
        (code, shown(out), shown(err))
    }

    #[test]
    fn a_good_file_is_told_back_without_its_secrets() {
        let (code, out, err) = check(
            "image: GHCR.io/Acme/API\n\
             database: {url: 'postgresql://app:canary-secret@db.example/app'}\n\
             report: {parameter: '/pr/${instance.tag.Pr}/status'}\n",
        );
        assert_eq!((code, err.as_str()), (0, ""));
        assert_eq!(
            out,
            "config.yaml: ok\n\
             \x20 image     ghcr.io/acme/api:latest\n\
             \x20 source    none; the image is only pulled\n\
             \x20 database  url in the file itself, as DATABASE_URL\n\
             \x20 jobs      none\n\
             \x20 migrate   alembic\n\
             \x20 app       port 8000, published at 0.0.0.0:8000\n\
             \x20 health    tcp, /docs, /readyz, /health/db as far as they are served\n\
             \x20 report    SSM parameter /pr/${instance.tag.Pr}/status and the status file\n"
        );
    }

    #[test]
    fn each_problem_is_one_line_on_stderr() {
        let (code, out, err) = check("image: acme/api\ndatabase: off\napp: {port: eight, memory: 1m}\n");
        assert_eq!((code, out.as_str()), (78, ""));
        assert_eq!(
            err,
            "config.yaml:3:13: app.port: expected a port from 1 to 65535\n\
             config.yaml:3:28: app.memory: Docker wants a memory limit of 6m at least\n"
        );
    }

    #[test]
    fn a_job_file_that_this_host_lacks_is_named_with_its_line() {
        let (code, _, err) = check(
            "image: acme/api\ndatabase: off\njobs:\n  - name: init\n    command: [sh]\n    files:\n      /job/x: /nonexistent/x\n",
        );
        assert_eq!(code, 78);
        assert_eq!(
            err,
            "config.yaml:7:15: jobs[0].files./job/x: no such file on this host: /nonexistent/x\n"
        );
    }

    #[test]
    fn a_file_that_may_not_be_read_has_its_own_code() {
        let denied = config::Error::Denied { path: "config.yaml".into() };
        assert_eq!(
            (exit::of_config_error(&denied), denied.to_string().as_str()),
            (77, "config.yaml: permission denied")
        );
    }

    #[test]
    fn a_file_that_is_not_there_is_a_bad_configuration() {
        let (mut out, mut err) = (Vec::new(), Vec::new());
        let code = Check { config: "/nonexistent/config.yaml".into(), bytes: None }
            .report(&mut out, &mut err)
            .unwrap();
        assert_eq!(code, 78);
        assert_eq!(String::from_utf8(err).unwrap(), "/nonexistent/config.yaml: no such file\n");
    }
}
