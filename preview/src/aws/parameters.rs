//! Parameter Store: the agent's status, the instance's secrets, the names of machine images.

use aws_sdk_ssm::types::{ParameterStringFilter, ParameterType, ResourceTypeForTagging, Tag};
use preview_agent::aws::AwsError;
use secrecy::{ExposeSecret as _, SecretString};

use super::client::Aws;
use super::error::{failed, is, not_there};

/// Names that one `DeleteParameters` takes.
const BATCH: usize = 10;

impl Aws {
    /// A parameter's stored value, not decrypted; `None` if it does not exist.
    ///
    /// # Errors
    /// No answer, or no permission.
    pub async fn parameter(&self, name: &str) -> Result<Option<String>, AwsError> {
        match self.ssm()?.get_parameter().name(name).send().await {
            Ok(answer) => Ok(answer.parameter().and_then(|it| it.value()).map(str::to_owned)),
            Err(error) => match failed("ssm:GetParameter", &self.region, name, &error) {
                error if not_there(&error) => Ok(None),
                error => Err(error),
            },
        }
    }

    /// Stores a secret with these tags.
    ///
    /// # Errors
    /// No answer, or AWS refused it.
    pub async fn store(
        &self,
        name: &str,
        value: &SecretString,
        tags: &[(String, String)],
    ) -> Result<(), AwsError> {
        let made = self.put(name, value, ParameterType::SecureString, false, tags).await;
        match made {
            Err(error) if is(&error, "ParameterAlreadyExists") => {}
            end => return end,
        }
        // A request that overwrites takes no tags.
        self.put(name, value, ParameterType::SecureString, true, &[]).await?;
        self.tag(name, tags).await
    }

    /// Makes a parameter with this text and these tags; an existing one keeps its text and gets the tags.
    ///
    /// # Errors
    /// No answer, or AWS refused it.
    pub async fn keep_place(
        &self,
        name: &str,
        text: &str,
        tags: &[(String, String)],
    ) -> Result<(), AwsError> {
        match self.put(name, &text.into(), ParameterType::String, false, tags).await {
            Err(error) if is(&error, "ParameterAlreadyExists") => self.tag(name, tags).await,
            end => end,
        }
    }

    /// Writes another text into a parameter, which keeps its tags.
    ///
    /// # Errors
    /// No answer, or AWS refused it.
    pub async fn overwrite(&self, name: &str, text: &str) -> Result<(), AwsError> {
        self.put(name, &text.into(), ParameterType::String, true, &[]).await
    }

    async fn put(
        &self,
        name: &str,
        value: &SecretString,
        kind: ParameterType,
        overwrite: bool,
        tags: &[(String, String)],
    ) -> Result<(), AwsError> {
        let mut request = self.ssm()?.put_parameter().name(name).value(value.expose_secret()).r#type(kind);
        request = if overwrite { request.overwrite(true) } else { request.set_tags(Some(made(tags))) };
        let answer = request.send().await;
        answer.map(drop).map_err(|e| failed("ssm:PutParameter", &self.region, name, &e))
    }

    async fn tag(&self, name: &str, tags: &[(String, String)]) -> Result<(), AwsError> {
        let request = self.ssm()?.add_tags_to_resource().resource_type(ResourceTypeForTagging::Parameter);
        let answer = request.resource_id(name).set_tags(Some(made(tags))).send().await;
        answer.map(drop).map_err(|e| failed("ssm:AddTagsToResource", &self.region, name, &e))
    }

    /// The names of all parameters in this folder and below it.
    ///
    /// # Errors
    /// No answer, or no permission.
    pub async fn names(&self, folder: &str) -> Result<Vec<String>, AwsError> {
        let (mut all, mut next) = (Vec::new(), None);
        loop {
            let request =
                self.ssm()?.get_parameters_by_path().path(folder).recursive(true).set_next_token(next);
            let answer = request.send().await;
            let answer = answer.map_err(|e| failed("ssm:GetParametersByPath", &self.region, folder, &e))?;
            all.extend(answer.parameters().iter().filter_map(|it| it.name()).map(str::to_owned));
            next = answer.next_token().filter(|token| !token.is_empty()).map(str::to_owned);
            if next.is_none() {
                return Ok(all);
            }
        }
    }

    /// The names of all parameters with these tags.
    ///
    /// # Errors
    /// No answer, or no permission.
    pub async fn tagged_names(&self, tags: &[(&str, &str)]) -> Result<Vec<String>, AwsError> {
        let filters = tags.iter().filter_map(|(key, value)| {
            ParameterStringFilter::builder()
                .key(format!("tag:{key}"))
                .option("Equals")
                .values(*value)
                .build()
                .ok()
        });
        let filters: Vec<ParameterStringFilter> = filters.collect();
        let (mut all, mut next) = (Vec::new(), None);
        loop {
            let request = self
                .ssm()?
                .describe_parameters()
                .set_parameter_filters(Some(filters.clone()))
                .set_next_token(next);
            let answer = request.send().await;
            let answer = answer.map_err(|e| failed("ssm:DescribeParameters", &self.region, "*", &e))?;
            all.extend(answer.parameters().iter().filter_map(|it| it.name()).map(str::to_owned));
            next = answer.next_token().filter(|token| !token.is_empty()).map(str::to_owned);
            if next.is_none() {
                return Ok(all);
            }
        }
    }

    /// Deletes parameters; that some are gone already is no error.
    ///
    /// # Errors
    /// No answer, or AWS refused it.
    pub async fn delete(&self, names: &[String]) -> Result<(), AwsError> {
        for batch in names.chunks(BATCH) {
            let answer = self.ssm()?.delete_parameters().set_names(Some(batch.to_vec())).send().await;
            answer.map_err(|e| failed("ssm:DeleteParameters", &self.region, &batch.join(", "), &e))?;
        }
        Ok(())
    }
}

fn made(tags: &[(String, String)]) -> Vec<Tag> {
    tags.iter().filter_map(|(key, value)| Tag::builder().key(key).value(value).build().ok()).collect()
}
