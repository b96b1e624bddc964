//! The one network that all containers of an agent join at creation.

use std::collections::HashMap;

use bollard::models::{self, NetworkCreateRequest};
use bollard::query_parameters::ListNetworksOptions;

use super::engine::{Engine, bounded};
use super::error::Error;

impl Engine {
    /// Makes sure the agent's network exists and returns its name.
    ///
    /// Containers join it when they are created and never later: Docker
    /// 25.0.16 of Amazon Linux refuses to connect a running one to a second bridge.
    ///
    /// # Errors
    /// Whatever the engine says.
    pub async fn ensure_network(&self) -> Result<String, Error> {
        if let Some(name) = self.own_network().await? {
            return Ok(name);
        }
        let made = self.make_network().await;
        // What a killed run had asked for may have come meanwhile: in place of this one, since engines
        // from 25 on refuse a name that is taken (moby#46251), or beside it.
        match self.own_network().await? {
            Some(name) => Ok(name),
            None => made,
        }
    }

    /// The name of the agent's network. Of several one stays: the engine starts no container on a name
    /// that is ambiguous.
    async fn own_network(&self) -> Result<Option<String>, Error> {
        let mut ours = self.networks(self.scope.filter(None)).await?;
        while let [first, second, ..] = ours.as_slice() {
            // One that a running container is on cannot go.
            let gone = if self.remove_network(second).await.is_ok() {
                1
            } else if self.remove_network(first).await.is_ok() {
                0
            } else {
                break;
            };
            ours.remove(gone);
        }
        Ok(ours.pop().map(|network| network.name))
    }

    async fn make_network(&self) -> Result<String, Error> {
        let mut name = self.scope.name();
        // Somebody else's may have it, and an ambiguous or a taken name is no use.
        let filter = HashMap::from([("name".to_owned(), vec![name.clone()])]);
        if self.networks(filter).await?.iter().any(|network| network.name == name) {
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
        for network in &ours {
            self.remove_network(network).await?;
        }
        Ok(ours.into_iter().map(|network| network.name).collect())
    }

    async fn remove_network(&self, network: &Network) -> Result<(), Error> {
        let what = format!("remove the network {}", network.name);
        bounded(&what, self.docker.remove_network(&network.id)).await
    }

    async fn networks(&self, filters: HashMap<String, Vec<String>>) -> Result<Vec<Network>, Error> {
        let options = ListNetworksOptions { filters: Some(filters) };
        let networks = bounded("list networks", self.docker.list_networks(Some(options))).await?;
        let named = |network: models::Network| Some(Network { id: network.id?, name: network.name? });
        Ok(networks.into_iter().filter_map(named).collect())
    }
}

/// A network as it is told from others: names need not be unique.
struct Network {
    id: String,
    name: String,
}
