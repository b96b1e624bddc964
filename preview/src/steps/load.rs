//! The settings of a pull request: the base branch's, with the pull request's allowed changes.

use preview_agent::config::DatabaseUrl;
use secrecy::ExposeSecret as _;

use super::failure::Failure;
use super::job::Job;
use crate::github::{GitHub, Pull};
use crate::settings::{FILE, Refused, Settings, read, with_head, without_file};

/// Settings and their source.
pub struct Loaded {
    /// The settings.
    pub settings: Settings,
    /// The pull request's settings that have no effect before the merge.
    pub refused: Vec<Refused>,
    /// Notes on their source.
    pub notes: Vec<String>,
}

impl Job {
    /// The settings for this pull request.
    ///
    /// # Errors
    /// A wrong file, also the pull request's own: it would be wrong after the merge.
    pub async fn settings_of(&self, pull: &Pull) -> Result<Loaded, Failure> {
        let loaded = self.read(pull).await?;
        for secret in &loaded.settings.secrets {
            if let Some(value) = self.variables.get(&secret.variable) {
                self.redactor.learn(value);
                self.output.mask(value);
                if let Some(password) =
                    DatabaseUrl::parse(value).ok().as_ref().and_then(DatabaseUrl::password)
                {
                    self.redactor.learn(password.expose_secret());
                    self.output.mask(password.expose_secret());
                }
            }
        }
        Ok(loaded)
    }

    /// The settings of the default branch, for commands without a pull request.
    ///
    /// # Errors
    /// A wrong file.
    pub async fn usual_settings(&self) -> Result<Loaded, Failure> {
        let branch = match &self.github {
            Some(github) => github.default_branch().await?,
            None => String::new(),
        };
        self.settings_of(&Pull::of_commit(0, &branch)).await
    }

    async fn read(&self, pull: &Pull) -> Result<Loaded, Failure> {
        let parsed = |file: &str, text: &str| read(file, text, &self.repository, &self.variables);
        if let Some(path) = &self.settings {
            let file = path.display().to_string();
            let text = std::fs::read_to_string(path)
                .map_err(|error| Failure::settings(format!("{file}: {error}")))?;
            return Ok(Loaded::alone(parsed(&file, &text)?));
        }
        let (base, head) = match &self.github {
            Some(github) if pull.head == pull.base => (self.of_base(github, &pull.base).await?, None),
            Some(github) => (self.of_base(github, &pull.base).await?, github.file(FILE, &pull.head).await?),
            None => (None, None),
        };
        let of_base = format!("{FILE} of the base branch");
        let of_head = format!("{FILE} of the pull request");
        match (base, head) {
            (Some(base), Some(head)) => {
                let (mut settings, refused) = with_head(parsed(&of_base, &base)?, &parsed(&of_head, &head)?);
                settings.file = format!("{FILE} of the base branch with the pull request's changes");
                Ok(Loaded { refused, ..Loaded::alone(settings) })
            }
            (Some(base), None) => Ok(Loaded::alone(parsed(&of_base, &base)?)),
            (None, Some(head)) => {
                let note =
                    format!("The base branch has no {FILE} yet: the pull request's own is used unchanged.");
                Ok(Loaded { notes: vec![note], ..Loaded::alone(parsed(&of_head, &head)?) })
            }
            (None, None) => Ok(Loaded::alone(without_file(&self.repository, &self.variables)?)),
        }
    }

    /// The file of the base branch. It counts as missing only if the token can read the branch: otherwise the pull
    /// request's own would be used.
    async fn of_base(&self, github: &GitHub, branch: &str) -> Result<Option<String>, Failure> {
        let text = github.file(FILE, branch).await?;
        if text.is_none() {
            github.sees_commit(branch).await?;
        }
        Ok(text)
    }
}

/// The folder of parameters if the settings cannot be read.
pub(super) const USUAL_PATH: &str = "/pr-preview";

impl Loaded {
    fn alone(settings: Settings) -> Self {
        Self { settings, refused: Vec::new(), notes: Vec::new() }
    }
}
