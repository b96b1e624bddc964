//! What instances find around them: releases, registry, database, parameter store and metadata service.

use serde_json::Value;

use super::aws_client::{AwsClient, aws_client};
use super::documents::schema_errors;
use super::forwarder::{Forwarder, reachable};
use super::imds::{FakeImds, INSTANCE_ID};
use super::link_local::{LinkLocal, Spec};
use super::machine::Machine;
use super::peers::peers;
use super::postgres::Database;
use super::releases::Releases;
use super::ssm::FakeSsm;

/// The parameter that instances report to.
pub const REPORT: &str = "/pr-preview/42/status";

pub struct Cloud {
    pub imds: FakeImds,
    pub ssm: FakeSsm,
    pub releases: Releases,
    pub database: Database,
    aws: AwsClient,
    registry: Forwarder,
    releases_front: Forwarder,
    network: LinkLocal,
}

impl Cloud {
    pub fn new() -> Self {
        let (imds, ssm, releases) = (FakeImds::start(), FakeSsm::start(), Releases::start());
        let network = LinkLocal::new(&imds);
        let cloud = Self {
            aws: aws_client(&ssm.endpoint()),
            registry: reachable(&peers().registry),
            releases_front: reachable(&releases.url()),
            database: Database::new(),
            imds,
            ssm,
            releases,
            network,
        };
        cloud.ssm.set("/pr-preview/registry-password", &peers().registry_password);
        cloud.ssm.set("/pr-preview/database-url", &cloud.database.url());
        cloud
    }

    /// Where releases are fetched from.
    pub fn release_url(&self) -> String {
        format!("http://{}", self.releases_front.address())
    }

    /// User Data (either form) for a release with this checksum, its settings filled in: the sample
    /// application from the private registry.
    pub fn user_data(&self, template: &str, release_url: &str, sum: &str) -> String {
        let registry = self.registry.address();
        let user = &peers().registry_user;
        let line = template.lines().find(|line| line.ends_with("image: @IMAGE@")).unwrap();
        let indent = " ".repeat(line.len() - line.trim_start().len());
        let image = format!(
            "image: {registry}/acme/tasks-api:good\n\
             {indent}deployment: {{ id: pr-42 }}\n\
             {indent}registries:\n\
             {indent}  {registry}: {{ username: {user}, password: {{ ssm: /pr-preview/registry-password }} }}"
        );
        template
            .replace("image: @IMAGE@", &image)
            .replace("@DATABASE_URL@", "/pr-preview/database-url")
            .replace("@REPORT@", REPORT)
            .replace("@RELEASE_URL@", release_url)
            .replace("@SHA256_X86_64@", sum)
            .replace("@SHA256_AARCH64@", sum)
    }

    /// What this parameter says, held against the schema.
    pub fn told(&self, parameter: &str) -> Option<Value> {
        let text = self.ssm.value(parameter)?;
        let document = serde_json::from_str(&text).unwrap();
        assert_eq!(schema_errors(&document), Vec::<String>::new(), "{text}");
        Some(document)
    }

    /// Starts an instance of this image with this User Data; `network: false` leaves it nothing but
    /// its metadata service.
    pub fn launch(&self, image: &str, user_data: &str, network: bool) -> Machine {
        self.network.launch(&Spec {
            image,
            id: INSTANCE_ID,
            user_data: user_data.as_bytes(),
            aws: &self.aws,
            registry: self.registry.address(),
            network,
            options: &[],
        })
    }

    /// Bytes that instances have got from the registry so far.
    pub fn pulled(&self) -> u64 {
        self.registry.sent()
    }
}
