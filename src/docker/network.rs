//! The one network that all containers of an agent join at creation.

use std::collections::HashMap;

use bollard::models::NetworkCreateRequest;
use bollard::query_parameters::ListNetworksOptions;

use super::{Engine, Error, bounded};

impl Engine {
    /// Makes sure the agent's network exists and returns its name.
    ///
    /// Containers join it when they are created and never later: Docker
    /// 25.0.16 of Amazon Linux refuses to connect a running one to a second bridge.
    ///
    /// # Errors
    /// Whatever the engine says.
    pub async fn ensure_network(&self) -> Result<String, Error> {
        let ours = self.networks(self.scope.filter(None)).await?;
        if let Some(name) = ours.into_iter().next() {
            return Ok(name);
        }
        let mut name = self.scope.name();
        // Names need not be unique, and the engine starts no container on an ambiguous one.
        let filter = HashMap::from([("name".to_owned(), vec![name.clone()])]);
        if self.networks(filter).await?.contains(&name) {
            name = format!("{name}-{:06x}", fastrand::u32(..0x100_0000));
        }
        let request = NetworkCreateRequest {
            name: name.clone(),
            driver: Some("bridge".to_owned()),
            labels: Some(self.scope.labels("network", "")),
            ..NetworkCreateRequest::default()
        };
        bounded(&format!("create the network {name}"), self.docker.create_network(request)).await?;
        Ok(name)
    }

    /// Removes the agent's networks and returns their names. Its containers must be gone.
    ///
    /// # Errors
    /// Whatever the engine says, for one that somebody else's container joined too.
    pub async fn remove_networks(&self) -> Result<Vec<String>, Error> {
        let ours = self.networks(self.scope.filter(None)).await?;
        for name in &ours {
            bounded(&format!("remove the network {name}"), self.docker.remove_network(name)).await?;
        }
        Ok(ours)
    }

    async fn networks(&self, filters: HashMap<String, Vec<String>>) -> Result<Vec<String>, Error> {
        let options = ListNetworksOptions { filters: Some(filters) };
        let networks = bounded("list networks", self.docker.list_networks(Some(options))).await?;
        Ok(networks.into_iter().filter_map(|network| network.name).collect())
    }
}
