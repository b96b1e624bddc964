//! The application's containers on this host, and which of them was proven.

use crate::docker::{Container, Engine, Role, State};
use crate::state::Store;
use crate::status::Fault;

/// The application's containers as the engine shows them, newest first.
#[derive(Debug)]
pub struct Applications {
    /// The last good one.
    pub proven: Option<Container>,
    /// All others.
    pub unproven: Vec<Container>,
}

impl Applications {
    /// Asks the engine. That one was proven is our own record: a restart policy is anybody's to
    /// change. It decides only where the record is lost, or names a container that is gone.
    ///
    /// # Errors
    /// Whatever the engine says.
    pub async fn find(engine: &Engine, store: &Store) -> Result<Self, Fault> {
        let mut unproven = engine.containers(Role::App).await?;
        let recorded = store.state().last_good.as_ref().map(|good| good.container.as_str());
        let by_record = unproven.iter().position(|found| Some(found.id.as_str()) == recorded);
        let by_policy = || unproven.iter().position(|found| found.restarts_itself);
        let proven = by_record.or_else(by_policy).map(|at| unproven.remove(at));
        Ok(Self { proven, unproven })
    }

    /// The last good one, if it runs.
    #[must_use]
    pub fn serving(&self) -> Option<&Container> {
        self.proven.as_ref().filter(|found| found.state == State::Running)
    }

    /// All of them.
    pub fn all(&self) -> impl Iterator<Item = &Container> {
        self.proven.iter().chain(&self.unproven)
    }
}
