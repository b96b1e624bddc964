//! What a run learns about where it runs: the instance, its region, the way to AWS.

use std::collections::BTreeMap;

use crate::aws::{Aws, AwsError, Endpoints, Imds, ImdsError, Instance};
use crate::config::{Config, Text, TextPart};

/// Where the agent runs.
#[derive(Debug)]
pub struct Facts {
    /// `None` outside EC2.
    pub instance: Result<Option<Instance>, ImdsError>,
    /// Values of the instance tags that the configuration names.
    tags: BTreeMap<String, Option<String>>,
    /// The way to AWS.
    pub aws: Result<Aws, AwsError>,
}

impl Facts {
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

/// A part of a text that the instance does not tell.
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
