//! The settings of a repository's previews.

use std::collections::BTreeMap;

use ipnet::IpNet;
use preview_agent::config::yaml::Node;

use crate::names::Scope;

/// All settings.
pub struct Settings {
    /// The instance to launch.
    pub instance: Instance,
    /// How many instances there are.
    pub scope: Scope,
    /// The folder of all parameters, as in `/pr-preview`.
    pub path: String,
    /// The networks that may open a preview's URL.
    pub viewers: Vec<IpNet>,
    /// The secrets to store for the instance.
    pub secrets: Vec<Secret>,
    /// The agent's configuration, with its placeholders.
    pub agent: Node,
    /// The file of these settings, for messages.
    pub file: String,
    /// The line of each of its sections, from 1.
    pub lines: BTreeMap<String, u64>,
}

/// The instance to launch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Instance {
    /// The machine image; `None`: Amazon Linux 2023 for the type's architecture.
    pub ami: Option<Ami>,
    /// The instance type, as in `t3.small`.
    pub kind: String,
    /// The subnet, as in `subnet-…`.
    pub subnet: String,
    /// The instance's security group.
    pub security_group: String,
    /// The database's security group, in which a rule admits the instance.
    pub db_security_group: Option<String>,
    /// The instance profile's name.
    pub profile: String,
    /// The size of the root volume in GiB; `None`: that of the machine image.
    pub volume: Option<i32>,
    /// The tag `Name`.
    pub name: String,
}

/// The source of the machine image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ami {
    /// `ami-…`
    Id(String),
    /// `resolve:ssm:…`: the name of the parameter with the image's id.
    Parameter(String),
}

/// A value that only the instance reads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Secret {
    /// The last part of the parameter's name.
    pub name: String,
    /// This command's environment variable with the value.
    pub variable: String,
    /// Whether the value may be missing.
    pub optional: bool,
}
