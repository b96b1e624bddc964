//! Reads the account: the caller, machine images, types, subnets, groups.

use preview_agent::aws::AwsError;

use super::client::Aws;
use super::error::failed;

/// The caller.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller {
    /// The account's number.
    pub account: String,
    /// The role or user.
    pub arn: String,
}

/// A machine image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Image {
    /// `ami-…`
    pub id: String,
    /// Whether EC2 can launch it.
    pub available: bool,
    /// `x86_64` or `arm64`.
    pub architecture: String,
    /// The device of its root volume.
    pub root_device: String,
    /// Size of the root volume's snapshot in GiB.
    pub least_volume: i32,
}

/// An instance type.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InstanceType {
    /// Its name.
    pub name: String,
    /// `x86_64` or `arm64`; if it has both, the one that AWS names first.
    pub architecture: String,
}

/// A subnet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subnet {
    /// Its VPC.
    pub vpc: String,
    /// Whether it is available.
    pub available: bool,
    /// Number of free addresses.
    pub free: i32,
}

/// A security group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Group {
    /// Its VPC.
    pub vpc: String,
}

impl Aws {
    /// The caller.
    ///
    /// # Errors
    /// No credentials, or AWS did not answer.
    pub async fn caller(&self) -> Result<Caller, AwsError> {
        let answer = self.sts()?.get_caller_identity().send().await;
        let answer = answer.map_err(|e| failed("sts:GetCallerIdentity", &self.region, "*", &e))?;
        let text = |value: Option<&str>| value.unwrap_or_default().to_owned();
        Ok(Caller { account: text(answer.account()), arn: text(answer.arn()) })
    }

    /// A machine image by its id; `None` if it does not exist.
    ///
    /// # Errors
    /// A malformed or unknown id, no answer, or no permission.
    pub async fn image(&self, id: &str) -> Result<Option<Image>, AwsError> {
        let answer = self.ec2()?.describe_images().image_ids(id).send().await;
        let answer = answer.map_err(|e| failed("ec2:DescribeImages", &self.region, id, &e))?;
        let Some(image) = answer.images().first() else { return Ok(None) };
        let root = image.root_device_name().unwrap_or("/dev/xvda");
        let mappings = image.block_device_mappings().iter();
        let least = mappings.filter(|mapping| mapping.device_name() == Some(root));
        let least = least.filter_map(|mapping| mapping.ebs()?.volume_size()).max();
        Ok(Some(Image {
            id: id.to_owned(),
            available: image.state().is_none_or(|state| state.as_str() == "available"),
            architecture: image.architecture().map(|it| it.as_str().to_owned()).unwrap_or_default(),
            root_device: root.to_owned(),
            least_volume: least.unwrap_or_default(),
        }))
    }

    /// An instance type.
    ///
    /// # Errors
    /// It does not exist, no answer, or no permission.
    pub async fn instance_type(&self, name: &str) -> Result<InstanceType, AwsError> {
        let answer = self.ec2()?.describe_instance_types().instance_types(name.into()).send().await;
        let answer = answer.map_err(|e| failed("ec2:DescribeInstanceTypes", &self.region, name, &e))?;
        let kind = answer.instance_types().first().and_then(|kind| kind.processor_info());
        let all = kind.map(|kind| kind.supported_architectures()).unwrap_or_default();
        let known = all.iter().map(|it| it.as_str()).find(|it| ["x86_64", "arm64"].contains(it));
        Ok(InstanceType { name: name.to_owned(), architecture: known.unwrap_or("x86_64").to_owned() })
    }

    /// A subnet.
    ///
    /// # Errors
    /// It does not exist, no answer, or no permission.
    pub async fn subnet(&self, id: &str) -> Result<Option<Subnet>, AwsError> {
        let answer = self.ec2()?.describe_subnets().subnet_ids(id).send().await;
        let answer = answer.map_err(|e| failed("ec2:DescribeSubnets", &self.region, id, &e))?;
        Ok(answer.subnets().first().map(|subnet| Subnet {
            vpc: subnet.vpc_id().unwrap_or_default().to_owned(),
            available: subnet.state().is_none_or(|state| state.as_str() == "available"),
            free: subnet.available_ip_address_count().unwrap_or(1),
        }))
    }

    /// A security group.
    ///
    /// # Errors
    /// It does not exist, no answer, or no permission.
    pub async fn group(&self, id: &str) -> Result<Option<Group>, AwsError> {
        let answer = self.ec2()?.describe_security_groups().group_ids(id).send().await;
        let answer = answer.map_err(|e| failed("ec2:DescribeSecurityGroups", &self.region, id, &e))?;
        let group = answer.security_groups().first();
        Ok(group.map(|group| Group { vpc: group.vpc_id().unwrap_or_default().to_owned() }))
    }
}
