//! Files of a commit.

use super::api::GitHub;
use super::error::GitHubError;

/// Largest file that is read, in bytes.
pub const FILE_LIMIT: usize = 256 * 1024;

impl GitHub {
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
