//! Instances: finds them by their tags, reads them, terminates them.

use std::collections::BTreeMap;

use aws_sdk_ec2::types;
use base64::Engine as _;
use preview_agent::aws::AwsError;

use super::client::Aws;
use super::error::{failed, not_there, permitted};
use crate::names::{COMMIT, PULL_REQUEST, PURPOSE, REPOSITORY, Repository, Scope, number};

/// One instance.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Instance {
    /// `i-…`
    pub id: String,
    /// Its state.
    pub state: State,
    /// AWS's reason for this state, if it gives one.
    pub reason: Option<String>,
    /// Its public IPv4 address.
    pub public_ip: Option<String>,
    /// Time of the launch, in seconds since 1970.
    pub launched: i64,
    /// Its tags.
    pub tags: BTreeMap<String, String>,
}

/// The state of an instance.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// It starts.
    Pending,
    /// It runs.
    Running,
    /// It terminates.
    ShuttingDown,
    /// It is gone; AWS lists it for an hour.
    Terminated,
    /// It is stopped, or stops.
    Stopped,
    /// A state that this program does not know.
    Other,
}

impl State {
    /// Whether it is gone or terminates.
    #[must_use]
    pub fn is_over(self) -> bool {
        matches!(self, Self::ShuttingDown | Self::Terminated)
    }
}

/// Selects instances.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Filter {
    /// Those of this repository.
    pub repository: Repository,
    /// Those of this pull request, or of all.
    pub number: Option<u64>,
}

impl Instance {
    /// The number of its pull request. `None` if one of our tags is missing, so that nobody terminates it: an
    /// answer may come without tags.
    #[must_use]
    pub fn number(&self) -> Option<u64> {
        let purpose = self.tags.get(PURPOSE)?;
        let ours = Scope::PURPOSES.contains(&purpose.as_str()) && self.repository().is_some();
        number(self.tags.get(PULL_REQUEST)?).filter(|_| ours)
    }

    /// Its repository.
    #[must_use]
    pub fn repository(&self) -> Option<Repository> {
        self.tags.get(REPOSITORY)?.parse().ok()
    }

    /// Whether all pull requests of the repository share it.
    #[must_use]
    pub fn is_shared(&self) -> bool {
        self.tags.get(PURPOSE).is_some_and(|purpose| purpose == Scope::Repository.purpose())
    }

    /// The commit for which it was launched.
    #[must_use]
    pub fn commit(&self) -> Option<&str> {
        self.tags.get(COMMIT).map(String::as_str)
    }
}

/// States of instances that may serve or can still be terminated.
const ALIVE: [&str; 4] = ["pending", "running", "stopping", "stopped"];

impl Aws {
    /// Instances of previews that are not terminated: all of the account, or those of a repository or pull request.
    ///
    /// # Errors
    /// No answer, or no permission.
    pub async fn previews(&self, filter: Option<&Filter>) -> Result<Vec<Instance>, AwsError> {
        let by = |name: &str, values: Vec<String>| {
            types::Filter::builder().name(name).set_values(Some(values)).build()
        };
        let mut filters = vec![
            by("tag:Purpose", Scope::PURPOSES.map(str::to_owned).to_vec()),
            by("instance-state-name", ALIVE.map(str::to_owned).to_vec()),
        ];
        if let Some(number) = filter.and_then(|filter| filter.number) {
            filters.push(by("tag:PullRequest", vec![number.to_string()]));
        }
        let mut all = self.describe(filters, None).await?;
        // Compared here, since case does not count in a repository's name and EC2's filters mind it.
        all.retain(|instance| {
            !instance.state.is_over()
                && filter.is_none_or(|filter| {
                    instance.repository().as_ref() == Some(&filter.repository)
                        && filter.number.is_none_or(|number| instance.number() == Some(number))
                })
        });
        Ok(all)
    }

    /// One instance by its id; `None` if AWS does not know it, or not yet.
    ///
    /// # Errors
    /// No answer, or no permission.
    pub async fn instance(&self, id: &str) -> Result<Option<Instance>, AwsError> {
        match self.describe(Vec::new(), Some(id)).await {
            Ok(found) => Ok(found.into_iter().next()),
            Err(error) if not_there(&error) => Ok(None),
            Err(error) => Err(error),
        }
    }

    async fn describe(
        &self,
        filters: Vec<types::Filter>,
        id: Option<&str>,
    ) -> Result<Vec<Instance>, AwsError> {
        let operation = "ec2:DescribeInstances";
        let (mut all, mut next) = (Vec::new(), None);
        loop {
            let mut request = self.ec2()?.describe_instances().set_next_token(next);
            request = match id {
                Some(id) => request.instance_ids(id),
                None => request.set_filters(Some(filters.clone())),
            };
            let answer = request.send().await.map_err(|e| failed(operation, &self.region, "*", &e))?;
            for reservation in answer.reservations() {
                all.extend(reservation.instances().iter().filter_map(read));
            }
            // An empty page may be followed by others.
            next = answer.next_token().filter(|token| !token.is_empty()).map(str::to_owned);
            if next.is_none() {
                return Ok(all);
            }
        }
    }

    /// Terminates an instance; that it is gone already is no error.
    ///
    /// # Errors
    /// No permission, or the instance is protected against termination.
    pub async fn terminate(&self, id: &str) -> Result<(), AwsError> {
        match self.ec2()?.terminate_instances().instance_ids(id).send().await {
            Ok(_) => Ok(()),
            Err(error) => match failed("ec2:TerminateInstances", &self.region, id, &error) {
                error if not_there(&error) => Ok(()),
                error => Err(error),
            },
        }
    }

    /// Asks EC2 whether it would allow to terminate an instance; terminates none.
    ///
    /// # Errors
    /// It would not, or did not answer.
    pub async fn may_terminate(&self, id: &str) -> Result<(), AwsError> {
        let answer = self.ec2()?.terminate_instances().instance_ids(id).dry_run(true).send().await;
        answer.map(drop).or_else(|e| permitted(failed("ec2:TerminateInstances", &self.region, id, &e)))
    }

    /// The last lines of the instance's console; empty if AWS has none yet.
    ///
    /// # Errors
    /// No answer, or no permission.
    pub async fn console(&self, id: &str) -> Result<String, AwsError> {
        let operation = "ec2:GetConsoleOutput";
        let ask = async |latest: bool| {
            let request = self.ec2()?.get_console_output().instance_id(id).latest(latest);
            request.send().await.map_err(|e| failed(operation, &self.region, id, &e))
        };
        let answer = match ask(true).await {
            // Only Nitro instances have the newest output.
            Err(AwsError::Rejected { .. }) => ask(false).await?,
            answer => answer?,
        };
        let bytes = base64::engine::general_purpose::STANDARD.decode(answer.output().unwrap_or_default());
        Ok(String::from_utf8_lossy(&bytes.unwrap_or_default()).into_owned())
    }
}

fn read(instance: &types::Instance) -> Option<Instance> {
    let tags = instance.tags().iter();
    Some(Instance {
        id: instance.instance_id()?.to_owned(),
        state: match instance.state().and_then(|state| state.name()) {
            Some(types::InstanceStateName::Pending) => State::Pending,
            Some(types::InstanceStateName::Running) => State::Running,
            Some(types::InstanceStateName::ShuttingDown) => State::ShuttingDown,
            Some(types::InstanceStateName::Terminated) => State::Terminated,
            Some(types::InstanceStateName::Stopped | types::InstanceStateName::Stopping) => State::Stopped,
            _ => State::Other,
        },
        reason: instance.state_reason().map(|reason| {
            let code = reason.code().unwrap_or_default();
            let message = reason.message().unwrap_or_default();
            if message.starts_with(code) { message.to_owned() } else { format!("{code}: {message}") }
        }),
        public_ip: instance.public_ip_address().filter(|ip| !ip.is_empty()).map(str::to_owned),
        launched: instance.launch_time().map(|time| time.secs()).unwrap_or_default(),
        tags: tags.filter_map(|tag| Some((tag.key()?.to_owned(), tag.value()?.to_owned()))).collect(),
    })
}
