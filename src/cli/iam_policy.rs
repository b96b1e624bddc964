//! `agent iam-policy`: the least that the instance's role must be allowed for a configuration.

use std::io::{self, Write};
use std::path::PathBuf;

use clap::Args;

use super::exit;
use super::output::written;
use crate::aws::iam_policy::{INLINE_LIMIT, Place, instance_policy};
use crate::config;

/// Print the IAM policy that an instance needs for a configuration
///
/// Allows what the agent does with this configuration, and what the SSM Agent
/// needs for Run Command and Session Manager. Touches nothing, needs no
/// network, and the files that jobs mount need not be here.
#[derive(Debug, Args)]
pub struct IamPolicy {
    /// The configuration file
    #[arg(long, value_name = "FILE", default_value = config::DEFAULT_PATH)]
    pub config: PathBuf,
    /// Region of the instance, its parameters and secrets
    #[arg(long, default_value = "*", value_parser = region)]
    pub region: String,
    /// Account of the instance, twelve digits
    #[arg(long, default_value = "*", value_parser = account)]
    pub account: String,
    /// Partition: aws-cn in China, aws-us-gov in GovCloud
    #[arg(long, default_value = "aws", value_parser = partition)]
    pub partition: String,
    /// ARN of a customer managed key that encrypts parameters or secrets; may be repeated
    #[arg(long = "kms-key", value_name = "ARN", value_parser = kms_key)]
    pub kms_keys: Vec<String>,
}

impl IamPolicy {
    /// Writes the policy and returns the exit code: 0, 77 (may not be read) or 78 (wrong).
    #[must_use]
    pub fn run(self) -> u8 {
        written(self.print(&mut io::stdout().lock(), &mut io::stderr().lock()))
    }

    fn print(self, out: &mut impl Write, err: &mut impl Write) -> io::Result<u8> {
        let config = match config::load_for_another_host(&self.config) {
            Ok(config) => config,
            Err(error) => {
                writeln!(err, "{error}")?;
                return Ok(exit::of_config_error(&error));
            }
        };
        let Self { partition, region, account, kms_keys, .. } = self;
        let policy = instance_policy(&config, &Place { partition, region, account, kms_keys });
        writeln!(out, "{}", serde_json::to_string_pretty(&policy)?)?;
        if policy.size() > INLINE_LIMIT {
            let size = policy.size();
            writeln!(err, "agent: {size} characters; a role's inline policies have {INLINE_LIMIT} at most")?;
        }
        Ok(exit::OK)
    }
}

fn region(text: &str) -> Result<String, &'static str> {
    let fits = text == "*"
        || (text.contains('-')
            && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-'));
    if fits { Ok(text.to_owned()) } else { Err("expected a region such as eu-central-1") }
}

fn account(text: &str) -> Result<String, &'static str> {
    let fits = text == "*" || (text.len() == 12 && text.bytes().all(|b| b.is_ascii_digit()));
    if fits { Ok(text.to_owned()) } else { Err("expected an account's twelve digits") }
}

fn partition(text: &str) -> Result<String, &'static str> {
    let fits = text.starts_with("aws") && text.bytes().all(|b| b.is_ascii_lowercase() || b == b'-');
    if fits { Ok(text.to_owned()) } else { Err("expected aws, aws-cn or aws-us-gov") }
}

fn kms_key(text: &str) -> Result<String, &'static str> {
    let part = |n| text.split(':').nth(n).unwrap_or_default();
    let fits = part(0) == "arn"
        && part(2) == "kms"
        && part(5).starts_with("key/")
        && text.split(':').count() == 6
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || b":-/".contains(&b));
    if fits { Ok(text.to_owned()) } else { Err("expected a key's ARN, arn:aws:kms:REGION:ACCOUNT:key/ID") }
}
