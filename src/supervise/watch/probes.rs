//! The probes of what serves.

use std::time::Duration;

use crate::probe::{Prober, database};
use crate::state::Watched;
use crate::status::Fault;

/// Probes everything once; `None` is all well. A dead database comes first:
/// what the application says then is not its own fault.
pub(super) async fn all(prober: &Prober, watched: &Watched, connect: Duration) -> Option<Fault> {
    if !watched.endpoints.is_empty() {
        let reached = database::reach(&watched.endpoints, watched.postgres, connect).await;
        if let Err(fault) = reached {
            return Some(fault);
        }
    }
    for stage in &watched.stages {
        if let Some(fault) = prober.probe(stage).await.fault {
            return Some(fault);
        }
    }
    None
}
