//! Parameter Store and the ECR login, over AWS's JSON 1.1, strict where moto is
//! not: sizes, `{{`, names, batches refused as a whole, throttling.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Instant;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use base64::Engine as _;
use serde_json::{Value, json};

use super::imds::{ACCOUNT, REGION};
use super::server::Server;

pub const SECRETS_MANAGER: &str = "/aws/reference/secretsmanager/";

/// One `PutParameter` that was accepted.
#[derive(Debug, Clone)]
pub struct Write {
    pub at: Instant,
    pub name: String,
    pub value: String,
}

/// One request, accepted or not.
#[derive(Debug, Clone)]
pub struct Call {
    pub at: Instant,
    /// As in `GetParameters`.
    pub action: String,
    pub names: Vec<String>,
    pub access_key: String,
    pub region: String,
}

/// How requests fail.
#[derive(Debug, Clone)]
pub enum Failure {
    /// `ThrottlingException`
    Throttled,
    /// `TooManyUpdates`
    TooManyUpdates,
    /// HTTP 500 with a page of HTML.
    Internal,
    /// HTTP 200 with something that is not JSON.
    Garbage,
    /// Accepted, never answered.
    Hang,
    /// The connection breaks off after half of the promised body.
    Cut,
    /// To where it came from.
    Redirect,
    /// Any other error of AWS: its code and message.
    Error(&'static str, &'static str),
}

struct Stored {
    value: String,
    secure: bool,
    version: u64,
}

#[derive(Default)]
struct Inner {
    stored: BTreeMap<String, Stored>,
    denied: BTreeSet<String>,
    key_denied: BTreeSet<String>,
    ecr_password: Option<String>,
    failures: Option<(usize, Failure)>,
    write_failure: Option<Failure>,
    writes: Vec<Write>,
    calls: Vec<Call>,
}

pub struct FakeSsm {
    server: Server,
    inner: Arc<Mutex<Inner>>,
}

impl FakeSsm {
    pub fn start() -> Self {
        let inner = Arc::new(Mutex::new(Inner::default()));
        let server = Server::start(Router::new().fallback(answer).with_state(Arc::clone(&inner)));
        Self { server, inner }
    }

    pub fn endpoint(&self) -> String {
        self.server.url()
    }

    /// Connections are refused until [`FakeSsm::restart`].
    pub fn stop(&mut self) {
        self.server.stop();
    }

    pub fn restart(&mut self) {
        self.server.restart();
    }

    /// Stores a SecureString: without decryption its readers get ciphertext.
    pub fn set(&self, name: &str, value: &str) {
        let mut inner = self.lock();
        let version = inner.stored.get(name).map_or(1, |stored| stored.version + 1);
        inner.stored.insert(name.to_owned(), Stored { value: value.to_owned(), secure: true, version });
    }

    /// Stores a secret of Secrets Manager.
    pub fn set_secret(&self, id: &str, value: &str) {
        self.set(&format!("{SECRETS_MANAGER}{id}"), value);
    }

    pub fn remove(&self, name: &str) {
        self.lock().stored.remove(name);
    }

    /// What is stored now.
    pub fn value(&self, name: &str) -> Option<String> {
        self.lock().stored.get(name).map(|stored| stored.value.clone())
    }

    /// The caller's policies do not allow this name, neither to read nor to write.
    pub fn deny(&self, name: &str) {
        self.lock().denied.insert(name.to_owned());
    }

    pub fn allow(&self, name: &str) {
        self.lock().denied.remove(name);
    }

    /// The parameter may be read, its key may not be used.
    pub fn deny_key(&self, name: &str) {
        self.lock().key_denied.insert(name.to_owned());
    }

    /// ECR gives out this password; without it, it denies.
    pub fn set_ecr_password(&self, password: &str) {
        self.lock().ecr_password = Some(password.to_owned());
    }

    /// The next `times` requests fail so (`usize::MAX`: until [`FakeSsm::recover`]).
    pub fn fail(&self, times: usize, failure: Failure) {
        self.lock().failures = Some((times, failure));
    }

    /// Reads are answered and every write fails so, until [`FakeSsm::recover`].
    pub fn fail_writes(&self, failure: Failure) {
        self.lock().write_failure = Some(failure);
    }

    pub fn recover(&self) {
        let mut inner = self.lock();
        (inner.failures, inner.write_failure) = (None, None);
    }

    /// Every accepted write so far, in order.
    pub fn writes(&self) -> Vec<Write> {
        self.lock().writes.clone()
    }

    /// Every request so far, in order.
    pub fn calls(&self) -> Vec<Call> {
        self.lock().calls.clone()
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap()
    }
}

type Answer = Result<Value, (&'static str, String)>;

async fn answer(State(inner): State<Arc<Mutex<Inner>>>, headers: HeaderMap, body: Bytes) -> Response {
    let header = |name| headers.get(name).and_then(|v| v.to_str().ok()).unwrap_or_default().to_owned();
    let action = header("x-amz-target").rsplit('.').next().unwrap_or_default().to_owned();
    let body: Value = serde_json::from_slice(&body).unwrap_or_default();
    let failure = {
        let mut inner = inner.lock().unwrap();
        inner.calls.push(call(&action, &header("authorization"), &body));
        let failure = inner.failures.take().map(|(times, failure)| {
            if times > 1 {
                inner.failures = Some((times - 1, failure.clone()));
            }
            failure
        });
        failure.or_else(|| inner.write_failure.clone().filter(|_| action == "PutParameter"))
    };
    let answer = match failure {
        Some(Failure::Hang) => return std::future::pending().await,
        Some(Failure::Internal) => {
            return (StatusCode::INTERNAL_SERVER_ERROR, "<html>Internal error</html>").into_response();
        }
        Some(Failure::Cut) => {
            let half = futures_util::stream::iter([Ok(Bytes::from("{\"Parameters\": [")), Err("cut")]);
            return ([("content-length", "100")], Body::from_stream(half)).into_response();
        }
        Some(Failure::Redirect) => {
            return (StatusCode::TEMPORARY_REDIRECT, [("location", "/")]).into_response();
        }
        Some(Failure::Garbage) => return "<html>Welcome to the hotel's network</html>".into_response(),
        Some(Failure::Throttled) => Err(("ThrottlingException", "Rate exceeded".to_owned())),
        Some(Failure::TooManyUpdates) => Err(("TooManyUpdates", "Too many updates".to_owned())),
        Some(Failure::Error(code, message)) => Err((code, message.to_owned())),
        None => inner.lock().unwrap().perform(&action, &body),
    };
    let (status, body) = match answer {
        Ok(body) => (StatusCode::OK, body),
        Err((code, message)) => (StatusCode::BAD_REQUEST, json!({"__type": code, "message": message})),
    };
    let headers = [("content-type", "application/x-amz-json-1.1"), ("x-amzn-requestid", "fake-request")];
    (status, headers, body.to_string()).into_response()
}

/// `Credential=KEY/DATE/REGION/SERVICE/aws4_request` tells who calls and where.
fn call(action: &str, authorization: &str, body: &Value) -> Call {
    let scope = authorization.split_once("Credential=").map_or("", |(_, rest)| rest);
    let mut scope = scope.split('/');
    let names = match (&body["Names"], &body["Name"]) {
        (Value::Array(names), _) => names.iter().filter_map(Value::as_str).map(String::from).collect(),
        (_, Value::String(name)) => vec![name.clone()],
        _ => Vec::new(),
    };
    Call {
        at: Instant::now(),
        action: action.to_owned(),
        names,
        access_key: scope.next().unwrap_or_default().to_owned(),
        region: scope.nth(1).unwrap_or_default().to_owned(),
    }
}

impl Inner {
    fn perform(&mut self, action: &str, body: &Value) -> Answer {
        match action {
            "GetParameters" => self.get_all(body),
            "GetParameter" => self.get_one(body),
            "PutParameter" => self.put(body),
            "GetAuthorizationToken" => self.login(),
            other => Err(("UnknownOperationException", other.to_owned())),
        }
    }

    fn get_all(&self, body: &Value) -> Answer {
        let asked: Vec<&str> =
            body["Names"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
        if asked.is_empty() || asked.len() > 10 {
            return Err(validation("'names' failed to satisfy constraint: Member must have length 1 to 10"));
        }
        for name in &asked {
            self.check_access("ssm:GetParameters", name)?;
        }
        let decrypt = body["WithDecryption"] == true;
        let found: Vec<Value> = asked.iter().filter_map(|name| self.show(name, decrypt)).collect();
        let invalid: Vec<&&str> = asked.iter().filter(|name| self.find(name).is_none()).collect();
        Ok(json!({"Parameters": found, "InvalidParameters": invalid}))
    }

    fn get_one(&self, body: &Value) -> Answer {
        let name = body["Name"].as_str().unwrap_or_default();
        self.check_access("ssm:GetParameter", name)?;
        let shown = self.show(name, body["WithDecryption"] == true);
        shown.map(|p| json!({"Parameter": p})).ok_or(("ParameterNotFound", String::new()))
    }

    fn check_access(&self, action: &str, asked: &str) -> Result<(), (&'static str, String)> {
        let name = split(asked).0;
        if self.denied.contains(&name) {
            return Err(denial(action, &arn(&name)));
        }
        if self.key_denied.contains(&name) {
            let text = "The ciphertext refers to a customer master key that does not exist, does not exist \
                        in this region, or you are not allowed to access.";
            return Err(("AccessDeniedException", text.to_owned()));
        }
        let legal = |c: char| c.is_ascii_alphanumeric() || "_.-/".contains(c);
        if !name.chars().all(legal) {
            return Err(validation("Invalid label format. A label name may contain only a-zA-Z0-9_.-"));
        }
        Ok(())
    }

    fn find(&self, asked: &str) -> Option<(String, Option<u64>, &Stored)> {
        let (name, version) = split(asked);
        let stored = self.stored.get(&name).filter(|stored| version.is_none_or(|v| v == stored.version))?;
        Some((name, version, stored))
    }

    fn show(&self, asked: &str, decrypt: bool) -> Option<Value> {
        let (name, version, stored) = self.find(asked)?;
        let secret = stored.secure && !decrypt;
        let value = if secret { "AQICAHg-ciphertext".to_owned() } else { stored.value.clone() };
        let kind = if stored.secure { "SecureString" } else { "String" };
        let mut shown = json!({
            "ARN": arn(&name), "DataType": "text", "LastModifiedDate": 1_795_000_000.0,
            "Name": name, "Type": kind, "Value": value, "Version": stored.version
        });
        if let Some(version) = version {
            shown["Selector"] = json!(format!(":{version}"));
        }
        Some(shown)
    }

    fn put(&mut self, body: &Value) -> Answer {
        let text = |field: &str| body[field].as_str().unwrap_or_default().to_owned();
        let (name, value) = (text("Name"), text("Value"));
        self.check_access("ssm:PutParameter", &name)?;
        let first = name.trim_start_matches('/').to_lowercase();
        if name.is_empty() || first.starts_with("aws") || first.starts_with("ssm") {
            return Err(validation("Parameter name: can't be prefixed with \"aws\" or \"ssm\""));
        }
        if value.is_empty() {
            return Err(validation(&format!(
                "1 validation error detected: Value '{value}' at 'value' failed to satisfy constraint: \
                 Member must have length greater than or equal to 1"
            )));
        }
        if value.len() > 4096 {
            return Err(validation(
                "Standard tier parameters support a maximum parameter value of 4096 characters.",
            ));
        }
        if value.contains("{{") {
            return Err(validation(
                "Parameter value can't nest another parameter. Do not use \"{{}}\" in the value.",
            ));
        }
        let old = self.stored.get(&name);
        if old.is_some() && body["Overwrite"] != true {
            return Err(("ParameterAlreadyExists", "The parameter already exists.".to_owned()));
        }
        if old.is_none() && body["Type"] != "String" {
            return Err(validation("A parameter type is required when you create a parameter."));
        }
        if body["DataType"].as_str().is_some_and(|t| t != "text") || !body["Tier"].is_null() {
            return Err(validation("this would move the parameter to the charged tier"));
        }
        let version = old.map_or(1, |stored| stored.version + 1);
        self.writes.push(Write { at: Instant::now(), name: name.clone(), value: value.clone() });
        self.stored.insert(name, Stored { value, secure: false, version });
        Ok(json!({"Tier": "Standard", "Version": version}))
    }

    fn login(&self) -> Answer {
        let Some(password) = &self.ecr_password else {
            return Err(denial("ecr:GetAuthorizationToken", "*"));
        };
        let token = base64::engine::general_purpose::STANDARD.encode(format!("AWS:{password}"));
        let endpoint = format!("https://{ACCOUNT}.dkr.ecr.{REGION}.amazonaws.com");
        Ok(json!({"authorizationData": [
            {"authorizationToken": token, "expiresAt": 4_070_908_800.0, "proxyEndpoint": endpoint}
        ]}))
    }
}

/// Name and version of what is asked for: a name, `name:version`, or an ARN.
fn split(asked: &str) -> (String, Option<u64>) {
    let name = match asked.strip_prefix("arn:").and_then(|arn| arn.split_once(":parameter")) {
        Some((_, name)) => name,
        None => asked,
    };
    match name.rsplit_once(':') {
        Some((name, version)) => (name.to_owned(), version.parse().ok()),
        None => (name.to_owned(), None),
    }
}

pub fn arn(name: &str) -> String {
    format!("arn:aws:ssm:{REGION}:{ACCOUNT}:parameter/{}", name.trim_start_matches('/'))
}

fn denial(action: &str, resource: &str) -> (&'static str, String) {
    let user = format!("arn:aws:sts::{ACCOUNT}:assumed-role/preview-role/i-0abc123def4567890");
    let text = format!(
        "User: {user} is not authorized to perform: {action} on resource: {resource} because no \
         identity-based policy allows the {action} action"
    );
    ("AccessDeniedException", text)
}

fn validation(message: &str) -> (&'static str, String) {
    ("ValidationException", message.to_owned())
}
