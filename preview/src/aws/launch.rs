//! RunInstances: the one call that costs money, and a dry run of the very same request.

use aws_sdk_ec2::config::retry::RetryConfig;
use aws_sdk_ec2::operation::run_instances::builders::RunInstancesFluentBuilder;
use aws_sdk_ec2::types::{
    BlockDeviceMapping, EbsBlockDevice, HttpTokensState, IamInstanceProfileSpecification,
    InstanceMetadataEndpointState, InstanceMetadataOptionsRequest, InstanceMetadataTagsState,
    InstanceNetworkInterfaceSpecification, ResourceType, ShutdownBehavior, Tag, TagSpecification, VolumeType,
};
use preview_agent::aws::AwsError;

use super::client::Aws;
use super::error::{failed, is};

/// The complete request of a launch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Launch {
    /// `ami-…`
    pub ami: String,
    /// The device of the image's root volume.
    pub root_device: String,
    /// The instance type.
    pub kind: String,
    /// The subnet.
    pub subnet: String,
    /// The security group.
    pub security_group: String,
    /// The instance profile's name.
    pub profile: String,
    /// The root volume in GiB.
    pub volume: Option<i32>,
    /// The User Data, encoded in base64.
    pub user_data: String,
    /// The tags of instance, volume and network interface.
    pub tags: Vec<(String, String)>,
    /// Two requests with one token are one launch.
    pub token: String,
}

const OPERATION: &str = "ec2:RunInstances";

impl Aws {
    /// Asks EC2 whether it would allow the launch; launches nothing.
    ///
    /// # Errors
    /// EC2's reason against it.
    pub async fn rehearse(&self, launch: &Launch) -> Result<(), AwsError> {
        match self.request(launch)?.dry_run(true).send().await {
            // AWS never answers a dry run so.
            Ok(_) => Ok(()),
            Err(error) => match failed(OPERATION, &self.region, &launch.kind, &error) {
                error if is(&error, "DryRunOperation") => Ok(()),
                error => Err(error),
            },
        }
    }

    /// Launches an instance and returns its id. The SDK does not repeat the request: its last error would hide the
    /// first.
    ///
    /// # Errors
    /// EC2's reason against it.
    pub async fn launch(&self, launch: &Launch) -> Result<String, AwsError> {
        let once = aws_sdk_ec2::config::Builder::new().retry_config(RetryConfig::disabled());
        let answer = self.request(launch)?.customize().config_override(once).send().await;
        let answer = answer.map_err(|e| failed(OPERATION, &self.region, &launch.kind, &e))?;
        let id = answer.instances().first().and_then(|instance| instance.instance_id());
        id.map(str::to_owned).ok_or_else(|| AwsError::Unavailable {
            operation: OPERATION,
            endpoint: format!("EC2 in {}", self.region),
            reason: "the answer has no instance".to_owned(),
        })
    }

    fn request(&self, launch: &Launch) -> Result<RunInstancesFluentBuilder, AwsError> {
        let metadata = InstanceMetadataOptionsRequest::builder()
            .http_tokens(HttpTokensState::Required)
            .http_put_response_hop_limit(1)
            .http_endpoint(InstanceMetadataEndpointState::Enabled)
            .instance_metadata_tags(InstanceMetadataTagsState::Enabled);
        let interface = InstanceNetworkInterfaceSpecification::builder()
            .device_index(0)
            .subnet_id(&launch.subnet)
            .groups(&launch.security_group)
            .associate_public_ip_address(true);
        let volume = EbsBlockDevice::builder()
            .set_volume_size(launch.volume)
            .volume_type(VolumeType::Gp3)
            .encrypted(true)
            .delete_on_termination(true);
        let root = BlockDeviceMapping::builder().device_name(&launch.root_device).ebs(volume.build());
        let mut request = self
            .ec2()?
            .run_instances()
            .image_id(&launch.ami)
            .instance_type(launch.kind.as_str().into())
            .min_count(1)
            .max_count(1)
            .client_token(&launch.token)
            .user_data(&launch.user_data)
            .iam_instance_profile(IamInstanceProfileSpecification::builder().name(&launch.profile).build())
            .instance_initiated_shutdown_behavior(ShutdownBehavior::Terminate)
            .metadata_options(metadata.build())
            .network_interfaces(interface.build())
            .block_device_mappings(root.build());
        // An account's policy may require tags on every resource.
        for resource in [ResourceType::Instance, ResourceType::Volume, ResourceType::NetworkInterface] {
            request = request.tag_specifications(tagged(resource, &launch.tags));
        }
        Ok(request)
    }
}

/// Tags for the resources that a request makes.
pub(super) fn tagged(resource: ResourceType, tags: &[(String, String)]) -> TagSpecification {
    let tags = tags.iter().map(|(key, value)| Tag::builder().key(key).value(value).build());
    TagSpecification::builder().resource_type(resource).set_tags(Some(tags.collect())).build()
}
