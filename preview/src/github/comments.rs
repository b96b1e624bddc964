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
    #[serde(default)]
    author_association: Option<String>,
}

#[derive(Debug, Clone, Deserialize)]
struct User {
    #[serde(default)]
    login: String,
    #[serde(default, rename = "type")]
    kind: String,
}

/// Authors who belong to the repository (GitHub REST API, `author_association`).
const MEMBERS: [&str; 3] = ["OWNER", "MEMBER", "COLLABORATOR"];

/// Marks our comment; the page does not show it.
const MARKER: &str = "<!-- preview-agent -->";

impl GitHub {
    /// The comments of this pull request.
    pub async fn comments(&self, number: u64) -> Comments<'_> {
        Comments { github: self, number, author: self.login().await }
    }
}

impl Comments<'_> {
    /// Whether it is ours. Anybody can write the marker, so its author must be the token's owner, or one that the
    /// token may have had before: a bot, or somebody who belongs to the repository.
    fn is_ours(&self, comment: &Comment) -> bool {
        let is_marked = comment.body.as_ref().is_some_and(|body| body.starts_with(MARKER));
        let is_member = comment.author_association.as_deref().is_some_and(|it| MEMBERS.contains(&it));
        let is_trusted = comment.user.as_ref().is_some_and(|user| {
            let owner = self.author.as_ref();
            owner.is_some_and(|owner| user.login.eq_ignore_ascii_case(owner))
                || user.kind == "Bot"
                || is_member
        });
        is_marked && is_trusted
    }

    async fn ours(&self) -> Result<Vec<u64>, GitHubError> {
        let path = format!("/issues/{}/comments?per_page=100", self.number);
        let all: Vec<Comment> = self.github.list("find the comment", &path).await?;
        let mut ours: Vec<u64> = all.iter().filter(|it| self.is_ours(it)).map(|it| it.id).collect();
        ours.sort_unstable();
        Ok(ours)
    }

    /// Writes the comment in the place of the one before. If that belongs to an earlier owner of the token, who lets
    /// nobody change it, a new one replaces it.
    ///
    /// # Errors
    /// GitHub did not do it.
    pub async fn write(&self, text: &str) -> Result<(), GitHubError> {
        let body = json!({ "body": format!("{MARKER}\n{text}") });
        let before = self.ours().await?;
        for id in &before {
            match self.edit(*id, &body).await {
                Err(GitHubError::Missing { .. } | GitHubError::Denied { .. }) => {}
                Err(error) => return Err(error),
                Ok(()) => {
                    self.remove_old(before.iter().filter(|other| *other != id)).await;
                    return Ok(());
                }
            }
        }
        let path = format!("/issues/{}/comments", self.number);
        let made: Comment = self.github.ask("write the comment", Method::POST, &path, Some(&body)).await?;
        self.remove_old(before.iter()).await;
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

    /// Removes comments of ours that are out of date. One that may not be removed stays: the current one is written.
    async fn remove_old<'a>(&self, ids: impl Iterator<Item = &'a u64>) {
        for id in ids {
            self.remove(*id).await.ok();
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
