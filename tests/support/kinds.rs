//! The kinds of the agent's requests: method and path without ids, versions
//! and what else differs between two equal deployments, and the role they play.

use std::collections::HashMap;

use hyper::header::HeaderMap;
use hyper::{Method, Uri};
use serde_json::Value;

/// How an answer comes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Nature {
    /// At once.
    Plain,
    /// Bit by bit, to an end.
    Stream,
    /// Bit by bit, for ever.
    Endless,
}

/// What counts as another request of the same kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fold {
    /// Each one: it changes something in the engine.
    Each,
    /// One that is asked after something was changed.
    UntilChange,
    /// None: however often it is asked, it is the same.
    Once,
}

/// What a request is.
#[derive(Debug, Clone)]
pub struct Kind {
    pub name: String,
    pub nature: Nature,
    pub fold: Fold,
    /// The answer tells the id of a container that is called so from now on.
    pub creates: Option<String>,
}

impl Kind {
    pub fn poll(name: impl Into<String>) -> Self {
        Self { name: name.into(), nature: Nature::Plain, fold: Fold::Once, creates: None }
    }

    pub fn read(name: impl Into<String>) -> Self {
        Self { fold: Fold::UntilChange, ..Self::poll(name) }
    }

    fn change(name: impl Into<String>) -> Self {
        Self { fold: Fold::Each, ..Self::poll(name) }
    }

    fn streamed(self, nature: Nature) -> Self {
        Self { nature, ..self }
    }
}

/// What objects are called in the names of kinds.
#[derive(Default)]
pub struct Labels {
    labels: HashMap<String, String>,
    created: HashMap<String, usize>,
}

impl Labels {
    pub fn set(&mut self, what: &str, label: &str) {
        self.labels.insert(what.to_owned(), label.to_owned());
    }

    /// Numbers what is created: the second application is `app.2`.
    pub fn numbered(&mut self, kind: Kind) -> Kind {
        let Some(label) = kind.creates else { return kind };
        let count = self.created.entry(label.clone()).or_default();
        *count += 1;
        let numbered = format!("{label}.{count}");
        Kind { name: format!("docker.create.{numbered}"), creates: Some(numbered), ..kind }
    }

    /// Takes the id from the answer to a creation.
    pub fn learn(&mut self, answer: &[u8], label: &str) {
        let answer: Value = serde_json::from_slice(answer).unwrap_or_default();
        if let Some(id) = answer["Id"].as_str() {
            self.set(id, label);
        }
    }

    fn of(&self, what: &str) -> String {
        self.labels.get(what).cloned().unwrap_or_else(|| "unknown".to_owned())
    }
}

/// A request of the Docker API.
pub fn docker(labels: &Labels, method: &Method, uri: &Uri, _: &HeaderMap, _: &[u8]) -> Option<Kind> {
    let path = uri.path().trim_start_matches('/');
    let path = match path.split_once('/') {
        Some((version, rest)) if version.starts_with("v1.") => rest,
        _ => path,
    };
    let query: HashMap<String, String> =
        url::form_urlencoded::parse(uri.query().unwrap_or_default().as_bytes()).into_owned().collect();
    let asked = |name: &str| query.get(name).cloned().unwrap_or_default();
    let parts: Vec<&str> = path.split('/').collect();
    let verb = method.as_str().to_lowercase();
    Some(match parts.as_slice() {
        [known @ ("_ping" | "version")] => Kind::poll(format!("docker.{known}")),
        ["events"] => Kind::read("docker.events").streamed(Nature::Endless),
        ["grpc"] => Kind::change("docker.grpc").streamed(Nature::Endless),
        ["session"] => Kind::change("docker.session").streamed(Nature::Endless),
        ["build"] => Kind::change("docker.build").streamed(Nature::Stream),
        ["containers", "json"] => Kind::read(format!("docker.list.{}", role(&asked("filters")))),
        ["containers", "create"] => {
            let name = job(&asked("name"));
            Kind { creates: Some(name), ..Kind::change("docker.create") }
        }
        ["containers", id, "json"] => Kind::read(format!("docker.inspect.{}", labels.of(id))),
        ["containers", id, "logs"] if asked("follow") == "true" => {
            Kind::read(format!("docker.follow.{}", labels.of(id))).streamed(Nature::Stream)
        }
        ["containers", id, "logs"] => Kind::read(format!("docker.logs.{}", labels.of(id))),
        ["containers", id, "wait"] => {
            let what = labels.of(id);
            // A job ends; an application that is well does not.
            let nature = if what.starts_with("app") { Nature::Endless } else { Nature::Stream };
            Kind::read(format!("docker.wait.{what}")).streamed(nature)
        }
        ["containers", id, action] => Kind::change(format!("docker.{action}.{}", labels.of(id))),
        ["containers", id] => Kind::change(format!("docker.{verb}.{}", labels.of(id))),
        ["networks", "create"] => Kind::change("docker.network.create"),
        ["networks"] => {
            let by = if asked("filters").contains("\"name\"") { "name" } else { "label" };
            Kind::read(format!("docker.networks.{by}"))
        }
        ["images", "create"] => {
            let name = asked("fromImage");
            Kind::change(format!("docker.pull.{}", repository(&name))).streamed(Nature::Stream)
        }
        ["images", "json"] => Kind::read("docker.images"),
        ["images", name @ .., "json"] => Kind::read(format!("docker.image.{}", image(&name.join("/")))),
        ["images", name @ ..] => Kind::change(format!("docker.{verb}.image.{}", image(&name.join("/")))),
        other => Kind::change(format!("docker.{verb}.{}", other.join("."))),
    })
}

fn role(filters: &str) -> &'static str {
    match filters {
        _ if filters.contains("role=app") => "app",
        _ if filters.contains("role=migrate") => "migrate",
        _ => "other",
    }
}

/// `init` of `preview-agent-0123abcd-init-3-4f5e6d`.
fn job(container: &str) -> String {
    let rest = container.trim_start_matches("preview-agent-").split_once('-').map_or("", |(_, rest)| rest);
    let mut parts: Vec<&str> = rest.split('-').collect();
    parts.truncate(parts.len().saturating_sub(2));
    parts.join("-")
}

/// `tasks-api` of `127.0.0.1:5000/acme/tasks-api:good`.
fn repository(image: &str) -> &str {
    let name = image.rsplit('/').next().unwrap_or_default();
    name.split([':', '@']).next().unwrap_or_default()
}

fn image(reference: &str) -> String {
    let reference = percent_encoding::percent_decode_str(reference).decode_utf8_lossy().into_owned();
    match &reference {
        id if id.starts_with("sha256:") => "by-id".to_owned(),
        build if build.contains("/build:") => "build".to_owned(),
        digest if digest.contains('@') => format!("{}.by-digest", repository(digest)),
        tag => repository(tag).to_owned(),
    }
}

/// A request of the metadata service, which is asked by the agent and by the SDK.
pub fn imds(_: &Labels, method: &Method, uri: &Uri, _: &HeaderMap, _: &[u8]) -> Option<Kind> {
    let path = uri.path().trim_start_matches("/latest/").trim_end_matches('/').replace('/', ".");
    Some(Kind::poll(format!("imds.{}.{path}", method.as_str().to_lowercase())))
}

/// A request of SSM; writes are told apart by what the status says.
pub fn ssm(_: &Labels, _: &Method, _: &Uri, headers: &HeaderMap, body: &[u8]) -> Option<Kind> {
    let target = headers.get("x-amz-target").and_then(|value| value.to_str().ok()).unwrap_or_default();
    let action = target.rsplit('.').next().unwrap_or_default();
    let body: Value = serde_json::from_slice(body).unwrap_or_default();
    let status: Value = body["Value"].as_str().and_then(|v| serde_json::from_str(v).ok()).unwrap_or_default();
    let outcome = status["run"]["outcome"].as_str().map(|outcome| format!(".{outcome}"));
    Some(Kind::poll(format!("ssm.{action}{}", outcome.unwrap_or_default())))
}

pub fn github_api(_: &Labels, _: &Method, _: &Uri, _: &HeaderMap, _: &[u8]) -> Option<Kind> {
    Some(Kind::poll("github.api"))
}

pub fn github_files(_: &Labels, _: &Method, _: &Uri, _: &HeaderMap, _: &[u8]) -> Option<Kind> {
    Some(Kind::poll("github.archive").streamed(Nature::Stream))
}

/// A request of the engine's to the registry. What is asked for by its digest counts only if that was
/// labelled: the rest the engine may have kept from before, or not.
pub fn registry(labels: &Labels, method: &Method, uri: &Uri, _: &HeaderMap, _: &[u8]) -> Option<Kind> {
    let verb = method.as_str().to_lowercase();
    let parts: Vec<&str> = uri.path().trim_matches('/').split('/').collect();
    match parts.as_slice() {
        ["v2"] => Some(Kind::poll("registry.ping")),
        ["v2", .., "manifests", digest] if digest.contains(':') => {
            let label = labels.labels.get(*digest)?;
            Some(Kind::poll(format!("registry.{verb}.manifest.{label}")))
        }
        ["v2", .., repository, "manifests", _] => {
            Some(Kind::poll(format!("registry.{verb}.manifest.{repository}.by-tag")))
        }
        ["v2", .., "blobs", digest] => {
            let label = labels.labels.get(*digest)?;
            Some(Kind::poll(format!("registry.{verb}.blob.{label}")).streamed(Nature::Stream))
        }
        _ => None,
    }
}
