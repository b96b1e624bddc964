//! A launch with what may come between: no room, a quota that the old instance still fills, an address that
//! takes its time.

use std::net::IpAddr;

use tokio::time::{Instant, sleep};

use super::failure::Failure;
use super::job::Job;
use super::plan::{is_of_profile, token};
use crate::aws::{AwsError, Instance as Machine, Launch, State, is};

/// Tries of a request that got no answer: one token, so that it is one launch.
const TRIES: u32 = 3;

impl Job {
    /// Launches; `ending` are instances of ours that are on their way out.
    ///
    /// # Errors
    /// Why not.
    pub(super) async fn launch(&self, launch: &Launch, ending: &[String]) -> Result<String, Failure> {
        let (begun, mut launch, mut unanswered) = (Instant::now(), launch.clone(), 0);
        let (mut told, mut gone) = (false, false);
        loop {
            match self.aws.launch(&launch).await {
                Ok(id) => return Ok(id),
                // The account counts an instance until it is gone.
                Err(error) if is(&error, "VcpuLimitExceeded") || is(&error, "InstanceLimitExceeded") => {
                    if gone || ending.is_empty() || begun.elapsed() > self.aws.pace.ending {
                        return Err(error.into());
                    }
                    // Gone by now: once more.
                    gone = !self.any_alive(ending).await;
                    if !told {
                        self.output.say("the quota is used up until the old instance is gone");
                        told = true;
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
                // A profile that was just made takes a while to be known everywhere; EC2 does not say which it is.
                Err(error) if is_of_profile(&error) && begun.elapsed() < self.aws.pace.unknown => {}
                Err(error) => return Err(error.into()),
            }
            sleep(self.aws.pace.pause).await;
        }
    }

    /// The instance of a launch whose answers were all lost.
    async fn launched_unheard(&self, launch: &Launch) -> Result<Option<String>, Failure> {
        let is_of_launch =
            |instance: &Machine| launch.tags.iter().all(|(key, value)| instance.tags.get(key) == Some(value));
        let all = self.aws.previews(None).await?;
        Ok(all.into_iter().find(is_of_launch).map(|instance| instance.id))
    }

    /// Waits until an instance is gone, for a while.
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
    /// The instance ended, or got none.
    pub(super) async fn address(&self, id: &str) -> Result<IpAddr, Failure> {
        let begun = Instant::now();
        loop {
            match self.aws.instance(id).await {
                Ok(Some(instance)) => {
                    if let Some(address) = instance.public_ip.as_deref().and_then(|ip| ip.parse().ok()) {
                        return Ok(address);
                    }
                    if instance.state.is_over() {
                        let why = instance.reason.unwrap_or_else(|| "AWS does not say why".to_owned());
                        return Err(Failure::new(format!("the instance {id} ended as soon as it was launched: {why}")).hint(
                            "Volumes are encrypted: where the account's default key is a customer managed one, the role needs \
                             kms:CreateGrant on it.",
                        ));
                    }
                }
                // Not known to all of EC2 yet.
                Ok(None) if begun.elapsed() < self.aws.pace.unknown => {}
                Ok(None) => return Err(Failure::new(format!("EC2 no longer knows the instance {id}"))),
                Err(error) if error.retryable() => {}
                Err(error) => return Err(error.into()),
            }
            if begun.elapsed() > self.aws.pace.address {
                let message = format!(
                    "the instance {id} has got no public address within {} s",
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
