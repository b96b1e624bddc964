//! Parameter Store: the agent's status, the instance's secrets, the names of machine images.

use aws_sdk_ssm::types::{ParameterStringFilter, ParameterType, ResourceTypeForTagging, Tag};
use preview_agent::aws::AwsError;
use secrecy::{ExposeSecret as _, SecretString};

use super::client::Aws;
use super::error::{failed, is, not_there};

/// Names that one `DeleteParameters` takes.
const BATCH: usize = 10;

impl Aws {
    /// A parameter's value as it is stored; `None` where there is none.
    ///
    /// # Errors
    /// No answer, or no right to one.
    pub async fn parameter(&self, name: &str) -> Result<Option<String>, AwsError> {
        match self.ssm.get_parameter().name(name).send().await {
            Ok(answer) => Ok(answer.parameter().and_then(|it| it.value()).map(str::to_owned)),
            Err(error) => match failed("ssm:GetParameter", &self.region, name, &error) {
                error if not_there(&error) => Ok(None),
                error => Err(error),
            },
        }
    }

    /// Stores a secret under this name, tagged. A put that overwrites takes no tags, so they come first or after.
    ///
    /// # Errors
    /// Why not.
    pub async fn store(
        &self,
        name: &str,
        value: &SecretString,
        tags: &[(String, String)],
    ) -> Result<(), AwsError> {
        let operation = "ssm:PutParameter";
        let put = || {
            let request = self.ssm.put_parameter().name(name).value(value.expose_secret());
            request.r#type(ParameterType::SecureString)
        };
        let tags: Result<Vec<Tag>, _> =
            tags.iter().map(|(key, value)| Tag::builder().key(key).value(value).build()).collect();
        let tags = tags.unwrap_or_default();
        match put().set_tags(Some(tags.clone())).send().await {
            Ok(_) => return Ok(()),
            Err(error) => match failed(operation, &self.region, name, &error) {
                error if is(&error, "ParameterAlreadyExists") => {}
                error => return Err(error),
            },
        }
        put().overwrite(true).send().await.map_err(|e| failed(operation, &self.region, name, &e))?;
        let request = self.ssm.add_tags_to_resource().resource_type(ResourceTypeForTagging::Parameter);
        let tagged = request.resource_id(name).set_tags(Some(tags)).send().await;
        tagged.map(drop).map_err(|e| failed("ssm:AddTagsToResource", &self.region, name, &e))
    }

    /// The names of all parameters in this folder and below it.
    ///
    /// # Errors
    /// No answer, or no right to one.
    pub async fn names(&self, folder: &str) -> Result<Vec<String>, AwsError> {
        let (mut all, mut next) = (Vec::new(), None);
        loop {
            let request = self.ssm.get_parameters_by_path().path(folder).recursive(true).set_next_token(next);
            let answer = request.send().await;
            let answer = answer.map_err(|e| failed("ssm:GetParametersByPath", &self.region, folder, &e))?;
            all.extend(answer.parameters().iter().filter_map(|it| it.name()).map(str::to_owned));
            next = answer.next_token().filter(|token| !token.is_empty()).map(str::to_owned);
            if next.is_none() {
                return Ok(all);
            }
        }
    }

    /// The names of all parameters with this tag.
    ///
    /// # Errors
    /// No answer, or no right to one.
    pub async fn tagged_names(&self, key: &str, value: &str) -> Result<Vec<String>, AwsError> {
        let filter =
            ParameterStringFilter::builder().key(format!("tag:{key}")).option("Equals").values(value).build();
        let Ok(filter) = filter else { return Ok(Vec::new()) };
        let (mut all, mut next) = (Vec::new(), None);
        loop {
            let request =
                self.ssm.describe_parameters().parameter_filters(filter.clone()).set_next_token(next);
            let answer = request.send().await;
            let answer = answer.map_err(|e| failed("ssm:DescribeParameters", &self.region, "*", &e))?;
            all.extend(answer.parameters().iter().filter_map(|it| it.name()).map(str::to_owned));
            next = answer.next_token().filter(|token| !token.is_empty()).map(str::to_owned);
            if next.is_none() {
                return Ok(all);
            }
        }
    }

    /// Deletes parameters; those that are gone already are no failure.
    ///
    /// # Errors
    /// Why not.
    pub async fn delete(&self, names: &[String]) -> Result<(), AwsError> {
        for batch in names.chunks(BATCH) {
            let answer = self.ssm.delete_parameters().set_names(Some(batch.to_vec())).send().await;
            answer.map_err(|e| failed("ssm:DeleteParameters", &self.region, &batch.join(", "), &e))?;
        }
        Ok(())
    }
}
