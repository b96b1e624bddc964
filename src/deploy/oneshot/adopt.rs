//! What a crash has left running or unread.

use tokio::time::timeout;

use super::jobs::Jobs;
use crate::docker::{Container, Role, State};
use crate::status::{Code, Fault};

impl Jobs<'_> {
    /// A container that a crash left behind. Whatever it does, it is let finish;
    /// only the result of an equal job counts as this one's.
    pub(super) async fn adoptable(&self, spec: &str) -> Result<Option<Container>, Fault> {
        let (run, engine) = (self.containers.run, self.containers.engine);
        let mut adopted = None;
        for found in engine.containers(Role::Migrate).await? {
            let Some(container) = self.begun(found).await? else { continue };
            let running = container.state == State::Running;
            if container.spec == spec && (running || adopted.is_none()) {
                adopted = Some(container);
                continue;
            }
            if running {
                tracing::info!(container = %container.name, "waiting for the job of an earlier run to end");
                let end = timeout(run.left(), engine.wait(&container.id)).await;
                end.map_err(|_| Fault::new(Code::MigrationTimeout, "a job of an earlier run does not end"))??;
            }
            if container.spec == spec || !self.wanted.contains(&container.spec) {
                self.containers.remove(&container.id).await;
            }
        }
        Ok(adopted)
    }

    /// The container, unless it was never started: such a one is removed.
    async fn begun(&self, container: Container) -> Result<Option<Container>, Fault> {
        if container.state != State::Created {
            return Ok(Some(container));
        }
        let engine = self.containers.engine;
        // The engine may still be about to start it, as the agent before us has asked.
        if engine.remove_unless_running(&container.id).await? {
            return Ok(None);
        }
        Ok(engine.inspect(&container.id).await?)
    }
}
