//! What the instance knows of itself: the identity document.

use std::net::{IpAddr, Ipv4Addr};

use serde::Deserialize;

/// What the instance knows of itself.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Instance {
    /// `i-…`
    #[serde(rename = "instanceId")]
    pub id: String,
    /// Region, as in `eu-central-1`.
    pub region: String,
    /// Availability zone.
    pub availability_zone: Option<String>,
    /// Type, as in `t4g.small`.
    pub instance_type: Option<String>,
    /// AMI it was started from.
    pub image_id: Option<String>,
    /// Account it belongs to, twelve digits.
    pub account_id: Option<String>,
    /// `x86_64` or `arm64`.
    pub architecture: Option<String>,
    /// Primary private address.
    pub private_ip: Option<IpAddr>,
    /// Public IPv4 address, if it has one.
    #[serde(skip)]
    pub public_ip: Option<Ipv4Addr>,
}

impl Instance {
    /// The texts of the document, each to be held against what a fact may be.
    pub(super) fn facts(&self) -> impl Iterator<Item = &str> {
        let optional = [
            &self.availability_zone,
            &self.instance_type,
            &self.image_id,
            &self.account_id,
            &self.architecture,
        ];
        [self.id.as_str(), self.region.as_str()]
            .into_iter()
            .chain(optional.into_iter().flatten().map(String::as_str))
    }
}
