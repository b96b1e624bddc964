//! Containers of ours as the engine shows them: found by their labels, and by the port they hold.

use std::collections::HashMap;

use bollard::models::{ContainerInspectResponse, ContainerStateStatusEnum, RestartPolicyNameEnum};
use bollard::query_parameters::{InspectContainerOptions, ListContainersOptions};

use super::super::engine::{Engine, bounded};
use super::super::error::Error;
use super::super::labels::{RUN, Role, SECRETS, SPEC};

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
    /// Docker restarts it when it ends, unless it was stopped.
    pub restarts_itself: bool,
    /// How often Docker restarted it.
    pub restarts: u32,
    /// How it ended, if it has.
    pub exit: ExitStatus,
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
        restarts_itself: matches!(
            policy,
            Some(RestartPolicyNameEnum::UNLESS_STOPPED | RestartPolicyNameEnum::ALWAYS)
        ),
        restarts: response.restart_count.and_then(|count| u32::try_from(count).ok()).unwrap_or(0),
        exit: ExitStatus {
            code: state.exit_code.unwrap_or(0),
            out_of_memory: state.oom_killed.unwrap_or(false),
        },
        secrets: secrets.collect(),
    }
}
