//! The probes of what serves.

use std::time::Duration;

use crate::probe::{self, Prober};
use crate::state::Watched;
use crate::status::Fault;

/// Asks the database once, if there is one; `None` is all well.
async fn database(watched: &Watched, connect: Duration) -> Option<Fault> {
    if watched.endpoints.is_empty() {
        return None;
    }
    probe::database::reach(&watched.endpoints, watched.postgres, connect).await.err()
}

/// Probes everything once; `None` is all well. A dead database comes first:
/// what the application says then is not its own fault.
pub(super) async fn all(prober: &Prober, watched: &Watched, connect: Duration) -> Option<Fault> {
    if let Some(fault) = database(watched, connect).await {
        return Some(fault);
    }
    for stage in &watched.stages {
        if let Some(fault) = prober.probe(stage).await.fault {
            return Some(fault);
        }
    }
    None
}
