//! What marks an object as ours. What has no such label is never stopped,
//! removed or pruned.

use std::collections::HashMap;
use std::path::Path;

/// Default state folder; an agent with another one is another agent.
const DEFAULT_STATE: &str = "/var/lib/preview-agent";

pub(super) const ROLE: &str = "preview-agent.role";
pub(super) const RUN: &str = "preview-agent.run";
pub(super) const SPEC: &str = "preview-agent.spec";
pub(super) const SCOPE: &str = "preview-agent.scope";
pub(super) const SECRETS: &str = "preview-agent.secrets";

/// What a container is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// The application.
    App,
    /// A job or the migration.
    Migrate,
}

impl Role {
    /// The label's value.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::App => "app",
            Self::Migrate => "migrate",
        }
    }
}

/// Which agent an object belongs to: two agents with state folders of their
/// own may share an engine and never see each other's objects.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scope {
    state: String,
    suffix: String,
}

impl Scope {
    /// The scope of the agent that keeps its state in this folder.
    #[must_use]
    pub fn new(state: &Path) -> Self {
        let state = state.to_string_lossy().trim_end_matches('/').to_owned();
        let suffix = if state == DEFAULT_STATE {
            String::new()
        } else {
            let digest = ring::digest::digest(&ring::digest::SHA256, state.as_bytes());
            digest.as_ref().iter().take(4).fold("-".to_owned(), |text, byte| format!("{text}{byte:02x}"))
        };
        Self { state, suffix }
    }

    /// `preview-agent`, made unique where the state folder is not the default one.
    #[must_use]
    pub fn name(&self) -> String {
        format!("preview-agent{}", self.suffix)
    }

    /// The labels of an object of this agent.
    pub(super) fn labels(&self, role: &str, run: &str) -> HashMap<String, String> {
        HashMap::from([
            (SCOPE.to_owned(), self.state.clone()),
            (ROLE.to_owned(), role.to_owned()),
            (RUN.to_owned(), run.to_owned()),
        ])
    }

    /// An API filter that matches the objects of this agent.
    pub(super) fn filter(&self, role: Option<Role>) -> HashMap<String, Vec<String>> {
        let mut labels = vec![format!("{SCOPE}={}", self.state)];
        labels.extend(role.map(|role| format!("{ROLE}={}", role.name())));
        HashMap::from([("label".to_owned(), labels)])
    }
}
