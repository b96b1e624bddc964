//! Deployments, which give the pull request's page a button.

use reqwest::Method;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::api::GitHub;
use super::error::GitHubError;

/// The one environment of all previews: its transient deployments do not end each other, and there is no
/// environment to delete.
const ENVIRONMENT: &str = "preview";
/// Longest description that GitHub takes, in characters.
const DESCRIPTION: usize = 140;

/// One deployment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Deployment(u64);

/// The state of a deployment, in GitHub's words.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// The preview is being launched.
    InProgress,
    /// The preview is up.
    Success,
    /// The preview failed.
    Failure,
    /// The preview is gone.
    Inactive,
}

#[derive(Deserialize)]
struct Answer {
    id: u64,
    #[serde(default)]
    payload: serde_json::Value,
}

impl GitHub {
    /// Makes a deployment of this commit for this pull request.
    ///
    /// # Errors
    /// GitHub did not do it.
    pub async fn deploy(&self, number: u64, sha: &str) -> Result<Deployment, GitHubError> {
        let body = json!({
            "ref": sha, "environment": ENVIRONMENT, "transient_environment": true, "production_environment": false,
            "auto_merge": false, "required_contexts": [], "payload": { "pull_request": number },
            "description": format!("preview of #{number}"),
        });
        let answer: Answer =
            self.ask("make the deployment", Method::POST, "/deployments", Some(&body)).await?;
        Ok(Deployment(answer.id))
    }

    /// Sets the state of a deployment.
    ///
    /// # Errors
    /// GitHub did not do it.
    pub async fn deployed(
        &self,
        deployment: Deployment,
        state: State,
        url: Option<&str>,
        log: Option<&str>,
        description: &str,
    ) -> Result<(), GitHubError> {
        let description: String = description.chars().take(DESCRIPTION).collect();
        let mut body = json!({ "state": state, "auto_inactive": false, "description": description });
        for (name, value) in [("environment_url", url), ("log_url", log)] {
            if let Some(value) = value {
                body[name] = value.into();
            }
        }
        let path = format!("/deployments/{}/statuses", deployment.0);
        let what = "set the deployment's state";
        self.ask::<serde_json::Value>(what, Method::POST, &path, Some(&body)).await.map(drop)
    }

    /// Whether a deployment's newest state is inactive.
    ///
    /// # Errors
    /// GitHub did not say.
    pub async fn is_inactive(&self, deployment: Deployment) -> Result<bool, GitHubError> {
        #[derive(Deserialize)]
        struct Status {
            state: String,
        }
        let path = format!("/deployments/{}/statuses?per_page=1", deployment.0);
        let what = "read the deployment's state";
        let newest: Vec<Status> = self.ask(what, Method::GET, &path, None).await?;
        Ok(newest.first().is_some_and(|status| status.state == "inactive"))
    }

    /// All deployments of this pull request, for all commits, the newest first.
    ///
    /// # Errors
    /// GitHub did not do it.
    pub async fn deployments(&self, number: u64) -> Result<Vec<Deployment>, GitHubError> {
        let path = format!("/deployments?environment={ENVIRONMENT}&per_page=100");
        let all: Vec<Answer> = self.list("list the deployments", &path).await?;
        Ok(all
            .iter()
            .filter(|answer| of(&answer.payload) == Some(number))
            .map(|answer| Deployment(answer.id))
            .collect())
    }
}

/// The pull request in a payload. GitHub returns the payload as an object or as a text.
fn of(payload: &serde_json::Value) -> Option<u64> {
    match payload {
        serde_json::Value::String(text) => {
            of(&serde_json::from_str(text).ok().filter(serde_json::Value::is_object)?)
        }
        payload => payload["pull_request"].as_u64(),
    }
}
