//! What happened to the application before anybody watched it.

use std::time::Duration;

use futures_util::{Stream, StreamExt as _};
use tokio::time::timeout;

use super::Watch;
use crate::docker::{Event, State};
use crate::status::ServiceState;

/// Docker tells what it remembers at once.
const REMEMBERS: Duration = Duration::from_secs(1);

impl Watch {
    /// Finds the application as it is, and what made it so.
    pub(super) async fn catch_up(&mut self, events: &mut (impl Stream<Item = Event> + Unpin)) {
        let container = match self.engine.inspect(&self.good.container).await {
            Ok(Some(container)) => container,
            Ok(None) => return self.running = false,
            Err(error) => {
                return tracing::warn!(%error, "the application's container cannot be inspected");
            }
        };
        // The run may not have learned them: with a parameter denied, what serves is kept.
        for secret in &container.secrets {
            self.redactor.learn(secret);
        }
        self.running = container.state == State::Running;
        let up = self.availability.state() == ServiceState::Up;
        if !up {
            self.probe_soon();
        } else if !self.running {
            // Between two restarts it would count as running. What Docker remembers says more.
            while self.ended.is_none()
                && let Ok(Some(event)) = timeout(REMEMBERS, events.next()).await
            {
                self.handle(event).await;
            }
            if self.ended.is_some() {
                return;
            }
            self.stays_down = Some("Docker leaves it stopped".to_owned());
            self.died(container.exit).await;
        }
    }
}
