//! An account: EC2, STS and Parameter Store behind one address.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use serde_json::Value;

use super::calls::{Fields, Seen, Trouble, Troubles};
use super::cloudformation;
use super::cut::cut;
use super::ec2::{self, Instance, Rule};
use super::server::Server;
use super::ssm::{self, Parameter};
use super::stacks::Stacks;

pub const ACCOUNT: &str = "123456789012";
pub const SUBNET: &str = "subnet-0123456789abcdef0";
pub const GROUP: &str = "sg-0123456789abcdef0";
pub const DB_GROUP: &str = "sg-0fedcba9876543210";
pub const AMI: &str = "ami-0123456789abcdef0";

/// Who is asked; each has its own way to say that something failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Service {
    Ec2,
    Ecs,
    Ssm,
    Stacks,
}

/// What happens once an instance is launched.
type Launched = Box<dyn Fn(&str, &mut Inner) + Send>;
/// What happens at a look at a change set, given how many there have been.
type Looked = Box<dyn Fn(usize, &mut Stacks) + Send>;

#[derive(Default)]
pub struct Inner {
    pub instances: Vec<Instance>,
    pub rules: Vec<Rule>,
    pub parameters: BTreeMap<String, Parameter>,
    /// Client tokens with what was asked and the instance that came of it.
    pub tokens: BTreeMap<String, (Fields, String)>,
    pub seen: Vec<Seen>,
    pub troubles: Troubles,
    pub on_launch: Option<Launched>,
    pub on_end: Option<Launched>,
    pub stacks: Stacks,
    pub on_change_set: Option<Looked>,
    /// What each service of ECS says, the newest first, with its time.
    pub service_says: Vec<(u64, String)>,
    /// Items of one page of a list.
    pub page: Option<usize>,
    /// How many looks find a new instance unknown, and without an address.
    pub unknown: usize,
    pub no_address: usize,
    /// The state that instances are in from now on, whatever they were, with its reason.
    pub console: String,
    /// What each command on an instance writes.
    pub log: String,
    /// The most instances that there may be, those that are ending included.
    pub quota: Option<usize>,
    /// How many looks an instance takes to end.
    pub ending: usize,
    /// Answers come without tags.
    pub no_tags: bool,
    /// The request of this number, from 1, is never answered; it is done before that, or not.
    pub silent_at: Option<(usize, bool)>,
}

pub struct Account {
    server: Server,
    inner: Arc<Mutex<Inner>>,
}

impl Account {
    pub fn start() -> Self {
        let inner = Arc::new(Mutex::new(Inner::default()));
        inner.lock().unwrap().parameters.insert(
            "/aws/service/ami-amazon-linux-latest/al2023-ami-kernel-default-x86_64".to_owned(),
            Parameter { value: AMI.to_owned(), secure: false, tags: BTreeMap::new() },
        );
        let server = Server::start(Router::new().fallback(answer).with_state(Arc::clone(&inner)));
        Self { server, inner }
    }

    pub fn url(&self) -> String {
        self.server.url()
    }

    pub fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap()
    }

    /// The next `times` requests of this action fail so.
    pub fn trouble(&self, action: &str, times: usize, trouble: Trouble) {
        self.lock().troubles.add(action, times, trouble);
    }

    /// What happens at each launch.
    pub fn on_launch(&self, then: impl Fn(&str, &mut Inner) + Send + 'static) {
        self.lock().on_launch = Some(Box::new(then));
    }

    /// What happens when an instance is gone.
    pub fn on_end(&self, then: impl Fn(&str, &mut Inner) + Send + 'static) {
        self.lock().on_end = Some(Box::new(then));
    }

    /// How often an action was asked for.
    pub fn count(&self, action: &str) -> usize {
        self.lock().seen.iter().filter(|seen| seen.action == action).count()
    }

    /// The requests of this action.
    pub fn calls(&self, action: &str) -> Vec<Fields> {
        let seen = self.lock().seen.clone();
        seen.into_iter().filter(|seen| seen.action == action).map(|seen| seen.fields).collect()
    }

    /// Instances that have neither ended nor are about to.
    pub fn alive(&self) -> Vec<Instance> {
        self.lock()
            .instances
            .iter()
            .filter(|it| it.state == "running" || it.state == "pending")
            .cloned()
            .collect()
    }

    /// The rules of a group, as `port from description`.
    pub fn rules(&self, group: &str) -> Vec<String> {
        let inner = self.lock();
        let of_group = inner.rules.iter().filter(|rule| rule.group == group);
        of_group.map(|rule| format!("{} {} {}", rule.port, rule.from, rule.description)).collect()
    }

    /// The names of all parameters of previews.
    pub fn parameters(&self) -> Vec<String> {
        self.lock().parameters.keys().filter(|name| !name.starts_with("/aws")).cloned().collect()
    }
}

async fn answer(State(inner): State<Arc<Mutex<Inner>>>, headers: HeaderMap, body: Bytes) -> Response {
    let answer = answered(&mut inner.lock().unwrap(), &headers, &body);
    match answer {
        Some(answer) => answer,
        None => std::future::pending().await,
    }
}

/// The answer, or `None` where there is never one.
fn answered(inner: &mut Inner, headers: &HeaderMap, body: &Bytes) -> Option<Response> {
    let target = headers.get("x-amz-target").and_then(|target| target.to_str().ok());
    let (service, action, fields) = match target {
        Some(target) if target.starts_with("AmazonEC2ContainerServiceV20141113.") => {
            (Service::Ecs, target.rsplit('.').next().unwrap().to_owned(), of_json(body))
        }
        Some(target) => (Service::Ssm, target.rsplit('.').next().unwrap().to_owned(), of_json(body)),
        None => {
            let fields: Fields = url::form_urlencoded::parse(body).into_owned().collect();
            let is_stacks = fields["Version"] == "2010-05-15";
            (if is_stacks { Service::Stacks } else { Service::Ec2 }, fields["Action"].clone(), fields)
        }
    };
    inner.seen.push(Seen { action: action.clone(), fields: fields.clone() });
    let silent = inner.silent_at.filter(|(at, _)| *at == inner.seen.len());
    // A rehearsal has troubles of its own.
    let dry = fields.get("DryRun").is_some_and(|dry| dry == "true");
    let trouble = inner.troubles.next(&if dry { format!("{action}?") } else { action.clone() });
    match (&silent, &trouble) {
        (Some((_, false)), _) | (_, Some(Trouble::Hang)) => return None,
        (_, Some(Trouble::Error(status, code, message))) => {
            return Some(error(service, *status, code, message));
        }
        (_, Some(Trouble::Cut)) => return Some(cut()),
        _ => {}
    }
    if action == "DescribeChangeSet"
        && let Some(then) = inner.on_change_set.take()
    {
        let looks = inner.seen.iter().filter(|seen| seen.action == action).count();
        then(looks, &mut inner.stacks);
        inner.on_change_set = Some(then);
    }
    let made = match service {
        Service::Ssm => ssm::answer(inner, &action, body),
        Service::Ec2 => ec2::answer(inner, &action, &fields),
        Service::Ecs => Ok(ecs_service(inner, &fields)),
        Service::Stacks => cloudformation::answer(inner, &action, &fields),
    };
    match (silent, trouble) {
        (Some(_), _) => return None,
        (_, Some(Trouble::Lost)) => return Some(cut()),
        _ => {}
    }
    Some(match made {
        Ok(body) => {
            let is_json = [Service::Ecs, Service::Ssm].contains(&service);
            let kind = if is_json { "application/x-amz-json-1.1" } else { "text/xml;charset=UTF-8" };
            (StatusCode::OK, [("content-type", kind)], body).into_response()
        }
        Err((status, code, message)) => error(service, status, &code, &message),
    })
}

/// A service of ECS.
fn ecs_service(inner: &Inner, fields: &Fields) -> String {
    assert_eq!(fields["cluster"], "cluster", "{fields:?}");
    let said = inner.service_says.iter();
    let events: Vec<Value> =
        said.map(|(at, text)| serde_json::json!({ "id": "e", "createdAt": at, "message": text })).collect();
    serde_json::json!({ "services": [{ "serviceName": "s", "events": events }] }).to_string()
}

/// The fields of a JSON body's top level.
fn of_json(body: &[u8]) -> Fields {
    let body: Value = serde_json::from_slice(body).unwrap();
    let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    body.as_object().unwrap().iter().map(|(key, value)| (key.clone(), text(value))).collect()
}

fn error(service: Service, status: u16, code: &str, message: &str) -> Response {
    let status = StatusCode::from_u16(status).unwrap();
    if service == Service::Stacks {
        let body = format!(
            "<ErrorResponse xmlns=\"http://cloudformation.amazonaws.com/doc/2010-05-15/\"><Error><Type>Sender</Type>\
             <Code>{code}</Code><Message>{}</Message></Error><RequestId>r</RequestId></ErrorResponse>",
            ec2::escaped(message)
        );
        return (status, [("content-type", "text/xml")], body).into_response();
    }
    if [Service::Ecs, Service::Ssm].contains(&service) {
        let body = serde_json::json!({ "__type": code, "message": message }).to_string();
        return (status, [("content-type", "application/x-amz-json-1.1")], body).into_response();
    }
    let body = format!(
        "<Response><Errors><Error><Code>{code}</Code><Message>{}</Message></Error></Errors>\
         <RequestID>00000000-0000-4000-8000-000000000000</RequestID></Response>",
        ec2::escaped(message)
    );
    (status, [("content-type", "text/xml")], body).into_response()
}
