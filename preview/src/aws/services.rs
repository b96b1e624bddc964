//! Services of ECS: what they say of their tasks.

use preview_agent::aws::AwsError;
use preview_agent::status::Timestamp;

use super::client::Aws;
use super::error::failed;

/// Something that a service said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Said {
    /// When.
    pub at: Option<Timestamp>,
    /// What, in ECS's words.
    pub message: String,
}

impl Aws {
    /// What a service has said of late, the oldest first; by its ARN, as in `arn:…:service/CLUSTER/NAME`.
    ///
    /// # Errors
    /// No answer, or no right to one.
    pub async fn service_says(&self, arn: &str) -> Result<Vec<Said>, AwsError> {
        // Services of old have no cluster in their ARN, and are of the usual one.
        let path = arn.rsplit_once(":service/").map_or(arn, |(_, path)| path);
        let cluster = path.split_once('/').map_or("default", |(cluster, _)| cluster);
        let answer = self.ecs()?.describe_services().cluster(cluster).services(arn).send().await;
        let answer = answer.map_err(|e| failed("ecs:DescribeServices", &self.region, arn, &e))?;
        let events = answer.services().iter().flat_map(|service| service.events());
        let said = events.filter_map(|event| {
            let at = event.created_at().and_then(|at| std::time::SystemTime::try_from(*at).ok());
            Some(Said { at: at.map(Timestamp::from), message: event.message()?.to_owned() })
        });
        let mut said: Vec<Said> = said.collect();
        said.reverse();
        Ok(said)
    }
}
