//! The one network that all containers of an agent join at creation.

use bollard::models::NetworkCreateRequest;
use bollard::query_parameters::ListNetworksOptions;

use super::{Engine, Error, bounded};

impl Engine {
    /// Makes sure the agent's network exists and returns its id: names of
    /// networks need not be unique, and somebody else's may have ours.
    ///
    /// Containers join it when they are created and never later: Docker
    /// 25.0.16 of Amazon Linux refuses to connect a running one to a second bridge.
    ///
    /// # Errors
    /// Whatever the engine says.
    pub async fn ensure_network(&self) -> Result<String, Error> {
        let name = self.scope.name();
        if let Some(id) = self.find_network(&name).await? {
            return Ok(id);
        }
        let request = NetworkCreateRequest {
            name: name.clone(),
            driver: Some("bridge".to_owned()),
            labels: Some(self.scope.labels("network", "")),
            ..NetworkCreateRequest::default()
        };
        let created =
            bounded(&format!("create the network {name}"), self.docker.create_network(request)).await?;
        Ok(created.id)
    }

    async fn find_network(&self, name: &str) -> Result<Option<String>, Error> {
        let options = ListNetworksOptions { filters: Some(self.scope.filter(None)) };
        let networks = bounded("list networks", self.docker.list_networks(Some(options))).await?;
        // The filter matches labels only; the name is compared whole.
        Ok(networks.into_iter().find(|network| network.name.as_deref() == Some(name)).and_then(|n| n.id))
    }
}
