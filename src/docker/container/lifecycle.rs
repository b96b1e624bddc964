//! The life of a container: started, waited for, stopped, removed.

use std::time::Duration;

use bollard::models::{ContainerUpdateBody, RestartPolicy, RestartPolicyNameEnum};
use bollard::query_parameters::{RemoveContainerOptions, StopContainerOptions, WaitContainerOptions};
use futures_util::StreamExt as _;

use super::super::engine::{Engine, bounded};
use super::super::error::Error;
use super::inspect::ExitStatus;

impl Engine {
    /// Starts a created or stopped container; one that runs is left alone.
    ///
    /// # Errors
    /// [`Error::PortInUse`] and [`Error::CommandMissing`] among others.
    pub async fn start(&self, id: &str) -> Result<(), Error> {
        bounded("start the container", self.docker.start_container(id, None)).await
    }

    /// Stops a container: its stop signal, then SIGKILL after `grace`. One that has ended is left alone.
    ///
    /// # Errors
    /// Whatever the engine says.
    pub async fn stop(&self, id: &str, grace: Duration) -> Result<(), Error> {
        let seconds = i32::try_from(grace.as_secs()).unwrap_or(i32::MAX);
        let options = StopContainerOptions { t: Some(seconds), ..StopContainerOptions::default() };
        gone_is_fine(bounded("stop the container", self.docker.stop_container(id, Some(options))).await)
    }

    /// Removes a container, running or not, with its anonymous volumes.
    ///
    /// # Errors
    /// Whatever the engine says but "not found".
    pub async fn remove(&self, id: &str) -> Result<(), Error> {
        let options = RemoveContainerOptions { force: true, v: true, ..RemoveContainerOptions::default() };
        gone_is_fine(bounded("remove the container", self.docker.remove_container(id, Some(options))).await)
    }

    /// Removes a container with its anonymous volumes unless it runs, and tells whether it is gone.
    /// One that is being started is waited for, and runs then.
    ///
    /// # Errors
    /// Whatever the engine says but "not found".
    pub async fn remove_unless_running(&self, id: &str) -> Result<bool, Error> {
        let options = RemoveContainerOptions { v: true, ..RemoveContainerOptions::default() };
        let removed = bounded("remove the container", self.docker.remove_container(id, Some(options))).await;
        match gone_is_fine(removed) {
            // What the API documents of a container that has not ended.
            Err(Error::Conflict { .. }) => Ok(false),
            other => other.map(|()| true),
        }
    }

    /// Has Docker restart a container from now on, unless it is stopped.
    ///
    /// # Errors
    /// Whatever the engine says.
    pub async fn set_restart(&self, id: &str) -> Result<(), Error> {
        let body = ContainerUpdateBody {
            restart_policy: Some(RestartPolicy {
                name: Some(RestartPolicyNameEnum::UNLESS_STOPPED),
                maximum_retry_count: None,
            }),
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
}

/// What is gone, or is being removed by somebody else, needs neither a stop nor a removal.
fn gone_is_fine(result: Result<(), Error>) -> Result<(), Error> {
    match result {
        Err(Error::NotFound { .. } | Error::RemovalInProgress { .. }) => Ok(()),
        other => other,
    }
}
