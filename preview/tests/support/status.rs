//! The agent's status documents, as it writes them.

use serde_json::{Value, json};

use super::account::Inner;
use super::ssm::Parameter;

/// A document of this instance and pull request with this outcome.
pub fn document(instance: &str, number: u64, outcome: &str) -> Value {
    let up = if outcome == "ready" { "up" } else { "none" };
    json!({
        "verdict": format!("{outcome}: said by the agent of {instance}"),
        "schema": 1,
        "run": {
            "id": "r1", "sequence": 1, "outcome": outcome, "started": "2026-11-29T10:00:00Z",
            "deployment": format!("pr-{number}"), "phase": "migrate",
        },
        "service": { "state": up, "since": "2026-11-29T10:00:00Z" },
        "instance": { "id": instance },
        "phases": [{ "name": "migrate", "state": "running", "start_ms": 10 }],
        "heartbeat_at": "2099-11-29T10:00:00Z", "expires_at": "2099-11-29T10:00:00Z",
        "agent": { "version": "0.1.0" },
    })
}

/// The same, failed by a migration.
pub fn failed(instance: &str, number: u64) -> Value {
    let mut document = document(instance, number, "failed");
    document["fault"] = json!({
        "code": "migration_failed", "class": "migration", "phase": "migrate", "message": "alembic ended with 1",
        "hint": "Correct the migration.", "retryable": false, "attempts": 1,
        "tail": "sqlalchemy.exc.ProgrammingError: ```boom```\n::error::not ours",
    });
    document
}

/// The agent says this.
pub fn says(inner: &mut Inner, number: u64, document: &Value) {
    let name = format!("/pr-preview/{number}/status");
    // As PutParameter does, it keeps the tags.
    let tags = inner.parameters.get(&name).map(|it| it.tags.clone()).unwrap_or_default();
    inner.parameters.insert(name, Parameter { value: document.to_string(), secure: false, tags });
}
