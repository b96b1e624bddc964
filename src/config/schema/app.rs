//! `app`: the application's container.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};

use super::super::field::{Field, Map};
use super::super::model::{App, Database, OnFailure, Publish, ValueRef};
use super::super::value::value;
use super::super::{names, quantity};
use super::shared::{command_line, port, port_number};

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
    let entrypoint = map.maybe("entrypoint", command_line);
    let command = map.maybe("command", command_line);
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
