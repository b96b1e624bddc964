//! Pull requests as they are now.

use reqwest::Method;
use serde::Deserialize;

use super::api::GitHub;
use super::error::GitHubError;
use super::event::DEPENDABOT;
use crate::names::Repository;

/// A pull request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pull {
    /// Its number.
    pub number: u64,
    /// Whether it is open.
    pub open: bool,
    /// Its newest commit.
    pub head: String,
    /// The branch that it would be merged into.
    pub base: String,
    /// Whether its code may get secrets: it comes from neither a fork nor Dependabot.
    pub trusted: bool,
    labels: Vec<String>,
}

impl Pull {
    /// A pull request as the caller describes it, without GitHub.
    #[must_use]
    pub fn of_commit(number: u64, commit: &str) -> Self {
        let (head, base) = (commit.to_owned(), commit.to_owned());
        Self { number, open: true, head, base, trusted: true, labels: Vec::new() }
    }

    /// Whether it has this label; case does not count.
    #[must_use]
    pub fn has_label(&self, name: &str) -> bool {
        self.labels.iter().any(|label| label.eq_ignore_ascii_case(name))
    }
}

#[derive(Deserialize)]
struct Answer {
    number: u64,
    #[serde(default)]
    state: String,
    head: Side,
    base: Side,
    #[serde(default)]
    user: Option<User>,
    #[serde(default)]
    labels: Vec<Label>,
}

#[derive(Deserialize)]
struct User {
    #[serde(default)]
    login: String,
}

#[derive(Deserialize)]
struct Label {
    #[serde(default)]
    name: String,
}

#[derive(Deserialize)]
struct Repo {
    full_name: String,
}

#[derive(Deserialize)]
struct Side {
    #[serde(default)]
    sha: String,
    #[serde(default, rename = "ref")]
    branch: String,
    /// `null` where the fork is gone.
    #[serde(default)]
    repo: Option<Repo>,
}

#[derive(Deserialize)]
struct Named {
    default_branch: String,
}

impl Answer {
    fn read(self, repository: &Repository) -> Pull {
        let Self { number, state, head, base, user, labels } = self;
        let from = head.repo.and_then(|repo| repo.full_name.parse::<Repository>().ok());
        let dependabot = user.is_some_and(|user| user.login == DEPENDABOT);
        Pull {
            number,
            // A state that this program does not know is not "closed".
            open: state != "closed",
            head: head.sha,
            base: base.branch,
            trusted: from.as_ref() == Some(repository) && !dependabot,
            labels: labels.into_iter().map(|label| label.name).collect(),
        }
    }
}

impl GitHub {
    /// The pull request with this number; `None` if it does not exist.
    ///
    /// # Errors
    /// No answer, or no permission, also where the token cannot see the repository.
    pub async fn pull(&self, number: u64) -> Result<Option<Pull>, GitHubError> {
        let what = "read the pull request";
        match self.ask::<Answer>(what, Method::GET, &format!("/pulls/{number}"), None).await {
            Ok(answer) => Ok(Some(answer.read(&self.repository))),
            Err(GitHubError::Missing { .. }) => {
                // The pull request may be missing, or the token may not see the repository: ask which.
                self.ask::<serde_json::Value>("read the repository", Method::GET, "", None).await?;
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    /// The name of the repository's default branch.
    ///
    /// # Errors
    /// No answer, or no permission.
    pub async fn default_branch(&self) -> Result<String, GitHubError> {
        let answer: Named = self.ask("read the repository", Method::GET, "", None).await?;
        Ok(answer.default_branch)
    }

    /// All open pull requests.
    ///
    /// # Errors
    /// No answer, or no permission.
    pub async fn open_pulls(&self) -> Result<Vec<Pull>, GitHubError> {
        let answers: Vec<Answer> =
            self.list("list the open pull requests", "/pulls?state=open&per_page=50").await?;
        Ok(answers.into_iter().map(|answer| answer.read(&self.repository)).filter(|pull| pull.open).collect())
    }
}
