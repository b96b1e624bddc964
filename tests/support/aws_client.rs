//! The `aws` client inside containers.

use std::fs;
use std::path::{Path, PathBuf};

use super::forwarder::{Forwarder, reachable};
use super::peers::peers;

/// The `aws` client of the peers, for the Python of a container, with this parameter store as its SSM.
pub struct AwsClient {
    ssm: Forwarder,
    modules: PathBuf,
}

pub fn aws_client(ssm: &str) -> AwsClient {
    let venv = Path::new(&peers().python).ancestors().nth(2).unwrap().join("lib");
    let mut found = fs::read_dir(&venv).unwrap().map(|entry| entry.unwrap().path().join("site-packages"));
    let modules =
        found.find(|path| path.join("awscli").exists()).expect("the peers' venv has the aws client");
    AwsClient { ssm: reachable(ssm), modules }
}

impl AwsClient {
    /// What `aws` is inside.
    pub const INSIDE: &str = "env PYTHONPATH=/opt/aws-client python3 -m awscli";

    /// Its SSM, as containers reach it.
    pub fn endpoint(&self) -> String {
        format!("http://{}", self.ssm.address())
    }

    /// What a container has to mount for it.
    pub fn mount(&self) -> String {
        format!("{}:/opt/aws-client:ro", self.modules.display())
    }

    /// Options of `docker run` for a container without a metadata service.
    pub fn run_options(&self) -> Vec<String> {
        let environment = [
            format!("AWS_ENDPOINT_URL_SSM={}", self.endpoint()),
            "AWS_DEFAULT_REGION=eu-central-1".to_owned(),
            "AWS_ACCESS_KEY_ID=test".to_owned(),
            "AWS_SECRET_ACCESS_KEY=test".to_owned(),
        ];
        let variables = environment.into_iter().flat_map(|variable| ["-e".to_owned(), variable]);
        ["-v".to_owned(), self.mount()].into_iter().chain(variables).collect()
    }

    /// The command of an instance. Version 2, which Amazon Linux has, asks the metadata service for
    /// its region; this is version 1.
    pub fn command(&self) -> String {
        format!(
            "#!/bin/sh\nAWS_ENDPOINT_URL_SSM={} AWS_DEFAULT_REGION=eu-central-1 exec {} \"$@\"\n",
            self.endpoint(),
            Self::INSIDE
        )
    }
}
