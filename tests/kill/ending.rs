//! What a deployment leaves behind, in a form in which equal ends are equal.

use std::fs;
use std::path::Path;

use serde_json::{Value, json};

use crate::scenario::Stage;
use crate::support::engine::docker;

/// Everything of the agent's: containers, networks, images, files, status and database.
pub fn ending(stage: &Stage) -> Value {
    let world = &stage.world;
    world.is_reported(&world.ssm);
    let status = world.status().unwrap();
    let state: Value = serde_json::from_slice(&fs::read(world.path("state/state.json")).unwrap()).unwrap();
    let stages: Vec<&Value> =
        status["health"].as_array().into_iter().flatten().map(|stage| &stage["ok"]).collect();
    let end = json!({
        "containers": containers(stage),
        "networks": listed(stage, &["network", "ls", "--format", "{{.Name}} {{.Driver}}"]),
        "built": listed(stage, &["images", "--format", "{{.Repository}}:{{.Tag}}"]),
        "files": [files(&world.path("state")), files(&world.path("run"))],
        "marks": world.sql("SELECT mark || ' ' || count(*) FROM marks GROUP BY mark ORDER BY mark").lines().collect::<Vec<_>>(),
        "tables": world.sql("SELECT tablename FROM pg_tables WHERE schemaname = 'public' ORDER BY 1").lines().collect::<Vec<_>>(),
        "revision": revision(stage),
        "state": {
            "done": done(&state),
            "tries": state["tries"].as_object().unwrap().len(),
            "serving": serving(&state["last_good"]["serving"]),
            "watched": state["last_good"]["watched"]["stages"],
            "container": state["last_good"]["container"] == world.app_container(),
        },
        "status": {
            "outcome": status["run"]["outcome"],
            "service": status["service"]["state"],
            "serving": serving(&status["serving"]),
            "image": [&status["image"]["source"], &status["image"]["commit"]],
            "database": status["database"]["state"],
            "health": stages,
            "fault": status["fault"],
            "notes": status["notes"],
            "url": status["app"]["url"],
        },
    });
    let mut text = end.to_string();
    for (name, stands_for) in &stage.names {
        text = text.replace(name, stands_for);
    }
    serde_json::from_str(&text).unwrap()
}

fn serving(serving: &Value) -> Value {
    json!([serving["image"], serving["digest"], serving["commit"]])
}

/// What is recorded of the deployment's own job and migration: whether each is done, and what it left.
/// Of those before it the records may be lost.
fn done(state: &Value) -> Vec<Value> {
    let steps = state["databases"].as_array().unwrap().last().unwrap()["steps"].as_array().unwrap();
    steps.iter().rev().take(2).map(|step| json!([step["done"], step["revisions"]])).collect()
}

fn revision(stage: &Stage) -> String {
    if stage.world.sql("SELECT to_regclass('alembic_version')").is_empty() {
        return String::new();
    }
    stage.world.sql("SELECT version_num FROM alembic_version")
}

fn containers(stage: &Stage) -> Vec<Value> {
    let ids = stage.world.listed(&["ps", "-aq"]);
    let described = ids.iter().map(|id| {
        let inspected: Value = serde_json::from_str(&docker(&["inspect", id])).unwrap();
        let (it, host) = (&inspected[0], &inspected[0]["HostConfig"]);
        let networks = it["NetworkSettings"]["Networks"].as_object().unwrap();
        json!({
            "role": it["Config"]["Labels"]["preview-agent.role"],
            "labels": it["Config"]["Labels"].as_object().unwrap().keys().collect::<Vec<_>>(),
            // Of a build that is the engine's id, another one in each world.
            "image": it["Config"]["Image"].as_str().filter(|image| !image.starts_with("sha256:")),
            "command": it["Config"]["Cmd"],
            "secrets": it["Config"]["Labels"]["preview-agent.secrets"],
            "state": it["State"]["Status"],
            "restart": host["RestartPolicy"]["Name"],
            "networks": networks.keys().map(|name| without_hash(name)).collect::<Vec<_>>(),
            "binds": host["Binds"],
        })
    });
    let mut described: Vec<Value> = described.collect();
    described.sort_by_key(ToString::to_string);
    described
}

/// Objects of the agent's, by a listing of docker's.
fn listed(stage: &Stage, list: &[&str]) -> Vec<String> {
    let mut found: Vec<String> = stage.world.listed(list).iter().map(|name| without_hash(name)).collect();
    found.sort_unstable();
    found
}

/// Names end in, or hold, the hash of the state folder, and of builds the HMAC of what they were made from.
fn without_hash(name: &str) -> String {
    let Some((_, rest)) = name.split_once("preview-agent-") else { return name.to_owned() };
    let rest = rest.get(8..).unwrap_or_default();
    let rest =
        if rest.starts_with("/build:") { rest.rsplit_once('-').map_or(rest, |(tag, _)| tag) } else { rest };
    format!("OWN{rest}")
}

fn files(folder: &Path) -> Vec<String> {
    let mut names: Vec<String> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned())
        .collect();
    names.sort_unstable();
    names
}
