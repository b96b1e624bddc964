//! Instances: found by their tags, looked at, ended.

use std::collections::BTreeMap;

use aws_sdk_ec2::types;
use base64::Engine as _;
use preview_agent::aws::AwsError;

use super::client::Aws;
use super::error::{failed, not_there};
use crate::names::{COMMIT, PULL_REQUEST, PURPOSE, REPOSITORY, Repository, Scope, number};

/// One instance.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Instance {
    /// `i-…`
    pub id: String,
    /// Its state.
    pub state: State,
    /// Why it is in this state, where AWS says so.
    pub reason: Option<String>,
    /// Its public IPv4 address.
    pub public_ip: Option<String>,
    /// When it was launched, in seconds since 1970.
    pub launched: i64,
    /// Its tags.
    pub tags: BTreeMap<String, String>,
}

/// The state of an instance.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// On its way up.
    Pending,
    /// Up.
    Running,
    /// On its way down for good.
    ShuttingDown,
    /// Gone; AWS lists it for an hour.
    Terminated,
    /// Stopped, or being stopped.
    Stopped,
    /// A state that is new to this program.
    Other,
}

impl State {
    /// Whether it is gone, or goes whatever is done.
    #[must_use]
    pub fn is_over(self) -> bool {
        matches!(self, Self::ShuttingDown | Self::Terminated)
    }
}

/// Which instances.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Filter {
    /// Those of this repository.
    pub repository: Repository,
    /// Those of this pull request, or of all.
    pub number: Option<u64>,
}

impl Instance {
    /// The pull request that it belongs to. Whatever lacks one of our tags is nobody's to end: an answer
    /// may come without tags.
    #[must_use]
    pub fn number(&self) -> Option<u64> {
        let purpose = self.tags.get(PURPOSE)?;
        let ours = Scope::PURPOSES.contains(&purpose.as_str()) && self.repository().is_some();
        number(self.tags.get(PULL_REQUEST)?).filter(|_| ours)
    }

    /// The repository that it belongs to.
    #[must_use]
    pub fn repository(&self) -> Option<Repository> {
        self.tags.get(REPOSITORY)?.parse().ok()
    }

    /// Whether all pull requests of the repository take turns on it.
    #[must_use]
    pub fn is_shared(&self) -> bool {
        self.tags.get(PURPOSE).is_some_and(|purpose| purpose == Scope::Repository.purpose())
    }

    /// The commit that it was launched for.
    #[must_use]
    pub fn commit(&self) -> Option<&str> {
        self.tags.get(COMMIT).map(String::as_str)
    }
}

/// States in which an instance can still be ended, or serves.
const ALIVE: [&str; 4] = ["pending", "running", "stopping", "stopped"];

impl Aws {
    /// Previews that are alive: all of the account's, or those of a repository or pull request.
    ///
    /// # Errors
    /// No answer, or no right to one.
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
        // The repository is compared here, since case does not count in it.
        all.retain(|instance| {
            !instance.state.is_over()
                && filter.is_none_or(|filter| {
                    instance.repository().as_ref() == Some(&filter.repository)
                        && filter.number.is_none_or(|number| instance.number() == Some(number))
                })
        });
        Ok(all)
    }

    /// One instance by its id; `None` where AWS does not know it, or not yet.
    ///
    /// # Errors
    /// No answer, or no right to one.
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
            let mut request = self.ec2.describe_instances().set_next_token(next);
            request = match id {
                Some(id) => request.instance_ids(id),
                None => request.set_filters(Some(filters.clone())),
            };
            let answer = request.send().await.map_err(|e| failed(operation, &self.region, "*", &e))?;
            for reservation in answer.reservations() {
                all.extend(reservation.instances().iter().filter_map(read));
            }
            // A page may be empty and not be the last.
            next = answer.next_token().filter(|token| !token.is_empty()).map(str::to_owned);
            if next.is_none() {
                return Ok(all);
            }
        }
    }

    /// Ends an instance; one that is gone already is no failure.
    ///
    /// # Errors
    /// It may not be ended: no right, or protected against it.
    pub async fn terminate(&self, id: &str) -> Result<(), AwsError> {
        match self.ec2.terminate_instances().instance_ids(id).send().await {
            Ok(_) => Ok(()),
            Err(error) => match failed("ec2:TerminateInstances", &self.region, id, &error) {
                error if not_there(&error) => Ok(()),
                error => Err(error),
            },
        }
    }

    /// The last lines of what the instance wrote to its console; empty where AWS has nothing yet.
    ///
    /// # Errors
    /// No answer, or no right to one.
    pub async fn console(&self, id: &str) -> Result<String, AwsError> {
        let operation = "ec2:GetConsoleOutput";
        let ask = async |latest: bool| {
            let request = self.ec2.get_console_output().instance_id(id).latest(latest);
            request.send().await.map_err(|e| failed(operation, &self.region, id, &e))
        };
        let answer = match ask(true).await {
            // The newest output is to be had of Nitro machines only.
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
