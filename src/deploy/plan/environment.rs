//! The environment of a run: the instance, its region, the way to AWS.

use std::collections::BTreeMap;

use crate::aws::{Aws, AwsError, Endpoints, Imds, ImdsError, Instance};
use crate::config::{Config, Text, TextPart};
use crate::status::{self, Code, Fault, Reporter};

/// Where the agent runs.
#[derive(Debug)]
pub struct Environment {
    /// `None` outside EC2.
    pub instance: Result<Option<Instance>, ImdsError>,
    /// Values of the instance tags that the configuration names.
    tags: BTreeMap<String, Option<String>>,
    /// The way to AWS.
    pub aws: Result<Aws, AwsError>,
}

impl Environment {
    /// Asks the metadata service and prepares the way to AWS. Nothing here
    /// fails by itself: outside EC2 a configuration that asks for nothing of it works.
    pub async fn gather(config: &Config, endpoints: &Endpoints) -> Self {
        let (instance, tags) = match Imds::connect(endpoints.imds.as_deref()) {
            Ok(imds) => {
                let instance = imds.instance().await;
                let mut tags = BTreeMap::new();
                if matches!(instance, Ok(Some(_))) {
                    for name in tag_names(config) {
                        let value = imds.tag(&name).await.ok().flatten();
                        tags.insert(name, value);
                    }
                }
                (instance, tags)
            }
            Err(error) => (Err(error), BTreeMap::new()),
        };
        let region = instance.as_ref().ok().and_then(Option::as_ref).map(|instance| instance.region.clone());
        let aws = Aws::connect(endpoints.clone(), region.as_deref()).await;
        Self { instance, tags, aws }
    }

    /// The text with what it says about the instance filled in.
    ///
    /// # Errors
    /// [`Unknown`] names the part that cannot be filled in.
    pub fn expand(&self, text: &Text) -> Result<String, Unknown> {
        text.0.iter().map(|part| self.part(part)).collect()
    }

    /// Reports the instance and the deployment's own id.
    pub fn report(&self, reporter: &Reporter, config: &Config) {
        let deployment = config.deployment_id.as_ref().and_then(|text| self.expand(text).ok());
        reporter.update(|report| {
            report.deployment(deployment);
            if let Ok(Some(instance)) = &self.instance {
                report.instance(status::Instance {
                    id: Some(instance.id.clone()),
                    region: Some(instance.region.clone()),
                    az: instance.availability_zone.clone(),
                    kind: instance.instance_type.clone(),
                    private_ip: instance.private_ip.map(|ip| ip.to_string()),
                    public_ip: instance.public_ip.map(|ip| ip.to_string()),
                });
            }
        });
    }

    /// The fault where there is no way to AWS. Without a region the cause is
    /// usually the metadata service that did not name it.
    #[must_use]
    pub fn no_aws(&self, error: &AwsError) -> Fault {
        match (error, &self.instance) {
            (AwsError::RegionUnknown, Err(error)) => error.clone().into(),
            _ => error.clone().into(),
        }
    }

    fn part(&self, part: &TextPart) -> Result<String, Unknown> {
        let instance = || match &self.instance {
            Ok(Some(instance)) => Ok(instance),
            Ok(None) => Err(Unknown::NotOnEc2),
            Err(error) => Err(Unknown::Imds(error.clone())),
        };
        match part {
            TextPart::Plain(text) => Ok(text.clone()),
            TextPart::InstanceId => instance().map(|instance| instance.id.clone()),
            TextPart::InstanceRegion => instance().map(|instance| instance.region.clone()),
            TextPart::InstanceTag(name) => {
                instance()?;
                self.tags.get(name).cloned().flatten().ok_or_else(|| Unknown::Tag(name.clone()))
            }
        }
    }
}

/// A part of a text that the instance does not fill in.
#[derive(Debug, thiserror::Error)]
pub enum Unknown {
    /// The metadata service is switched off by environment.
    #[error("the instance metadata service is switched off (AWS_EC2_METADATA_DISABLED)")]
    NotOnEc2,
    /// The metadata service did not answer.
    #[error(transparent)]
    Imds(ImdsError),
    /// No such tag, or tags are not enabled in the metadata.
    #[error("the instance has no tag {0} in its metadata (are instance tags enabled there?)")]
    Tag(String),
}

impl Unknown {
    /// The fault of a field that needs what the instance does not know.
    #[must_use]
    pub fn fault(self, field: &str) -> Fault {
        let fault = match self {
            Self::Imds(error) => Fault::from(error),
            Self::NotOnEc2 => Fault::new(Code::ImdsForbidden, self.to_string()),
            Self::Tag(_) => Fault::new(Code::ConfigInvalid, self.to_string()),
        };
        Fault { message: format!("{field}: {}", fault.message), ..fault }
    }
}

fn tag_names(config: &Config) -> Vec<String> {
    let mut names = Vec::new();
    for text in config.texts() {
        names.extend(text.0.iter().filter_map(|part| match part {
            TextPart::InstanceTag(name) => Some(name.clone()),
            _ => None,
        }));
    }
    names.sort_unstable();
    names.dedup();
    names
}
