//! Reads the fields of `preview.yaml`.

use std::collections::BTreeMap;

use ipnet::IpNet;
use preview_agent::config::yaml::{Content, Entry, Node, Position};
use preview_agent::config::{Field, Map};

use super::fill::Fill;
use super::model::{Ami, Instance, Secret, Settings};
use super::variables::Variables;
use crate::names::{Preview, Repository, Scope};

const TOP: [&str; 6] = ["instance", "scope", "path", "viewers", "secrets", "agent"];
const INSTANCE: [&str; 8] =
    ["ami", "type", "subnet", "security_group", "db_security_group", "profile", "volume", "name"];

/// A commit to check the agent's configuration with before there is a pull request.
const SOME_COMMIT: &str = "0123456789abcdef0123456789abcdef01234567";

/// Reads the whole file.
pub(super) fn settings(
    root: &Field<'_>,
    repository: &Repository,
    variables: &Variables,
    file: &str,
) -> Option<Settings> {
    if root.node().is_empty() {
        return root.fail("the file is empty; it needs at least `viewers`");
    }
    let map = root.record(&TOP)?;
    let nothing = Node { at: Position { line: 1, column: 1 }, content: Content::Map(Vec::<Entry>::new()) };
    let instance = match map.get("instance") {
        Some(field) => instance(field, variables),
        None => instance(&root.of(&nothing, "instance"), variables),
    };
    let scope = map.or("scope", Scope::default(), |field| {
        field.parse("repository or pull-request", |text| match text {
            "repository" => Ok(Scope::Repository),
            "pull-request" => Ok(Scope::PullRequest),
            _ => Err("expected repository or pull-request"),
        })
    });
    let path =
        map.or("path", "/pr-preview".to_owned(), |field| field.parse("a folder of parameters", folder));
    let viewers = map.or("viewers", Vec::new(), |field| {
        let items = field.items("a list of networks as in 203.0.113.0/24")?;
        items.iter().map(|item| item.parse("a network", network)).collect()
    });
    let secrets = map.or("secrets", Vec::new(), secrets);
    let agent =
        map.need("agent", "the agent's configuration, with at least `image` and `database`", |field| {
            Some(field.node().clone())
        });
    let (instance, scope, path, viewers, secrets, agent) =
        (instance?, scope?, path?, viewers?, secrets?, agent?);
    let preview = Preview { repository: repository.clone(), number: 1, path: path.clone() };
    let fill = Fill { preview: &preview, sha: SOME_COMMIT, secrets: &secrets };
    super::agent::checked(root, &agent, &fill)?;
    let lines = match root.content() {
        Content::Map(entries) => entries.iter().map(|entry| (entry.key.clone(), entry.at.line)).collect(),
        _ => BTreeMap::new(),
    };
    Some(Settings { instance, scope, path, viewers, secrets, agent, file: file.to_owned(), lines })
}

fn instance(field: &Field<'_>, variables: &Variables) -> Option<Instance> {
    let map = field.record(&INSTANCE)?;
    let ami = or_variable(&map, "ami", variables.text("AMI_ID"), ami);
    let kind = or_variable(&map, "type", variables.text("INSTANCE_TYPE"), word);
    let subnet = needed(&map, "subnet", "SUBNET_ID", variables, "subnet-");
    let security_group = needed(&map, "security_group", "SG_ID", variables, "sg-");
    let db_security_group =
        or_variable(&map, "db_security_group", variables.text("DB_SG_ID"), |text| id(text, "sg-"));
    let profile = needed(&map, "profile", "INSTANCE_PROFILE", variables, "");
    let volume = map.maybe("volume", |field| field.parse("gigabytes from 8 to 16384", gigabytes));
    let name = or_variable(&map, "name", variables.text("INSTANCE_NAME"), name);
    Some(Instance {
        ami: ami?,
        kind: kind?.unwrap_or_else(|| "t3.small".to_owned()),
        subnet: subnet?,
        security_group: security_group?,
        db_security_group: db_security_group?,
        profile: profile?,
        volume: volume?,
        name: name?.unwrap_or_else(|| "pr-preview".to_owned()),
    })
}

/// Reads a field, or one of the handbook's variables if the field is missing.
fn or_variable<T>(
    map: &Map<'_>,
    key: &str,
    variable: Option<String>,
    read: impl Fn(&str) -> Result<T, &'static str>,
) -> Option<Option<T>> {
    match (map.get(key), variable) {
        (Some(field), _) => field.parse("a text", &read).map(Some),
        (None, Some(text)) => match read(&text) {
            Ok(value) => Some(Some(value)),
            Err(expected) => map.field.fail(format!("`{key}` comes from a variable: {expected}")),
        },
        (None, None) => Some(None),
    }
}

fn needed(
    map: &Map<'_>,
    key: &str,
    variable: &str,
    variables: &Variables,
    prefix: &'static str,
) -> Option<String> {
    match or_variable(map, key, variables.text(variable), |text| id(text, prefix))? {
        Some(text) => Some(text),
        None => map.field.fail(format!("`{key}` is missing: write it here, or set the variable {variable}")),
    }
}

fn word(text: &str) -> Result<String, &'static str> {
    let fits = (1..=128).contains(&text.len())
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"+=,.@_-/:".contains(&b));
    if fits { Ok(text.to_owned()) } else { Err("expected one word of letters, digits and +=,.@_-/:") }
}

fn id(text: &str, prefix: &'static str) -> Result<String, &'static str> {
    match prefix {
        _ if text.starts_with(prefix) => word(text),
        "subnet-" => Err("expected an id as in subnet-0123456789abcdef0"),
        _ => Err("expected an id as in sg-0123456789abcdef0"),
    }
}

fn ami(text: &str) -> Result<Ami, &'static str> {
    match text.strip_prefix("resolve:ssm:") {
        Some(name) if name.starts_with('/') => word(name).map(Ami::Parameter),
        None if text.starts_with("ami-") => word(text).map(Ami::Id),
        _ => Err("expected an id as in ami-0123456789abcdef0, or resolve:ssm: and the name of a parameter"),
    }
}

/// A tag's value: EC2 takes 256 characters, and the console shows one line.
fn name(text: &str) -> Result<String, &'static str> {
    let fits = (1..=255).contains(&text.chars().count()) && !text.chars().any(char::is_control);
    if fits { Ok(text.to_owned()) } else { Err("expected one line of at most 255 characters") }
}

fn gigabytes(text: &str) -> Result<i32, &'static str> {
    match text.parse() {
        Ok(size @ 8..=16_384) => Ok(size),
        _ => Err("expected gigabytes from 8 to 16384"),
    }
}

/// A folder in Parameter Store: letters, digits and `.-_/`, at most 15 levels; none of AWS's own folders.
///
/// # Errors
/// The expected form.
pub fn folder(text: &str) -> Result<String, &'static str> {
    let fits = text.starts_with('/')
        && text.len() <= 200
        && !text.starts_with("/aws")
        && !text.starts_with("/ssm")
        && text[1..].split('/').all(|part| !part.is_empty())
        && text.split('/').count() <= 12
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-/".contains(&b));
    if fits { Ok(text.to_owned()) } else { Err("expected a folder of parameters as in /pr-preview") }
}

/// A network. EC2 stores the network of an address and not the address itself, and `preview` would not find the rule
/// again.
fn network(text: &str) -> Result<IpNet, String> {
    let bare: Result<std::net::IpAddr, _> = text.parse();
    if let Ok(address) = bare {
        let length = if address.is_ipv4() { 32 } else { 128 };
        return Err(format!("expected a network; for this address alone write {address}/{length}"));
    }
    let net: IpNet = text.parse().map_err(|_| "expected a network as in 203.0.113.0/24".to_owned())?;
    if net.trunc() == net {
        Ok(net)
    } else {
        Err(format!("{net} is an address in the network {}; write that", net.trunc()))
    }
}

fn secrets(field: &Field<'_>) -> Option<Vec<Secret>> {
    let entries = field.entries("a map of names to environment variables", |name| {
        let fits = (1..=64).contains(&name.len())
            && name != "status"
            && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b));
        if fits { Ok(()) } else { Err("expected a name of letters, digits and ._- other than status") }
    })?;
    entries
        .into_iter()
        .map(|(name, field)| {
            let (variable, optional) = match field.content() {
                Content::Map(_) => {
                    let map = field.record(&["env", "optional"])?;
                    let variable = map.need("env", "the environment variable", |field| variable(field));
                    let optional = map.or("optional", false, Field::bool);
                    (variable?, optional?)
                }
                _ => (variable(&field)?, false),
            };
            Some(Secret { name: name.to_owned(), variable, optional })
        })
        .collect()
}

fn variable(field: &Field<'_>) -> Option<String> {
    field.parse("the name of an environment variable", |text| {
        let fits = !text.is_empty()
            && !text.starts_with(|c: char| c.is_ascii_digit())
            && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
        if fits { Ok(text.to_owned()) } else { Err("expected the name of an environment variable") }
    })
}
