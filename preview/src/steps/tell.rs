//! Telling the pull request: its comment, its deployment, the run's summary.

use super::job::Job;
use super::watch::now;
use crate::github::{Deployment, GitHubError, State};
use crate::report::{Told, Turn, comment, summary};

impl Job {
    /// Begins a deployment, if GitHub lets it; what it does not let is a warning, since the preview stands.
    pub(super) async fn deploy(&self, number: u64, sha: &str) -> Option<Deployment> {
        let github = self.github.as_ref()?;
        match github.deploy(number, sha).await {
            Ok(deployment) => Some(deployment),
            Err(error) => {
                self.not_told(&error);
                None
            }
        }
    }

    /// Writes the comment, in the place of the one before.
    pub(super) async fn comment(&self, number: u64, told: &Told) {
        let Some(github) = &self.github else { return };
        let text = self.redactor.apply(&comment(told, now())).into_owned();
        if let Err(error) = github.comments(number).await.write(&text).await {
            self.not_told(&error);
        }
    }

    /// All three.
    pub(super) async fn tell(&self, number: u64, deployment: Option<Deployment>, told: &Told) {
        if told.turn != Turn::Starting {
            self.output.summary(&summary(told, now()));
        }
        self.comment(number, told).await;
        let (Some(github), Some(deployment)) = (&self.github, deployment) else { return };
        let state = match told.turn {
            Turn::Starting | Turn::Going | Turn::Cancelled => State::InProgress,
            Turn::Ready => State::Success,
            Turn::Failed | Turn::Left => State::Failure,
            Turn::Replaced(_) | Turn::Closed => State::Inactive,
        };
        let url = told.url.as_deref().filter(|_| state != State::Inactive);
        let line = self.redactor.apply(&told.line()).into_owned();
        let said = github.deployed(deployment, state, url, told.run_url.as_deref(), &line).await;
        if let Err(error) = said {
            self.not_told(&error);
        }
    }

    /// Ends all deployments of a pull request but for this one.
    pub(super) async fn undeploy(&self, number: u64, but: Option<Deployment>) {
        let Some(github) = &self.github else { return };
        match github.deployments(number).await {
            Ok(all) => {
                for deployment in all.into_iter().filter(|deployment| Some(*deployment) != but) {
                    self.inactive(Some(deployment), "the preview is gone").await;
                }
            }
            Err(error) => self.not_told(&error),
        }
    }

    /// Ends a deployment.
    pub(super) async fn inactive(&self, deployment: Option<Deployment>, why: &str) {
        let (Some(github), Some(deployment)) = (&self.github, deployment) else { return };
        if let Err(error) = github.deployed(deployment, State::Inactive, None, None, why).await {
            self.not_told(&error);
        }
    }

    fn not_told(&self, error: &GitHubError) {
        let hint = error.hint().map(|hint| format!(". {hint}")).unwrap_or_default();
        self.output.warn(&format!("{error}{hint}"));
    }
}
