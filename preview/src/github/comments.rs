//! Our one comment in a pull request, changed in place.

use reqwest::Method;
use serde::Deserialize;
use serde_json::json;

use super::api::GitHub;
use super::error::GitHubError;

/// The comments of one pull request.
#[derive(Debug)]
pub struct Comments<'a> {
    github: &'a GitHub,
    number: u64,
    /// The token's owner, if known.
    author: Option<String>,
}

/// A comment may lack everything but its number: a deleted account is no user.
#[derive(Debug, Clone, Deserialize)]
struct Comment {
    id: u64,
    #[serde(default)]
    body: Option<String>,
    #[serde(default)]
    user: Option<User>,
}

#[derive(Debug, Clone, Deserialize)]
struct User {
    #[serde(default)]
    login: String,
    #[serde(default, rename = "type")]
    kind: String,
}

/// Marks our comment; the page does not show it.
const MARKER: &str = "<!-- preview-agent -->";

impl GitHub {
    /// The comments of this pull request.
    pub async fn comments(&self, number: u64) -> Comments<'_> {
        Comments { github: self, number, author: self.login().await }
    }
}

impl Comments<'_> {
    /// Whether it is ours: anybody can write the marker, so its author must be the token's user, or where
    /// that cannot be asked (a workflow's token, an App's) a bot.
    fn is_ours(&self, comment: &Comment) -> bool {
        comment.body.as_ref().is_some_and(|body| body.starts_with(MARKER))
            && comment.user.as_ref().is_some_and(|user| match &self.author {
                Some(author) => user.login.eq_ignore_ascii_case(author),
                None => user.kind == "Bot",
            })
    }

    async fn ours(&self) -> Result<Vec<u64>, GitHubError> {
        let path = format!("/issues/{}/comments?per_page=100", self.number);
        let all: Vec<Comment> = self.github.list("find the comment", &path).await?;
        Ok(all.iter().filter(|comment| self.is_ours(comment)).map(|comment| comment.id).collect())
    }

    /// Writes the comment, in the place of the one before.
    ///
    /// # Errors
    /// What kept GitHub from it.
    pub async fn write(&self, text: &str) -> Result<(), GitHubError> {
        let body = json!({ "body": format!("{MARKER}\n{text}") });
        let before = self.ours().await?;
        if let Some(id) = before.iter().min() {
            match self.edit(*id, &body).await {
                Err(GitHubError::Missing { .. } | GitHubError::Denied { .. }) => {}
                end => return end,
            }
        }
        let path = format!("/issues/{}/comments", self.number);
        let made: Comment = self.github.ask("write the comment", Method::POST, &path, Some(&body)).await?;
        // Another run may have written one at the same time: the older one stays.
        let since = self.ours().await?.into_iter().filter(|id| !before.contains(id));
        match since.min() {
            Some(first) if first < made.id => {
                self.remove(made.id).await?;
                self.edit(first, &body).await
            }
            _ => Ok(()),
        }
    }

    async fn edit(&self, id: u64, body: &serde_json::Value) -> Result<(), GitHubError> {
        let path = format!("/issues/comments/{id}");
        self.github.ask::<Comment>("change the comment", Method::PATCH, &path, Some(body)).await.map(drop)
    }

    async fn remove(&self, id: u64) -> Result<(), GitHubError> {
        match self.github.raw_delete(&format!("/issues/comments/{id}")).await {
            Err(GitHubError::Missing { .. }) => Ok(()),
            end => end,
        }
    }
}
