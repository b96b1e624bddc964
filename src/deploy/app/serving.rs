//! What the status shows of the application that serves.

use super::availability::Availability;
use super::found::Applications;
use crate::docker::{self, Engine};
use crate::state::Store;
use crate::status::{Container, Report, ServiceState, Serving};

/// What the status shows of a proven container.
#[derive(Debug, Clone)]
pub struct Shown {
    serving: Option<Serving>,
    container: Container,
}

impl Shown {
    /// Puts it into the report.
    pub fn report(self, report: &mut Report) {
        report.serving(self.serving);
        report.container(self.container);
    }
}

/// What the status shows of this container, as far as the records know it.
#[must_use]
pub fn shown(store: &Store, container: &docker::Container) -> Shown {
    let good = store.state().last_good.as_ref().filter(|good| good.container == container.id);
    let serving = good.map(|good| good.serving.clone());
    let container = Container {
        name: Some(container.name.clone()),
        restarts: u64::from(container.restarts),
        publish: good.map(|good| good.watched.publish),
    };
    Shown { serving, container }
}

/// Reports what serves already when a run begins, so that no reader takes a
/// redeployment for a first boot. Returns the container that serves.
pub async fn report_serving(
    engine: &Engine,
    store: &Store,
    availability: &Availability,
) -> Option<docker::Container> {
    let found = Applications::find(engine, store).await.ok()?;
    let serving = found.serving().cloned();
    let shown = serving.as_ref().map(|container| shown(store, container));
    let (mut state, cause) = (availability.state(), availability.cause());
    if shown.is_some() && state == ServiceState::None {
        state = ServiceState::Up;
    }
    availability.set(state, cause, |report| match shown {
        Some(shown) => shown.report(report),
        None => report.serving(None),
    });
    serving
}
