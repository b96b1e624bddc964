//! Files of a commit.

use reqwest::Method;

use super::api::GitHub;
use super::error::GitHubError;

/// Largest file in bytes.
pub const FILE_LIMIT: usize = 256 * 1024;

impl GitHub {
    /// Checks that the token can read this commit or branch.
    ///
    /// # Errors
    /// It does not exist, or the token may not read it.
    pub async fn sees_commit(&self, commit: &str) -> Result<(), GitHubError> {
        let what = "read the base branch (contents: read)";
        let path = format!("/commits/{}", commit.replace('/', "%2F"));
        self.ask::<serde_json::Value>(what, Method::GET, &path, None).await.map(drop)
    }

    /// A file of this commit or branch; `None` if it does not exist.
    ///
    /// # Errors
    /// No answer, no permission, or a file that is too large or no text.
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
