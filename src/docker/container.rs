//! Containers of ours: created, started, stopped, found again.

use std::collections::HashMap;
use std::time::Duration;

use bollard::models::{
    ContainerCreateBody, ContainerInspectResponse, ContainerStateStatusEnum, ContainerUpdateBody, HostConfig,
    HostConfigLogConfig, PortBinding, RestartPolicy, RestartPolicyNameEnum,
};
use bollard::query_parameters::{
    CreateContainerOptions, InspectContainerOptions, ListContainersOptions, RemoveContainerOptions,
    StopContainerOptions, WaitContainerOptions,
};
use futures_util::StreamExt as _;

use super::labels::{RUN, SECRETS, SPEC};
use super::{Engine, Error, Role, bounded};
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

/// Where a container is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// Created and never started.
    Created,
    /// Running (or paused, or between restarts: Docker has it in hand).
    Running,
    /// Ended.
    Exited,
}

/// A container of ours as the engine shows it.
#[derive(Debug, Clone)]
pub struct Container {
    /// Its id.
    pub id: String,
    /// Its name without the leading slash.
    pub name: String,
    /// The run that made it.
    pub run: String,
    /// HMAC of what it was made from.
    pub spec: String,
    /// The image reference it was made from.
    pub image: String,
    /// The id of that image.
    pub image_id: String,
    /// Where it is in its life.
    pub state: State,
    /// Whether it was proven healthy: only then does it restart by itself.
    pub proven: bool,
    /// How often Docker restarted it.
    pub restarts: u32,
    /// How it ended, if it has.
    pub exit: ExitStatus,
    /// When it was last started, RFC 3339.
    pub started_at: String,
    /// Environment variables that hold secrets, with their values.
    pub secrets: Vec<String>,
}

/// How a container ended.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ExitStatus {
    /// Exit code; 128 + n for signal n.
    pub code: i64,
    /// The kernel killed it for want of memory.
    pub out_of_memory: bool,
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
        let body = self.body(request, network);
        let created = bounded(&what, self.docker.create_container(Some(options), body)).await?;
        Ok(created.id)
    }

    fn body(&self, request: ContainerRequest, network: String) -> ContainerCreateBody {
        let mut labels = self.scope.labels(request.role.name(), &request.run);
        labels.insert(SPEC.to_owned(), request.spec);
        labels.insert(SECRETS.to_owned(), request.secret_names.join(","));
        let port = request.publish.map(|(_, port)| format!("{port}/tcp"));
        let bindings = request.publish.zip(port.clone()).map(|((publish, _), port)| {
            let binding = PortBinding {
                host_ip: Some(publish.ip.to_string()),
                host_port: Some(publish.port.to_string()),
            };
            HashMap::from([(port, Some(vec![binding]))])
        });
        ContainerCreateBody {
            image: Some(request.image),
            entrypoint: request.entrypoint,
            cmd: request.command,
            env: Some(request.env.into_iter().map(|(name, value)| format!("{name}={value}")).collect()),
            labels: Some(labels),
            exposed_ports: port.map(|port| vec![port]),
            host_config: Some(HostConfig {
                binds: Some(
                    request.files.into_iter().map(|(host, inside)| format!("{host}:{inside}:ro")).collect(),
                ),
                port_bindings: bindings,
                memory: request.memory.and_then(|bytes| i64::try_from(bytes).ok()),
                network_mode: Some(network),
                restart_policy: Some(restart(RestartPolicyNameEnum::NO)),
                log_config: Some(rotated_logs()),
                ..HostConfig::default()
            }),
            ..ContainerCreateBody::default()
        }
    }

    /// Starts a created or stopped container; one that runs is left alone.
    ///
    /// # Errors
    /// [`Error::PortInUse`] and [`Error::CommandMissing`] among others.
    pub async fn start(&self, id: &str) -> Result<(), Error> {
        bounded("start the container", self.docker.start_container(id, None)).await
    }

    /// Stops a container: SIGTERM, then SIGKILL after `grace`. One that has ended is left alone.
    ///
    /// # Errors
    /// Whatever the engine says.
    pub async fn stop(&self, id: &str, grace: Duration) -> Result<(), Error> {
        let seconds = i32::try_from(grace.as_secs()).unwrap_or(i32::MAX);
        let options = StopContainerOptions { t: Some(seconds), ..StopContainerOptions::default() };
        ignore_missing(bounded("stop the container", self.docker.stop_container(id, Some(options))).await)
    }

    /// Removes a container, running or not, with its anonymous volumes.
    ///
    /// # Errors
    /// Whatever the engine says but "not found".
    pub async fn remove(&self, id: &str) -> Result<(), Error> {
        let options = RemoveContainerOptions { force: true, v: true, ..RemoveContainerOptions::default() };
        ignore_missing(bounded("remove the container", self.docker.remove_container(id, Some(options))).await)
    }

    /// Removes a container with its anonymous volumes unless it runs, and tells whether it is gone.
    /// One that is being started is waited for, and runs then.
    ///
    /// # Errors
    /// Whatever the engine says but "not found".
    pub async fn remove_unless_running(&self, id: &str) -> Result<bool, Error> {
        let options = RemoveContainerOptions { v: true, ..RemoveContainerOptions::default() };
        let removed = bounded("remove the container", self.docker.remove_container(id, Some(options))).await;
        match ignore_missing(removed) {
            // "You cannot remove a running container", "container is running": 20.10 and 28.5.
            Err(Error::Refused { message, .. }) if message.contains("running") => Ok(false),
            other => other.map(|()| true),
        }
    }

    /// Marks a container as proven: from now on Docker restarts it.
    ///
    /// # Errors
    /// Whatever the engine says.
    pub async fn set_restart(&self, id: &str) -> Result<(), Error> {
        let body = ContainerUpdateBody {
            restart_policy: Some(restart(RestartPolicyNameEnum::UNLESS_STOPPED)),
            ..ContainerUpdateBody::default()
        };
        bounded("set the restart policy", self.docker.update_container(id, body)).await
    }

    /// Waits until a container has ended. The caller bounds it in time.
    ///
    /// # Errors
    /// Whatever the engine says.
    pub async fn wait(&self, id: &str) -> Result<ExitStatus, Error> {
        let options = WaitContainerOptions { condition: "not-running".to_owned() };
        let mut answers = std::pin::pin!(self.docker.wait_container(id, Some(options)));
        match answers.next().await {
            Some(Ok(_) | Err(bollard::errors::Error::DockerContainerWaitError { .. })) => {}
            Some(Err(error)) => return Err(Error::from_bollard("wait for the container", error)),
            None => {
                return Err(Error::Unavailable { message: "the connection ended while waiting".to_owned() });
            }
        }
        Ok(self.inspect(id).await?.map(|container| container.exit).unwrap_or_default())
    }

    /// All containers of this agent in one role, newest first.
    ///
    /// # Errors
    /// Whatever the engine says.
    pub async fn containers(&self, role: Role) -> Result<Vec<Container>, Error> {
        let options = ListContainersOptions {
            all: true,
            filters: Some(self.scope.filter(Some(role))),
            ..Default::default()
        };
        let mut listed = bounded("list containers", self.docker.list_containers(Some(options))).await?;
        listed.sort_by_key(|container| std::cmp::Reverse(container.created));
        let mut found = Vec::with_capacity(listed.len());
        for summary in listed {
            if let Some(id) = summary.id {
                found.extend(self.inspect(&id).await?);
            }
        }
        Ok(found)
    }

    /// One container, if it exists.
    ///
    /// # Errors
    /// Whatever the engine says but "not found".
    pub async fn inspect(&self, id: &str) -> Result<Option<Container>, Error> {
        let options = InspectContainerOptions::default();
        match bounded("inspect the container", self.docker.inspect_container(id, Some(options))).await {
            Ok(response) => Ok(Some(describe(response))),
            Err(Error::NotFound { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// The name of the container that publishes a host port, whoever it belongs to.
    ///
    /// # Errors
    /// Whatever the engine says.
    pub async fn holder_of_port(&self, port: u16) -> Result<Option<String>, Error> {
        let filters = HashMap::from([("publish".to_owned(), vec![port.to_string()])]);
        let options = ListContainersOptions { filters: Some(filters), ..ListContainersOptions::default() };
        let listed = bounded("list containers", self.docker.list_containers(Some(options))).await?;
        let names = listed.into_iter().filter_map(|container| container.names?.into_iter().next());
        Ok(names.map(|name| name.trim_start_matches('/').to_owned()).next())
    }
}

fn describe(response: ContainerInspectResponse) -> Container {
    let state = response.state.unwrap_or_default();
    let config = response.config.unwrap_or_default();
    let labels = config.labels.unwrap_or_default();
    let label = |name: &str| labels.get(name).cloned().unwrap_or_default();
    let policy = response.host_config.and_then(|host| host.restart_policy).and_then(|policy| policy.name);
    let names = label(SECRETS);
    let secret_names: Vec<&str> = names.split(',').collect();
    let secrets = config.env.unwrap_or_default().into_iter().filter_map(|pair| {
        let (name, value) = pair.split_once('=')?;
        secret_names.contains(&name).then(|| value.to_owned())
    });
    Container {
        id: response.id.unwrap_or_default(),
        name: response.name.unwrap_or_default().trim_start_matches('/').to_owned(),
        run: label(RUN),
        spec: label(SPEC),
        image: config.image.unwrap_or_default(),
        image_id: response.image.unwrap_or_default(),
        state: match state.status {
            Some(ContainerStateStatusEnum::CREATED) => State::Created,
            Some(
                ContainerStateStatusEnum::RUNNING
                | ContainerStateStatusEnum::PAUSED
                | ContainerStateStatusEnum::RESTARTING,
            ) => State::Running,
            _ => State::Exited,
        },
        proven: policy == Some(RestartPolicyNameEnum::UNLESS_STOPPED),
        restarts: response.restart_count.and_then(|count| u32::try_from(count).ok()).unwrap_or(0),
        exit: ExitStatus {
            code: state.exit_code.unwrap_or(0),
            out_of_memory: state.oom_killed.unwrap_or(false),
        },
        started_at: state.started_at.unwrap_or_default(),
        secrets: secrets.collect(),
    }
}

fn restart(name: RestartPolicyNameEnum) -> RestartPolicy {
    RestartPolicy { name: Some(name), maximum_retry_count: None }
}

/// json-file never rotates by default and fills the disk; 3 files of 10 MB do not.
fn rotated_logs() -> HostConfigLogConfig {
    let options = [("max-size", "10m"), ("max-file", "3")];
    HostConfigLogConfig {
        typ: Some("json-file".to_owned()),
        config: Some(options.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect()),
    }
}

fn ignore_missing(result: Result<(), Error>) -> Result<(), Error> {
    match result {
        Err(Error::NotFound { .. }) => Ok(()),
        // A removal that is already under way ends the same.
        Err(Error::Refused { message, .. }) if message.contains("is already in progress") => Ok(()),
        other => other,
    }
}
