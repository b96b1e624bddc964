//! What a tag in a private ECR registry stands for.

use aws_sdk_ecr::types::ImageIdentifier;
use preview_agent::aws::AwsError;

use super::client::Aws;
use super::error::{failed, is};

impl Aws {
    /// The digest that a tag stands for now; `None` where there is no such tag.
    ///
    /// # Errors
    /// No answer, or no right to one.
    pub async fn digest(
        &self,
        (account, region): (&str, &str),
        repository: &str,
        tag: &str,
    ) -> Result<Option<String>, AwsError> {
        let there = aws_sdk_ecr::config::Region::new(region.to_owned());
        let request = self.ecr()?.describe_images().registry_id(account).repository_name(repository);
        let request = request.image_ids(ImageIdentifier::builder().image_tag(tag).build());
        let there = aws_sdk_ecr::config::Builder::new().region(there);
        match request.customize().config_override(there).send().await {
            Ok(answer) => {
                Ok(answer.image_details().first().and_then(|it| it.image_digest()).map(str::to_owned))
            }
            Err(error) => match failed("ecr:DescribeImages", region, repository, &error) {
                error
                    if is(&error, "ImageNotFoundException") || is(&error, "RepositoryNotFoundException") =>
                {
                    Ok(None)
                }
                error => Err(error),
            },
        }
    }
}
