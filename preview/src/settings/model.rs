//! The settings of a repository's previews.

use std::collections::BTreeMap;

use ipnet::IpNet;
use preview_agent::config::yaml::Node;

use crate::names::Scope;

/// All of them.
pub struct Settings {
    /// What is launched.
    pub instance: Instance,
    /// How many instances there are.
    pub scope: Scope,
    /// The folder of all parameters, as in `/pr-preview`.
    pub path: String,
    /// Who may open a preview's address.
    pub viewers: Vec<IpNet>,
    /// What is stored for the instance to read.
    pub secrets: Vec<Secret>,
    /// The agent's configuration, before a pull request's facts are filled in.
    pub agent: Node,
    /// The file that all this was read from, for messages.
    pub file: String,
    /// The line of each of its sections, from 1.
    pub lines: BTreeMap<String, u64>,
}

/// What is launched.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Instance {
    /// The image of the machine; `None`: Amazon Linux 2023 of the type's architecture.
    pub ami: Option<Ami>,
    /// The instance type, as in `t3.small`.
    pub kind: String,
    /// The subnet, as in `subnet-…`.
    pub subnet: String,
    /// The instance's security group.
    pub security_group: String,
    /// The database's security group, where a rule of its own admits the instance.
    pub db_security_group: Option<String>,
    /// The instance profile's name.
    pub profile: String,
    /// The root volume in GiB; `None`: as large as the machine's image has it.
    pub volume: Option<i32>,
    /// The tag `Name`.
    pub name: String,
}

/// Where the image of the machine comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ami {
    /// `ami-…`
    Id(String),
    /// `resolve:ssm:…`, by the name of the parameter.
    Parameter(String),
}

/// A value that the instance reads and nobody else is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Secret {
    /// The last part of the parameter's name.
    pub name: String,
    /// The environment variable of this command that has the value.
    pub variable: String,
    /// Whether the value may be absent.
    pub optional: bool,
}
