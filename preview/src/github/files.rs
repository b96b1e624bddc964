//! Files of a commit.

use reqwest::Method;

use super::api::GitHub;
use super::error::GitHubError;

/// Largest file that is read, in bytes.
pub const FILE_LIMIT: usize = 256 * 1024;

impl GitHub {
    /// Sees to it that this commit or branch is there to be read.
    ///
    /// # Errors
    /// It is not, or not for this token.
    pub async fn sees_commit(&self, commit: &str) -> Result<(), GitHubError> {
        let what = "see the base branch (contents: read)";
        let path = format!("/commits/{}", commit.replace('/', "%2F"));
        self.ask::<serde_json::Value>(what, Method::GET, &path, None).await.map(drop)
    }

    /// A file of this commit or branch; `None` where it has none.
    ///
    /// # Errors
    /// No answer, no right to one, or a file that is no text or too large.
    pub async fn file(&self, path: &str, commit: &str) -> Result<Option<String>, GitHubError> {
        let what = "read preview.yaml";
        let unusable = |reason: &str| GitHubError::Unreachable { what, reason: reason.to_owned() };
        match self.raw(what, &format!("/contents/{path}"), &[("ref", commit)]).await {
            Ok(bytes) if bytes.len() > FILE_LIMIT => Err(unusable("the file is larger than 256 KiB")),
            Ok(bytes) => {
                String::from_utf8(bytes).map(Some).map_err(|_| unusable("the file is not UTF-8 text"))
            }
            Err(GitHubError::Missing { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }
}
