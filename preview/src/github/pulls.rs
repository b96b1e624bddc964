//! Pull requests as they are now.

use reqwest::Method;
use serde::Deserialize;

use super::api::GitHub;
use super::error::GitHubError;

/// A pull request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pull {
    /// Its number.
    pub number: u64,
    /// Whether it is open.
    pub open: bool,
    /// Its newest commit.
    pub head: String,
    /// The branch that it is to be merged into.
    pub base: String,
}

#[derive(Deserialize)]
struct Answer {
    number: u64,
    #[serde(default)]
    state: String,
    head: Side,
    base: Side,
}

#[derive(Deserialize)]
struct Side {
    #[serde(default)]
    sha: String,
    #[serde(default, rename = "ref")]
    branch: String,
}

#[derive(Deserialize)]
struct Named {
    default_branch: String,
}

impl From<Answer> for Pull {
    fn from(answer: Answer) -> Self {
        let Answer { number, state, head, base } = answer;
        // A state that is new to us is no close.
        Self { number, open: state != "closed", head: head.sha, base: base.branch }
    }
}

impl GitHub {
    /// The pull request of this number; `None` where the repository has none.
    ///
    /// # Errors
    /// No answer, or no right to one. A repository that cannot be seen is such an error, too.
    pub async fn pull(&self, number: u64) -> Result<Option<Pull>, GitHubError> {
        let what = "look at the pull request";
        match self.ask::<Answer>(what, Method::GET, &format!("/pulls/{number}"), None).await {
            Ok(answer) => Ok(Some(answer.into())),
            Err(GitHubError::Missing { .. }) => {
                // Either the pull request or the repository is hidden or gone; only the first means anything.
                self.ask::<serde_json::Value>("look at the repository", Method::GET, "", None).await?;
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    /// The name of the repository's default branch.
    ///
    /// # Errors
    /// No answer, or no right to one.
    pub async fn default_branch(&self) -> Result<String, GitHubError> {
        let answer: Named = self.ask("look at the repository", Method::GET, "", None).await?;
        Ok(answer.default_branch)
    }

    /// All open pull requests.
    ///
    /// # Errors
    /// No answer, or no right to one.
    pub async fn open_pulls(&self) -> Result<Vec<Pull>, GitHubError> {
        let answers: Vec<Answer> =
            self.list("list the open pull requests", "/pulls?state=open&per_page=100").await?;
        Ok(answers.into_iter().map(Pull::from).filter(|pull| pull.open).collect())
    }
}
