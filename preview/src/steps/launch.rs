//! Launches an instance and handles what may delay it: no capacity, a quota that the old instance still fills, an
//! address that takes its time.

use std::net::IpAddr;

use tokio::time::{Instant, sleep};

use super::failure::Failure;
use super::job::Job;
use super::plan::{is_of_profile, token};
use crate::aws::{AwsError, Instance as Machine, Launch, State, is};

/// Tries of a request that got no answer. All have one token, so that they are one launch.
const TRIES: u32 = 3;

impl Job {
    /// Launches an instance; `ending` are instances of ours that terminate now.
    ///
    /// # Errors
    /// EC2's reason against it.
    pub(super) async fn launch(&self, launch: &Launch, ending: &[String]) -> Result<String, Failure> {
        let (begun, mut launch, mut unanswered) = (Instant::now(), launch.clone(), 0);
        let (mut said_so, mut gone) = (false, false);
        loop {
            match self.aws.launch(&launch).await {
                Ok(id) => return Ok(id),
                // The account counts an instance until it is gone.
                Err(error) if is(&error, "VcpuLimitExceeded") || is(&error, "InstanceLimitExceeded") => {
                    if gone || ending.is_empty() || begun.elapsed() > self.aws.pace.ending {
                        return Err(error.into());
                    }
                    // They are gone now: try once more.
                    gone = !self.any_alive(ending).await;
                    if !said_so {
                        self.output.say("the quota is used up until the old instance is gone");
                        said_so = true;
                    }
                    launch.token = token();
                }
                Err(
                    error @ (AwsError::Unreachable { .. }
                    | AwsError::Unavailable { .. }
                    | AwsError::Throttled { .. }),
                ) => {
                    unanswered += 1;
                    if unanswered == TRIES {
                        return self.launched_unheard(&launch).await?.ok_or_else(|| error.into());
                    }
                }
                // EC2 may not know a new profile for a while, and uses the same code for a wrong one.
                Err(error) if is_of_profile(&error) && begun.elapsed() < self.aws.pace.unknown => {}
                Err(error) => return Err(error.into()),
            }
            sleep(self.aws.pace.pause).await;
        }
    }

    /// The instance of a launch that got no answer at all.
    async fn launched_unheard(&self, launch: &Launch) -> Result<Option<String>, Failure> {
        let is_of_launch =
            |instance: &Machine| launch.tags.iter().all(|(key, value)| instance.tags.get(key) == Some(value));
        let all = self.aws.previews(None).await?;
        Ok(all.into_iter().find(is_of_launch).map(|instance| instance.id))
    }

    /// Waits until an instance is gone, up to a limit.
    pub(super) async fn gone(&self, id: &str) {
        let begun = Instant::now();
        while begun.elapsed() < self.aws.pace.ending && self.any_alive(&[id.to_owned()]).await {
            sleep(self.aws.pace.pause).await;
        }
    }

    async fn any_alive(&self, ids: &[String]) -> bool {
        for id in ids {
            if let Ok(Some(instance)) = self.aws.instance(id).await
                && instance.state != State::Terminated
            {
                return true;
            }
        }
        false
    }

    /// Waits for the instance's public address.
    ///
    /// # Errors
    /// The instance terminated, or got no address.
    pub(super) async fn address(&self, id: &str) -> Result<IpAddr, Failure> {
        let begun = Instant::now();
        loop {
            match self.aws.instance(id).await {
                Ok(Some(instance)) => {
                    if let Some(address) = instance.public_ip.as_deref().and_then(|ip| ip.parse().ok()) {
                        return Ok(address);
                    }
                    if instance.state.is_over() {
                        let why = instance.reason.unwrap_or_else(|| "AWS gives no reason".to_owned());
                        return Err(Failure::new(format!("the instance {id} terminated as soon as it was launched: {why}")).hint(
                            "Volumes are encrypted: where the account's default key is a customer managed one, the role needs \
                             kms:CreateGrant on it.",
                        ));
                    }
                }
                // Parts of EC2 do not know it yet.
                Ok(None) if begun.elapsed() < self.aws.pace.unknown => {}
                Ok(None) => return Err(Failure::new(format!("EC2 no longer knows the instance {id}"))),
                Err(error) if error.retryable() => {}
                Err(error) => return Err(error.into()),
            }
            if begun.elapsed() > self.aws.pace.address {
                let message = format!(
                    "the instance {id} got no public address within {} s",
                    self.aws.pace.address.as_secs()
                );
                return Err(Failure::new(message).hint(
                    "Choose a public subnet (with a route to an internet gateway) as `instance.subnet`.",
                ));
            }
            sleep(self.aws.pace.pause).await;
        }
    }
}
