//! A command's failure: the reason, the remedy and the exit code.

use preview_agent::aws::AwsError;
use preview_agent::cli::exit;
use preview_agent::config;

use crate::github::GitHubError;

/// A failure in one or a few lines.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// What happened.
    pub message: String,
    /// What to do about it.
    pub hint: Option<String>,
    /// The exit code.
    pub code: u8,
}

impl Failure {
    /// A failure that another try does not mend.
    #[must_use]
    pub fn new(message: impl Into<String>) -> Self {
        Self { message: message.into(), hint: None, code: exit::FAILED }
    }

    /// Wrong settings.
    #[must_use]
    pub fn settings(message: impl Into<String>) -> Self {
        Self { message: message.into(), hint: None, code: exit::CONFIG }
    }

    /// Several failures as one: a line for each different one, with the code of the first. `None` if there are none.
    #[must_use]
    pub fn all(failures: &[Self]) -> Option<Self> {
        let first = failures.first()?;
        let mut lines: Vec<String> = Vec::new();
        for line in failures.iter().map(Self::text) {
            if !lines.contains(&line) {
                lines.push(line);
            }
        }
        let message = lines.join("\n");
        Some(Self { message, hint: None, code: first.code })
    }

    /// The same with this hint.
    #[must_use]
    pub fn hint(self, hint: impl Into<String>) -> Self {
        Self { hint: Some(hint.into()), ..self }
    }

    /// Message and hint.
    #[must_use]
    pub fn text(&self) -> String {
        match &self.hint {
            Some(hint) => format!("{}. {hint}", self.message.trim_end_matches('.')),
            None => self.message.clone(),
        }
    }
}

impl From<Vec<Failure>> for Failure {
    fn from(failures: Vec<Failure>) -> Self {
        Self::all(&failures).unwrap_or_else(|| Self::new("an unknown fault"))
    }
}

impl From<AwsError> for Failure {
    fn from(error: AwsError) -> Self {
        let hint = match &error {
            AwsError::Denied { action, .. } if action.starts_with("cloudformation:") => {
                Some(format!("Allow {action} on the stack to the role that calls."))
            }
            AwsError::Denied { action, .. } if action.starts_with("ecr:") || action.starts_with("ecs:") => {
                Some(format!("Allow {action} to the role that calls."))
            }
            AwsError::Denied { action, .. } => Some(format!(
                "Allow {action} to the caller's role: `preview iam-policy` prints its whole policy."
            )),
            AwsError::Credentials { .. } => Some(
                "Log in to AWS first: in a workflow with aws-actions/configure-aws-credentials and `id-token: write`, on a \
                 laptop with a profile or `aws sso login`."
                    .to_owned(),
            ),
            AwsError::RegionUnknown => Some("Set AWS_REGION, in a repository as a variable.".to_owned()),
            AwsError::ClockSkew { .. } => Some("Set this machine's clock.".to_owned()),
            AwsError::Rejected { code, .. } => of_code(code).map(str::to_owned),
            _ => None,
        };
        let code = match &error {
            AwsError::Denied { .. } | AwsError::Credentials { .. } => exit::NO_PERMISSION,
            error if error.retryable() => exit::TEMPORARY,
            _ => exit::FAILED,
        };
        Self { message: error.to_string(), hint, code }
    }
}

/// What to do about an error of EC2, by its code (EC2 API reference, "Error codes").
fn of_code(code: &str) -> Option<&'static str> {
    Some(match code {
        "InsufficientInstanceCapacity" | "InsufficientCapacity" => {
            "EC2 has none of this type here at the moment: try later, or another `instance.type` or `instance.subnet`."
        }
        "VcpuLimitExceeded" | "InstanceLimitExceeded" => {
            "The account's quota is used up: terminate what is not needed (`preview list`), or ask AWS for a higher quota."
        }
        "InvalidSubnetID.NotFound" => {
            "Correct `instance.subnet` (SUBNET_ID); ids differ by region and account."
        }
        "InvalidGroup.NotFound" | "InvalidGroupId.Malformed" | "InvalidSecurityGroupID.NotFound" => {
            "Correct `instance.security_group` (SG_ID) or `db_security_group` (DB_SG_ID)."
        }
        "InvalidAMIID.NotFound" | "InvalidAMIID.Malformed" | "InvalidAMIID.Unavailable" => {
            "Correct `instance.ami` (AMI_ID), or leave it out for Amazon Linux 2023; ids differ by region."
        }
        "InvalidInstanceType" | "Unsupported" => {
            "Choose another `instance.type` (INSTANCE_TYPE) or `instance.subnet`."
        }
        "RulesPerSecurityGroupLimitExceeded" => {
            "The security group is full: `preview sweep` removes what closed pull requests left in it."
        }
        "OperationNotPermitted" => {
            "The instance is protected against termination; switch the protection off first."
        }
        "AuthFailure" => {
            "AWS does not accept the signature: check the credentials, and this machine's clock."
        }
        "InvalidDocument" => {
            "The command documents are not in this region: packaging/ssm has them and the commands that make them."
        }
        _ => return None,
    })
}

impl From<GitHubError> for Failure {
    fn from(error: GitHubError) -> Self {
        let code = match &error {
            GitHubError::Denied { .. } | GitHubError::Token { .. } => exit::NO_PERMISSION,
            GitHubError::Limited { .. } | GitHubError::Unreachable { .. } => exit::TEMPORARY,
            _ => exit::FAILED,
        };
        Self { message: error.to_string(), hint: error.hint().map(str::to_owned), code }
    }
}

impl From<config::Error> for Failure {
    fn from(error: config::Error) -> Self {
        Self::settings(error.to_string())
    }
}
