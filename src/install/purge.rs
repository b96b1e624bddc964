//! The engine's objects that the agent made, removed.

use std::path::Path;
use std::time::Duration;

use super::error::Error;
use crate::docker::{Engine, Role, Scope, socket_from_env};

/// How long the engine is waited for; it is up, or the purge is run again.
const PATIENCE: Duration = Duration::from_secs(5);

/// Removes the containers and networks of the agent that keeps its state in
/// `state`, and returns their names. Images stay: others may use them.
///
/// # Errors
/// What the engine says, or that there is none.
pub async fn docker_objects(state: &Path) -> Result<Vec<String>, Error> {
    let engine = Engine::connect(&socket_from_env(), Scope::new(state), PATIENCE).await?;
    let mut removed = Vec::new();
    for role in [Role::App, Role::Migrate] {
        for container in engine.containers(role).await? {
            engine.remove(&container.id).await?;
            removed.push(format!("container {}", container.name));
        }
    }
    let networks = engine.remove_networks().await?;
    removed.extend(networks.into_iter().map(|name| format!("network {name}")));
    Ok(removed)
}
