//! `app` and `health`: the application's container and what proves it well.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};

use super::super::field::{Field, Map};
use super::super::model::{App, Database, Health, OnFailure, Publish, Stage, ValueRef};
use super::super::value::value;
use super::super::yaml::{Content, Kind, Node};
use super::super::{names, quantity};
use super::jobs::words;

/// Where a uvicorn app listens by custom.
const PORT: u16 = 8000;

/// The smallest memory limit that Docker takes.
const LEAST_MEMORY: u64 = 6 << 20;

/// The section is optional as a whole: every key has a default.
pub(super) fn app(root: &Map<'_>, database: Option<&Database>) -> Option<App> {
    match root.get("app") {
        Some(field) => read(
            &field.record(&["entrypoint", "command", "port", "publish", "memory", "on_failure", "env"])?,
            database,
        ),
        None => Some(App {
            entrypoint: None,
            command: None,
            port: PORT,
            publish: everywhere(PORT),
            memory: None,
            on_failure: OnFailure::Restore,
            env: BTreeMap::new(),
        }),
    }
}

fn read(map: &Map<'_>, database: Option<&Database>) -> Option<App> {
    let entrypoint = map.maybe("entrypoint", words);
    let command = map.maybe("command", words);
    let port = map.or("port", PORT, port);
    let publish = map.maybe("publish", |field| field.parse("a port", publish));
    let memory = map.maybe("memory", |field| match field.parse("a size such as 512m", quantity::size)? {
        bytes if bytes < LEAST_MEMORY => field.fail("Docker wants a memory limit of 6m at least"),
        bytes => Some(bytes),
    });
    let on_failure = map.or("on_failure", OnFailure::Restore, |field| {
        field.parse("restore or leave", |text| match text {
            "restore" => Ok(OnFailure::Restore),
            "leave" => Ok(OnFailure::Leave),
            _ => Err("expected restore or leave"),
        })
    });
    let env = map.or("env", BTreeMap::new(), |field| env(field, database));
    let port = port?;
    Some(App {
        entrypoint: entrypoint?,
        command: command?,
        port,
        publish: publish?.unwrap_or(everywhere(port)),
        memory: memory?,
        on_failure: on_failure?,
        env: env?,
    })
}

fn env(field: &Field<'_>, database: Option<&Database>) -> Option<BTreeMap<String, ValueRef>> {
    let mut env = BTreeMap::new();
    let mut complete = true;
    for (name, field) in field.entries("a map of variables to values", names::variable)? {
        if database.is_some_and(|database| database.env == name) {
            field.fail::<()>("`database` sets this variable already");
        }
        let value = value(&field);
        complete &= value.is_some();
        env.extend(value.map(|value| (name.to_owned(), value)));
    }
    complete.then_some(env)
}

/// A TCP port.
pub(super) fn port(field: &Field<'_>) -> Option<u16> {
    field.parse("a port from 1 to 65535", |text| port_number(text).ok_or("expected a port from 1 to 65535"))
}

fn port_number(text: &str) -> Option<u16> {
    text.parse().ok().filter(|port| *port > 0)
}

fn everywhere(port: u16) -> Publish {
    Publish { ip: IpAddr::V4(Ipv4Addr::UNSPECIFIED), port }
}

/// `8000`, `127.0.0.1:8000` or `[::1]:8000`.
fn publish(text: &str) -> Result<Publish, &'static str> {
    const EXPECTED: &str = "expected a host port or address:port, such as 8000 or 127.0.0.1:8000; the container's port is app.port";
    if let Some(port) = port_number(text) {
        return Ok(everywhere(port));
    }
    let address: std::net::SocketAddr = text.parse().map_err(|_| EXPECTED)?;
    if address.port() == 0 { Err(EXPECTED) } else { Ok(Publish { ip: address.ip(), port: address.port() }) }
}

pub(super) fn health(field: &Field<'_>) -> Option<Health> {
    let items = field.items("a list of stages: tcp, or {http: /path}")?;
    if items.is_empty() {
        return field.fail("expected at least one stage; without `health` the usual four run");
    }
    // All of them, so that each reports its own problem.
    let stages: Vec<Option<Stage>> = items.iter().map(stage).collect();
    stages.into_iter().collect::<Option<_>>().map(Health::Stages)
}

fn stage(field: &Field<'_>) -> Option<Stage> {
    match field.content() {
        Content::Map(_) => {}
        Content::Scalar { text, .. } if text == "tcp" => return Some(Stage::Tcp),
        _ => return field.fail("expected tcp, or {http: /path} with or without json"),
    }
    let map = field.record(&["http", "json"])?;
    let path = map.need("http", "the path to ask", |field| {
        field.parse("a path", |path| names::url_path(path).map(|()| path.to_owned()))
    });
    let json = map.maybe("json", |field| {
        const EXPECTED: &str = "a map of fields to the values they must have";
        field.entries(EXPECTED, |_| Ok::<(), &str>(()))?;
        match json(field.content()) {
            serde_json::Value::Object(fields) if !fields.is_empty() => Some(fields),
            _ => field.fail(format!("expected {EXPECTED}")),
        }
    });
    Some(Stage::Http { path: path?, json: json? })
}

fn json(content: &Content) -> serde_json::Value {
    use serde_json::Value;
    match content {
        Content::Null => Value::Null,
        Content::Scalar { text, kind: Kind::Bool } => Value::Bool(text.eq_ignore_ascii_case("true")),
        // YAML has spellings that JSON does not (0x1F, 1_000); they stay text.
        Content::Scalar { text, kind: Kind::Number } => {
            text.parse().map_or_else(|_| Value::String(text.clone()), Value::Number)
        }
        Content::Scalar { text, kind: Kind::Text } => Value::String(text.clone()),
        Content::List(items) => {
            Value::Array(items.iter().map(|Node { content, .. }| json(content)).collect())
        }
        Content::Map(entries) => Value::Object(
            entries.iter().map(|entry| (entry.key.clone(), json(&entry.value.content))).collect(),
        ),
    }
}
