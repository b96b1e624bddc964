//! Configurations for the agent of a world.

use std::fs;
use std::path::PathBuf;

use super::peers::{Peers, peers};
use super::world::World;

/// A small server in Python, as what follows `python -c`.
pub const SERVER: &str = include_str!("server.py");

impl World {
    pub fn config_path(&self) -> PathBuf {
        self.path("config.yaml")
    }

    pub fn write_config(&self, text: &str) {
        fs::write(self.config_path(), text).unwrap();
    }

    /// The sample application with this tag, from the private registry, and
    /// whatever else the test wants (whole top-level keys).
    pub fn config(&self, tag: &str, more: &str) -> String {
        let Peers { registry, registry_user, .. } = peers();
        let app = if more.contains("app:") { String::new() } else { self.app("") };
        let database = if more.contains("database:") { String::new() } else { self.database_block() };
        format!(
            "image: {registry}/acme/tasks-api:{tag}\n\
             registries:\n  {registry}: {{ username: {registry_user}, password: {{ ssm: /test/registry-password }} }}\n\
             report: {{ parameter: /test/status }}\n{database}{app}{more}\n"
        )
    }

    /// A whole deployment that is quick: the sample's image with a small server and a migration of
    /// one line. More keys of `app` (indented by two, `env` first) and whole top-level keys.
    pub fn light(&self, tag: &str, app: &str, more: &str) -> String {
        let server = serde_json::json!(["python", "-c", SERVER]);
        let command = if app.contains("command:") { String::new() } else { format!("  command: {server}\n") };
        let app = self.app(&format!("{app}{command}"));
        let migrate = if more.contains("migrate:") {
            ""
        } else {
            "migrate: { command: [python, -c, \"print(42)\"] }\n"
        };
        let health = if more.contains("health:") { "" } else { "health: [tcp, { http: / }]\n" };
        self.config(tag, &format!("{app}{migrate}{health}{more}"))
    }

    /// This image without database and migration, and whatever else the test wants.
    pub fn bare(&self, image: &str, more: &str) -> String {
        let app = if more.contains("app:") { String::new() } else { self.app("") };
        let report = "report: { parameter: /test/status }";
        format!("image: {image}\ndatabase: off\nmigrate: off\n{report}\n{app}{more}\n")
    }

    /// An `app` block that publishes the world's port, with more keys (indented by two).
    pub fn app(&self, more: &str) -> String {
        format!(
            "app:\n  publish: \"127.0.0.1:{}\"\n  env:\n    SENTRY_DSN: {{ ssm: /test/dsn, optional: true }}\n{more}",
            self.port
        )
    }

    pub fn database_block(&self) -> String {
        let Peers { postgres_host, postgres_port, postgres_user, .. } = peers();
        format!(
            "database:\n  host: {postgres_host}\n  port: {postgres_port}\n  name: {}\n  user: {postgres_user}\n  \
             password: {{ ssm: /test/database-password }}\n",
            self.database
        )
    }
}
