//! Creating a container: what it is made from, and what of that the engine is told.

use std::collections::HashMap;

use bollard::models::{
    ContainerCreateBody, HostConfig, HostConfigLogConfig, PortBinding, RestartPolicy, RestartPolicyNameEnum,
};
use bollard::query_parameters::CreateContainerOptions;

use super::super::engine::{Engine, bounded};
use super::super::error::Error;
use super::super::labels::{Role, SECRETS, SPEC, Scope};
use crate::config::Publish;

/// What a container is made from.
#[derive(Clone)]
pub struct ContainerRequest {
    /// Unique name.
    pub name: String,
    /// What it is for.
    pub role: Role,
    /// The run that makes it.
    pub run: String,
    /// HMAC of what it was made from.
    pub spec: String,
    /// Image by digest or id, never by a tag that may move.
    pub image: String,
    /// `None`: the image's own.
    pub entrypoint: Option<Vec<String>>,
    /// `None`: the image's own.
    pub command: Option<Vec<String>>,
    /// Environment by name.
    pub env: Vec<(String, String)>,
    /// Which of the variables hold secrets; `agent logs` masks their values.
    pub secret_names: Vec<String>,
    /// Host path to container path, read-only.
    pub files: Vec<(String, String)>,
    /// Host address and the container's port.
    pub publish: Option<(Publish, u16)>,
    /// Memory limit in bytes.
    pub memory: Option<u64>,
}

impl Engine {
    /// Creates a container on the agent's network, not yet started, and returns its id.
    ///
    /// # Errors
    /// Whatever the engine says.
    pub async fn create(&self, request: ContainerRequest) -> Result<String, Error> {
        let what = format!("create the container {}", request.name);
        let network = self.ensure_network().await?;
        let options = CreateContainerOptions { name: Some(request.name.clone()), ..Default::default() };
        let body = body(&self.scope, request, network);
        let created = bounded(&what, self.docker.create_container(Some(options), body)).await?;
        Ok(created.id)
    }
}

fn body(scope: &Scope, request: ContainerRequest, network: String) -> ContainerCreateBody {
    let mut labels = scope.labels(request.role.name(), &request.run);
    labels.insert(SPEC.to_owned(), request.spec);
    labels.insert(SECRETS.to_owned(), request.secret_names.join(","));
    // What a server session of Python's drivers ends with; SIGTERM would be ignored by a first process.
    let stop_signal = (request.role == Role::Migrate).then(|| "SIGINT".to_owned());
    let port = request.publish.map(|(_, port)| format!("{port}/tcp"));
    let bindings = request.publish.zip(port.clone()).map(|((publish, _), port)| {
        let binding =
            PortBinding { host_ip: Some(publish.ip.to_string()), host_port: Some(publish.port.to_string()) };
        HashMap::from([(port, Some(vec![binding]))])
    });
    ContainerCreateBody {
        image: Some(request.image),
        entrypoint: request.entrypoint,
        cmd: request.command,
        env: Some(request.env.into_iter().map(|(name, value)| format!("{name}={value}")).collect()),
        labels: Some(labels),
        stop_signal,
        exposed_ports: port.map(|port| vec![port]),
        host_config: Some(HostConfig {
            binds: Some(
                request.files.into_iter().map(|(host, inside)| format!("{host}:{inside}:ro")).collect(),
            ),
            port_bindings: bindings,
            memory: request.memory.and_then(|bytes| i64::try_from(bytes).ok()),
            network_mode: Some(network),
            restart_policy: Some(RestartPolicy {
                name: Some(RestartPolicyNameEnum::NO),
                maximum_retry_count: None,
            }),
            log_config: Some(rotated_logs()),
            ..HostConfig::default()
        }),
        ..ContainerCreateBody::default()
    }
}

/// json-file never rotates by default and fills the disk; 3 files of 10 MB do not.
fn rotated_logs() -> HostConfigLogConfig {
    let options = [("max-size", "10m"), ("max-file", "3")];
    HostConfigLogConfig {
        typ: Some("json-file".to_owned()),
        config: Some(options.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect()),
    }
}
