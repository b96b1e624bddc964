//! Checks that everything a launch names exists and fits together, and reports all faults at once.

use preview_agent::cli::exit;

use super::failure::Failure;
use super::job::Job;
use super::room;
use super::user_data::{Release, ReleaseError};
use crate::aws::{AwsError, Image, Launch};
use crate::names::{COMMIT, Preview};
use crate::settings::{AgentConfig, Ami, Fill, Settings};

/// The parameters with AWS's newest Amazon Linux 2023 (AWS, "Amazon Linux 2023 on Amazon EC2").
const AL2023: &str = "/aws/service/ami-amazon-linux-latest/al2023-ami-kernel-default-";

/// A launch and the configuration for it.
pub(super) struct Plan {
    /// The launch, without its token.
    pub(super) launch: Launch,
    /// The agent's configuration.
    pub(super) agent: AgentConfig,
}

impl Job {
    /// Checks everything that the launch of this commit needs.
    ///
    /// # Errors
    /// Every fault.
    pub(super) async fn plan(
        &self,
        settings: &Settings,
        preview: &Preview,
        sha: &str,
        release: &Result<Release, ReleaseError>,
    ) -> Result<Plan, Vec<Failure>> {
        let instance = &settings.instance;
        let mut faults = Vec::new();
        let fill = Fill { preview, sha, secrets: &settings.secrets };
        let agent = keep(&mut faults, AgentConfig::new(settings, &fill).map_err(Failure::from));
        faults.extend(self.secret_faults(settings, preview, agent.as_ref().map(|agent| &agent.config)));
        let kind = keep(&mut faults, self.aws.instance_type(&instance.kind).await.map_err(Failure::from));
        let image = match &kind {
            Some(kind) => keep(&mut faults, self.image(instance.ami.as_ref(), &kind.architecture).await),
            None => None,
        };
        if let (Some(image), Some(kind)) = (&image, &kind)
            && image.architecture != kind.architecture
        {
            let message = format!(
                "{} is for {}, and {} has {}",
                image.id, image.architecture, kind.name, kind.architecture
            );
            faults.push(
                Failure::settings(message)
                    .hint("Choose `instance.ami` and `instance.type` of one architecture."),
            );
        }
        if let (Some(image), Some(volume)) = (&image, instance.volume)
            && volume < image.least_volume
        {
            let message =
                format!("`instance.volume` is {volume} GiB, and {} needs {}", image.id, image.least_volume);
            faults.push(Failure::settings(message).hint("Make it larger, or leave it out."));
        }
        self.network_fits(settings, &mut faults).await;
        keep(&mut faults, room::has_one_application(self, settings, preview).await);
        let user_data = agent.as_ref().and_then(|agent| {
            let made = release.as_ref().map_err(Clone::clone);
            let made = made.and_then(|release| release.user_data(&agent.text, &preview.status()));
            keep(&mut faults, made.map_err(|error| Failure::settings(error.to_string())))
        });
        // Where permissions are all that lacks, the dry run says whether there are more.
        let is_denied_only = faults.iter().all(|fault| fault.code == exit::NO_PERMISSION);
        let (Some(agent), Some(image), Some(user_data), true) = (agent, image, user_data, is_denied_only)
        else {
            return Err(faults);
        };
        let mut tags = preview.tags(settings.scope.purpose());
        tags.extend(
            [("Name", instance.name.as_str()), (COMMIT, sha)].map(|(k, v)| (k.to_owned(), v.to_owned())),
        );
        let launch = Launch {
            ami: image.id,
            root_device: image.root_device,
            kind: instance.kind.clone(),
            subnet: instance.subnet.clone(),
            security_group: instance.security_group.clone(),
            profile: instance.profile.clone(),
            // EC2 API reference, EbsBlockDevice: a size or a snapshot must be given.
            volume: instance.volume.or(Some(image.least_volume).filter(|size| *size > 0)),
            user_data,
            tags,
            token: token(),
        };
        keep(&mut faults, self.aws.rehearse(&launch).await.map_err(explained));
        if faults.is_empty() { Ok(Plan { launch, agent }) } else { Err(faults) }
    }

    async fn image(&self, ami: Option<&Ami>, architecture: &str) -> Result<Image, Failure> {
        let newest = Ami::Parameter(format!("{AL2023}{architecture}"));
        let id = match ami.unwrap_or(&newest) {
            Ami::Id(id) => id.clone(),
            Ami::Parameter(name) => {
                let id = self.aws.parameter(name).await.map_err(|error| own_parameter(name, error))?;
                id.filter(|id| id.starts_with("ami-")).ok_or_else(|| {
                    Failure::settings(format!("the parameter {name} does not hold the id of a machine image"))
                        .hint("Correct `instance.ami`, or leave it out for Amazon Linux 2023.")
                })?
            }
        };
        let image = self.aws.image(&id).await?;
        let image = image.filter(|image| image.available);
        image.ok_or_else(|| {
            Failure::settings(format!("the machine image {id} is not available here"))
                .hint("Correct `instance.ami` (AMI_ID); ids differ by region.")
        })
    }

    /// Checks that subnet and groups exist and are in one VPC.
    async fn network_fits(&self, settings: &Settings, faults: &mut Vec<Failure>) {
        let instance = &settings.instance;
        let subnet = keep(faults, self.aws.subnet(&instance.subnet).await.map_err(Failure::from)).flatten();
        if let Some(subnet) = &subnet {
            if !subnet.available {
                faults.push(Failure::settings(format!("the subnet {} is not available", instance.subnet)));
            }
            if subnet.free == 0 {
                let message = format!("the subnet {} has no address left", instance.subnet);
                faults.push(
                    Failure::new(message)
                        .hint("Terminate what is not needed, or choose another `instance.subnet`."),
                );
            }
        }
        let database = instance.db_security_group.as_ref().map(|group| ("db_security_group", group));
        for (name, id) in [("security_group", &instance.security_group)].into_iter().chain(database) {
            let group = keep(faults, self.aws.group(id).await.map_err(Failure::from)).flatten();
            // The database may be in another VPC, behind a peering.
            if let (Some(group), Some(subnet), "security_group") = (group, &subnet, name)
                && group.vpc != subnet.vpc
            {
                let message = format!("{id} is in {}, and {} in {}", group.vpc, instance.subnet, subnet.vpc);
                faults.push(
                    Failure::settings(message)
                        .hint("Choose group (SG_ID) and subnet (SUBNET_ID) of one VPC."),
                );
            }
        }
    }
}

/// A denial of an image parameter: the policy has AWS's own, and others by their name.
fn own_parameter(name: &str, error: AwsError) -> Failure {
    let is_denied = matches!(error, AwsError::Denied { .. }) && !name.starts_with("/aws/service/");
    let failure = Failure::from(error);
    match is_denied {
        true => failure.hint(format!(
            "Allow it: with ImageParameter={name} for packaging/cloudformation/github-role.yaml, or with `preview \
             iam-policy --image-parameter {name}`."
        )),
        false => failure,
    }
}

/// EC2's refusal of a launch, with a hint that depends on its message.
fn explained(error: AwsError) -> Failure {
    let of_profile = is_of_profile(&error);
    let failure = Failure::from(error);
    match of_profile {
        true => {
            failure.hint("Correct `instance.profile` (INSTANCE_PROFILE): the profile's name, not its ARN.")
        }
        false => failure,
    }
}

/// Whether EC2 does not know the instance profile, or not yet.
pub(super) fn is_of_profile(error: &AwsError) -> bool {
    matches!(error, AwsError::Rejected { code, message, .. }
        if code == "NoSuchEntity" || code == "InvalidParameterValue" && message.contains("IAM Instance Profile"))
}

/// The value; an error goes to the faults.
fn keep<T>(faults: &mut Vec<Failure>, result: Result<T, Failure>) -> Option<T> {
    result.map_err(|fault| faults.push(fault)).ok()
}

/// The token of a new launch: with a used one EC2 returns the old instance, even if that is gone by now.
pub(super) fn token() -> String {
    format!("preview-{:032x}", fastrand::u128(..))
}
