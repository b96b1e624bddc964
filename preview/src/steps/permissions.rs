//! The permissions of the caller's role, as far as AWS can be asked for them without effects: by dry runs, and by
//! reading.

use std::net::Ipv4Addr;

use super::access::{DATABASE, groups};
use super::job::Job;
use crate::aws::{AwsError, Filter, Opening};
use crate::names::{PULL_REQUEST, Preview, REPOSITORY};
use crate::settings::Settings;

/// Actions without a dry run.
const WITHOUT_DRY_RUN: [&str; 4] =
    ["ssm:PutParameter", "ssm:AddTagsToResource", "ssm:DeleteParameters", "ssm:SendCommand"];
/// Actions on instances, which the policy allows for existing previews only.
const ON_INSTANCE: [&str; 2] = ["ec2:TerminateInstances", "ec2:GetConsoleOutput"];

/// What AWS answered.
pub(super) struct Permissions {
    /// What it denies, or did not answer.
    pub(super) faults: Vec<AwsError>,
    /// Actions that AWS could not be asked for.
    pub(super) unknown: Vec<&'static str>,
}

impl Job {
    /// Asks for every permission that a dry run of the launch itself does not cover.
    pub(super) async fn permissions(&self, settings: &Settings, preview: &Preview) -> Permissions {
        let number = preview.number.to_string();
        let filter = Filter { repository: self.repository.clone(), number: None };
        let found = self.aws.previews(Some(&filter)).await;
        let instance =
            found.as_ref().ok().and_then(|found| found.first()).map(|instance| instance.id.clone());
        let mut answers = vec![
            found.map(drop),
            self.aws.tagged_rules(PULL_REQUEST, &[&number]).await.map(drop),
            self.aws.tagged_names(&[(REPOSITORY, &self.repository.to_string())]).await.map(drop),
            self.aws.names(&preview.folder()).await.map(drop),
            self.aws.parameter(&preview.status()).await.map(drop),
            self.aws.may_read_commands().await,
        ];
        for group in groups(settings) {
            let opening = Opening {
                group: group.to_owned(),
                // Neither counts in a policy.
                port: DATABASE,
                from: std::net::IpAddr::from(Ipv4Addr::LOCALHOST).into(),
                description: preview.description(),
                tags: preview.tags(settings.scope.purpose()),
            };
            answers.push(self.aws.may_open(&opening).await);
            answers.push(self.aws.may_close(&opening).await);
        }
        let mut unknown = WITHOUT_DRY_RUN.to_vec();
        match instance {
            Some(id) => {
                answers.push(self.aws.may_terminate(&id).await);
                answers.push(self.aws.console(&id).await.map(drop));
            }
            None => unknown.extend(ON_INSTANCE),
        }
        Permissions { faults: answers.into_iter().filter_map(Result::err).collect(), unknown }
    }
}
