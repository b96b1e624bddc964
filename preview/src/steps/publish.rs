//! Reports to the pull request: its comment, its deployment, the run's summary.

use super::job::Job;
use super::watch::now;
use crate::github::{Deployment, GitHubError, State};
use crate::report::{Report, Stage, comment, summary};

impl Job {
    /// Makes a deployment. A refusal of GitHub is a warning only, since the preview works without one.
    pub(super) async fn deploy(&self, number: u64, sha: &str) -> Option<Deployment> {
        let github = self.github.as_ref()?;
        match github.deploy(number, sha).await {
            Ok(deployment) => Some(deployment),
            Err(error) => {
                self.warn_unpublished(&error);
                None
            }
        }
    }

    /// Writes the comment in the place of the previous one.
    pub(super) async fn comment(&self, number: u64, report: &Report) {
        let Some(github) = &self.github else { return };
        let text = self.redactor.apply(&comment(report, now())).into_owned();
        if let Err(error) = github.comments(number).await.write(&text).await {
            self.warn_unpublished(&error);
        }
    }

    /// Writes summary and comment, and sets the deployment's state.
    pub(super) async fn publish(&self, number: u64, deployment: Option<Deployment>, report: &Report) {
        if report.stage != Stage::Starting {
            self.output.summary(&summary(report, now()));
        }
        self.comment(number, report).await;
        let (Some(github), Some(deployment)) = (&self.github, deployment) else { return };
        let state = match report.stage {
            Stage::Cancelled if report.instance.is_none() => State::Inactive,
            Stage::Starting | Stage::Going | Stage::Cancelled => State::InProgress,
            Stage::Ready => State::Success,
            Stage::Failed | Stage::Left => State::Failure,
            Stage::Replaced(_) | Stage::Closed => State::Inactive,
        };
        let url = report.url.as_deref().filter(|_| state != State::Inactive);
        let line = self.redactor.apply(&report.line()).into_owned();
        let said = github.deployed(deployment, state, url, report.run_url.as_deref(), &line).await;
        if let Err(error) = said {
            self.warn_unpublished(&error);
        }
    }

    /// Makes the deployments of a pull request inactive, except for this one. GitHub lists the newest first, and those
    /// before an inactive one were made inactive with it.
    pub(super) async fn undeploy(&self, number: u64, but: Option<Deployment>) {
        let Some(github) = &self.github else { return };
        match github.deployments(number).await {
            Ok(all) => {
                for deployment in all.into_iter().filter(|deployment| Some(*deployment) != but) {
                    if github.is_inactive(deployment).await.unwrap_or(false) {
                        break;
                    }
                    self.inactive(Some(deployment), "the preview is gone").await;
                }
            }
            Err(error) => self.warn_unpublished(&error),
        }
    }

    /// Makes a deployment inactive.
    pub(super) async fn inactive(&self, deployment: Option<Deployment>, why: &str) {
        let (Some(github), Some(deployment)) = (&self.github, deployment) else { return };
        if let Err(error) = github.deployed(deployment, State::Inactive, None, None, why).await {
            self.warn_unpublished(&error);
        }
    }

    fn warn_unpublished(&self, error: &GitHubError) {
        let hint = error.hint().map(|hint| format!(". {hint}")).unwrap_or_default();
        self.output.warn(&format!("{error}{hint}"));
    }
}
