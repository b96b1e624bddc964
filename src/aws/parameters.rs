//! SSM parameters: reading secrets, and writing the status.
//!
//! Secrets Manager is read through here too, by names that begin with
//! [`SECRETS_MANAGER`].

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use aws_sdk_ssm::Client;
use aws_sdk_ssm::config::retry::RetryConfig;
use aws_sdk_ssm::types::{Parameter, ParameterType};
use secrecy::SecretString;

use super::client::Aws;
use super::error::AwsError;
use super::sdk_errors::Call;

/// Most names that one `GetParameters` takes.
const NAMES_PER_CALL: usize = 10;
/// The path under which Parameter Store shows the secrets of Secrets Manager.
pub const SECRETS_MANAGER: &str = "/aws/reference/secretsmanager/";

/// Limit of one fetch, whatever the number of names.
pub const PARAMETERS_LIMIT: Duration = Duration::from_secs(30);
/// Limit of one write.
const PUT: Duration = Duration::from_secs(10);
pub(super) const GET_ACTION: &str = "ssm:GetParameters";
pub(super) const PUT_ACTION: &str = "ssm:PutParameter";

/// What became of one name.
#[derive(Debug, Clone)]
pub enum Fetched {
    /// It is there and readable.
    Value(SecretString),
    /// There is no such parameter in this region and account.
    Missing,
    /// This name is refused ([`AwsError::Denied`] or [`AwsError::Rejected`]); others may be fine.
    Refused(AwsError),
}

/// The parameter store of one region.
#[derive(Debug, Clone)]
pub struct Parameters {
    client: Client,
    endpoint: String,
}

impl Aws {
    /// The parameter store of this region; asks nothing yet.
    #[must_use]
    pub fn parameters(&self) -> Parameters {
        let mut config = aws_sdk_ssm::config::Builder::from(&self.config);
        if let Some(url) = &self.endpoints.ssm {
            config = config.endpoint_url(url);
        }
        let endpoint = match &self.endpoints.ssm {
            Some(url) => url.clone(),
            None => format!("SSM in {}", self.region),
        };
        Parameters { client: Client::from_conf(config.build()), endpoint }
    }
}

impl Parameters {
    /// Fetches every name, decrypted, in as few calls as possible. One name
    /// that is missing or refused hides no other: each has its own result,
    /// under the name that was asked for.
    ///
    /// # Errors
    /// What concerns all of them: no route, no credentials, throttling, the
    /// clock, or 30 s gone by.
    pub async fn fetch(&self, names: &[String]) -> Result<BTreeMap<String, Fetched>, AwsError> {
        let names: Vec<&str> =
            names.iter().map(String::as_str).collect::<BTreeSet<_>>().into_iter().collect();
        let all = async {
            let mut results = BTreeMap::new();
            for batch in batches(&names) {
                self.fetch_batch(&batch, &mut results).await?;
            }
            Ok(results)
        };
        match tokio::time::timeout(PARAMETERS_LIMIT, all).await {
            Ok(results) => results,
            Err(_) => Err(self.call(GET_ACTION, "").too_slow(PARAMETERS_LIMIT.as_secs())),
        }
    }

    /// AWS refuses a whole batch for one name of it; then each is asked for alone.
    async fn fetch_batch(
        &self,
        batch: &[&str],
        results: &mut BTreeMap<String, Fetched>,
    ) -> Result<(), AwsError> {
        match self.get(batch).await {
            Ok(parameters) => {
                results.extend(batch.iter().map(|name| ((*name).to_owned(), Fetched::Missing)));
                for parameter in parameters {
                    let name = if let [alone] = batch { Some(*alone) } else { parameter.name.as_deref() };
                    if let (Some(name), Some(value)) = (name, parameter.value) {
                        results.insert(name.to_owned(), Fetched::Value(value.into()));
                    }
                }
            }
            Err(AwsError::Denied { .. } | AwsError::Rejected { .. }) if batch.len() > 1 => {
                for name in batch {
                    Box::pin(self.fetch_batch(&[name], results)).await?;
                }
            }
            Err(error @ (AwsError::Denied { .. } | AwsError::Rejected { .. })) => {
                let fetched = if is_missing(&error) { Fetched::Missing } else { Fetched::Refused(error) };
                results.extend(batch.iter().map(|name| ((*name).to_owned(), fetched.clone())));
            }
            Err(error) => return Err(error),
        }
        Ok(())
    }

    async fn get(&self, batch: &[&str]) -> Result<Vec<Parameter>, AwsError> {
        let names = batch.iter().map(|name| (*name).to_owned()).collect();
        let request = self.client.get_parameters().set_names(Some(names)).with_decryption(true);
        let answer = request.send().await.map_err(|e| self.call(GET_ACTION, &batch.join(", ")).failed(&e))?;
        Ok(answer.parameters.unwrap_or_default())
    }

    /// Writes a plain text parameter, creating it where there is none.
    ///
    /// The type is sent each time, since only a creation needs it but nothing
    /// tells the two apart beforehand. The tier is left alone, and so is the
    /// data type: `json` would move the parameter to the charged tier. It is
    /// tried once: the caller knows how often the account's quota allows it.
    ///
    /// # Errors
    /// [`AwsError::retryable`] tells whether a later write may succeed. Ends within 10 s.
    pub async fn put(&self, name: &str, value: &str) -> Result<(), AwsError> {
        let call = self.call(PUT_ACTION, name);
        let once = aws_sdk_ssm::config::Builder::new().retry_config(RetryConfig::disabled());
        let request = self
            .client
            .put_parameter()
            .name(name)
            .value(value)
            .r#type(ParameterType::String)
            .data_type("text")
            .overwrite(true)
            .customize()
            .config_override(once);
        match tokio::time::timeout(PUT, request.send()).await {
            Ok(answer) => answer.map(drop).map_err(|e| call.failed(&e)),
            Err(_) => Err(call.too_slow(PUT.as_secs())),
        }
    }

    fn call<'a>(&'a self, operation: &'static str, resource: &'a str) -> Call<'a> {
        Call { operation, endpoint: &self.endpoint, resource }
    }
}

/// Plain names in tens; a name with a selector, an ARN or a reference alone,
/// because the answer does not repeat it as it was asked for.
fn batches<'a>(names: &[&'a str]) -> Vec<Vec<&'a str>> {
    let plain = |name: &&str| !name.contains(':') && !name.starts_with(SECRETS_MANAGER);
    let (plain, odd): (Vec<&str>, Vec<&str>) = names.iter().copied().partition(plain);
    plain.chunks(NAMES_PER_CALL).map(<[_]>::to_vec).chain(odd.into_iter().map(|name| vec![name])).collect()
}

fn is_missing(error: &AwsError) -> bool {
    match error {
        AwsError::Rejected { code, message, .. } => {
            // The second is what Secrets Manager says, handed through.
            ["ParameterNotFound", "ParameterVersionNotFound"].contains(&code.as_str())
                || message.contains("ResourceNotFoundException")
        }
        _ => false,
    }
}
