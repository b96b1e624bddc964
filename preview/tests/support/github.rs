//! A GitHub: pull requests, files, comments, deployments, in pages, with rights and limits.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};

use axum::Router;
use axum::body::Bytes;
use axum::extract::{Request, State};
use axum::http::request::Parts;
use axum::http::{Method, StatusCode};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

use super::cut::cut;
use super::server::Server;

/// Who writes with a workflow's own token.
pub const BOT: &str = "github-actions[bot]";

/// An answer in place of the usual one.
#[derive(Debug, Clone)]
pub struct Refusal {
    pub status: u16,
    pub message: &'static str,
    pub headers: Vec<(&'static str, String)>,
}

impl Refusal {
    pub fn new(status: u16, message: &'static str) -> Self {
        Self { status, message, headers: Vec::new() }
    }

    /// What was asked for is done, and the answer breaks off.
    pub fn lost() -> Self {
        Self::new(0, "")
    }
}

#[derive(Default)]
pub struct Inner {
    /// By number: state and head commit.
    pub pulls: BTreeMap<u64, (String, String)>,
    /// By commit and path.
    pub files: BTreeMap<(String, String), String>,
    /// By pull request; each with its number, its author and text.
    pub comments: Vec<(u64, Value)>,
    pub deployments: Vec<Value>,
    /// Deployment and state, in the order they came.
    pub statuses: Vec<(u64, Value)>,
    /// Those whose code comes from elsewhere.
    pub forks: Vec<u64>,
    pub labels: Vec<(u64, String)>,
    /// The request of this number, from 1, is never answered.
    pub silent_at: Option<usize>,
    pub seen: Vec<String>,
    /// What requests whose `METHOD path` has these words are answered, and how often.
    pub refusals: Vec<(&'static str, usize, Refusal)>,
    /// Whose the token is; a workflow's own may not ask.
    pub login: Option<String>,
    next: u64,
}

pub struct GitHub {
    server: Server,
    inner: Arc<Mutex<Inner>>,
}

pub const BASE: &str = "ba5e000000000000000000000000000000000000";
pub const HEAD: &str = "4225332178759948e04347560002921719079454";

impl GitHub {
    pub fn start() -> Self {
        let inner = Arc::new(Mutex::new(Inner { next: 1000, ..Inner::default() }));
        let server = Server::start(Router::new().fallback(answer).with_state(Arc::clone(&inner)));
        Self { server, inner }
    }

    pub fn url(&self) -> String {
        self.server.url()
    }

    pub fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap()
    }

    pub fn open(&self, number: u64) {
        self.lock().pulls.insert(number, ("open".to_owned(), HEAD.to_owned()));
    }

    pub fn close(&self, number: u64) {
        self.lock().pulls.insert(number, ("closed".to_owned(), HEAD.to_owned()));
    }

    pub fn push(&self, number: u64, sha: &str) {
        self.lock().pulls.insert(number, ("open".to_owned(), sha.to_owned()));
    }

    pub fn file(&self, commit: &str, text: &str) {
        self.lock().files.insert((commit.to_owned(), "preview.yaml".to_owned()), text.to_owned());
    }

    pub fn refuse(&self, words: &'static str, times: usize, refusal: Refusal) {
        self.lock().refusals.push((words, times, refusal));
    }

    /// The texts of a pull request's comments.
    pub fn comments(&self, number: u64) -> Vec<String> {
        let inner = self.lock();
        let of = inner.comments.iter().filter(|(of, _)| *of == number);
        of.map(|(_, comment)| comment["body"].as_str().unwrap_or_default().to_owned()).collect()
    }

    /// Somebody else's comment.
    pub fn comment(&self, number: u64, login: Option<&str>, body: &str) -> u64 {
        let mut inner = self.lock();
        inner.next += 1;
        let id = inner.next;
        let user = login.map(
            |login| json!({ "login": login, "type": if login.ends_with("[bot]") { "Bot" } else { "User" } }),
        );
        inner.comments.push((
            number,
            json!({ "id": id, "body": body, "user": user, "author_association": "NEW_TO_US" }),
        ));
        id
    }

    /// The states that deployments of a pull request have come to, each its last.
    pub fn deployed(&self, number: u64) -> Vec<String> {
        let inner = self.lock();
        let of = inner.deployments.iter().filter(|it| it["payload"]["pull_request"] == number);
        of.map(|deployment| {
            let id = deployment["id"].as_u64().unwrap();
            let last = inner.statuses.iter().rfind(|(of, _)| *of == id);
            last.map_or_else(|| "none".to_owned(), |(_, status)| status["state"].as_str().unwrap().to_owned())
        })
        .collect()
    }
}

async fn answer(State(inner): State<Arc<Mutex<Inner>>>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let body: Bytes = axum::body::to_bytes(body, 1 << 20).await.unwrap();
    let body: Value = serde_json::from_slice(&body).unwrap_or_default();
    let answer = answered(&mut inner.lock().unwrap(), &parts, &body);
    match answer {
        Some(answer) => answer,
        None => std::future::pending().await,
    }
}

/// The answer, or `None` where there is never one.
fn answered(inner: &mut Inner, parts: &Parts, body: &Value) -> Option<Response> {
    let line = format!("{} {}", parts.method, parts.uri);
    inner.seen.push(line.clone());
    if inner.silent_at == Some(inner.seen.len()) {
        return None;
    }
    let fits = |(words, times, _): &&mut (&str, usize, Refusal)| line.contains(*words) && *times > 0;
    let refusal = inner.refusals.iter_mut().find(fits).map(|(_, times, refusal)| {
        *times -= 1;
        refusal.clone()
    });
    Some(match refusal {
        None => done(inner, parts, body),
        Some(refusal) if refusal.status == 0 => {
            done(inner, parts, body);
            cut()
        }
        Some(refusal) => refused(&refusal),
    })
}

fn done(inner: &mut Inner, parts: &Parts, body: &Value) -> Response {
    if parts.headers.get("authorization").is_none_or(|token| token != "Bearer the-jobs-token") {
        return refused(&Refusal::new(401, "Bad credentials"));
    }
    assert!(parts.headers.contains_key("user-agent") && parts.headers.contains_key("x-github-api-version"));
    let path = parts.uri.path().to_owned();
    let query: BTreeMap<String, String> =
        url::form_urlencoded::parse(parts.uri.query().unwrap_or_default().as_bytes()).into_owned().collect();
    let host = parts.headers["host"].to_str().unwrap().to_owned();
    if path == "/user" {
        return match &inner.login {
            Some(login) => axum::Json(json!({ "login": login })).into_response(),
            None => refused(&Refusal::new(403, "Resource not accessible by integration")),
        };
    }
    let Some(rest) = path.strip_prefix("/repos/acme/api") else { return missing() };
    let words: Vec<&str> = rest.split('/').filter(|word| !word.is_empty()).collect();
    match (&parts.method, words.as_slice()) {
        (&Method::GET, []) => {
            axum::Json(json!({ "full_name": "acme/api", "default_branch": "main" })).into_response()
        }
        (&Method::GET, ["pulls"]) => {
            let open = inner.pulls.iter().filter(|(_, (state, _))| state == "open");
            let all: Vec<Value> =
                open.map(|(number, (state, head))| pull(inner, *number, state, head)).collect();
            page(&all, &query, &host, &path)
        }
        (&Method::GET, ["pulls", number]) => match inner.pulls.get(&number.parse().unwrap()) {
            Some((state, head)) => {
                axum::Json(pull(inner, number.parse().unwrap(), state, head)).into_response()
            }
            None => missing(),
        },
        (&Method::GET, ["contents", file]) => {
            assert_eq!(parts.headers["accept"], "application/vnd.github.raw+json");
            let commit = if query["ref"] == "main" { BASE } else { query["ref"].as_str() };
            match inner.files.get(&(commit.to_owned(), (*file).to_owned())) {
                Some(text) => text.clone().into_response(),
                None => missing(),
            }
        }
        (&Method::GET, ["commits", commit]) => {
            let known =
                *commit == "main" || inner.files.keys().any(|(of, _)| of == commit) || *commit == HEAD;
            if known { axum::Json(json!({ "sha": commit })).into_response() } else { missing() }
        }
        (&Method::GET, ["issues", number, "comments"]) => {
            let number: u64 = number.parse().unwrap();
            let of = inner.comments.iter().filter(|(of, _)| *of == number);
            page(&of.map(|(_, comment)| comment.clone()).collect::<Vec<_>>(), &query, &host, &path)
        }
        (&Method::POST, ["issues", number, "comments"]) => {
            inner.next += 1;
            let login = inner.login.clone().unwrap_or_else(|| BOT.to_owned());
            let kind = if login.ends_with("[bot]") { "Bot" } else { "User" };
            let association = if kind == "Bot" { "NONE" } else { "COLLABORATOR" };
            let user = json!({ "login": login, "type": kind });
            let comment = json!({ "id": inner.next, "body": body["body"], "user": user, "author_association": association });
            inner.comments.push((number.parse().unwrap(), comment.clone()));
            (StatusCode::CREATED, axum::Json(comment)).into_response()
        }
        (&Method::PATCH, ["issues", "comments", id]) => {
            let id: u64 = id.parse().unwrap();
            let Some((_, comment)) = inner.comments.iter_mut().find(|(_, it)| it["id"] == id) else {
                return missing();
            };
            comment["body"] = body["body"].clone();
            axum::Json(comment.clone()).into_response()
        }
        (&Method::DELETE, ["issues", "comments", id]) => {
            let id: u64 = id.parse().unwrap();
            inner.comments.retain(|(_, it)| it["id"] != id);
            StatusCode::NO_CONTENT.into_response()
        }
        (&Method::POST, ["deployments"]) => {
            // Else GitHub merges the base into it, or waits for checks.
            assert_eq!((&body["auto_merge"], &body["required_contexts"]), (&json!(false), &json!([])));
            inner.next += 1;
            let deployment = json!({ "id": inner.next, "payload": body["payload"], "sha": body["ref"] });
            inner.deployments.push(deployment.clone());
            (StatusCode::CREATED, axum::Json(deployment)).into_response()
        }
        (&Method::GET, ["deployments"]) => {
            // As a text, which GitHub's documentation has, too.
            let mut all = inner.deployments.clone();
            all.reverse();
            all.iter_mut().for_each(|it| it["payload"] = it["payload"].to_string().into());
            page(&all, &query, &host, &path)
        }
        (&Method::GET, ["deployments", id, "statuses"]) => {
            let id: u64 = id.parse().unwrap();
            let of = inner.statuses.iter().rev().filter(|(of, _)| *of == id);
            page(&of.map(|(_, status)| status.clone()).collect::<Vec<_>>(), &query, &host, &path)
        }
        (&Method::POST, ["deployments", id, "statuses"]) => {
            assert!(body["description"].as_str().unwrap().chars().count() <= 140);
            inner.statuses.push((id.parse().unwrap(), body.clone()));
            (StatusCode::CREATED, axum::Json(json!({ "id": 1 }))).into_response()
        }
        _ => missing(),
    }
}

fn pull(inner: &Inner, number: u64, state: &str, head: &str) -> Value {
    let from = if inner.forks.contains(&number) { "eve/api" } else { "acme/api" };
    let labels = inner.labels.iter().filter(|(of, _)| *of == number);
    json!({
        "number": number, "state": state, "user": { "login": "octocat" },
        "labels": labels.map(|(_, name)| json!({ "name": name })).collect::<Vec<_>>(),
        "head": { "sha": head, "repo": { "full_name": from } }, "base": { "sha": "stale", "ref": "main" },
    })
}

/// 30 items, or as many as were asked for, 100 at most.
fn page(all: &[Value], query: &BTreeMap<String, String>, host: &str, path: &str) -> Response {
    let number = |name: &str| query.get(name).and_then(|it| it.parse::<usize>().ok());
    let size = number("per_page").unwrap_or(30).min(100);
    let page = number("page").unwrap_or(1);
    let items: Vec<&Value> = all.iter().skip((page - 1) * size).take(size).collect();
    let more = all.len() > page * size;
    let body = axum::Json(items);
    if !more {
        return body.into_response();
    }
    let rest: String =
        query.iter().filter(|(key, _)| *key != "page").map(|(k, v)| format!("{k}={v}&")).collect();
    let link = format!(
        "<http://{host}{path}?{rest}page={}>; rel=\"next\", <http://{host}{path}>; rel=\"last\"",
        page + 1
    );
    ([("link", link)], body).into_response()
}

fn missing() -> Response {
    refused(&Refusal::new(404, "Not Found"))
}

fn refused(refusal: &Refusal) -> Response {
    let mut answer =
        (StatusCode::from_u16(refusal.status).unwrap(), axum::Json(json!({ "message": refusal.message })))
            .into_response();
    for (name, value) in &refusal.headers {
        answer.headers_mut().insert(*name, value.parse().unwrap());
    }
    answer
}
