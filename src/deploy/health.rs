//! Proving the application healthy, stage by stage, from the host as its users reach it.

use std::future::pending;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use serde_json::{Map, Value};
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep, timeout};

use super::Context;
use super::phase::Stop;
use super::policy::Policy;
use super::start::Started;
use crate::cause::innermost;
use crate::config::{Health, Publish, Stage};
use crate::redact::{Redactor, plain};
use crate::retry;
use crate::status::{Code, Fault, HealthStage, PhaseName};

/// Largest body that is read of an answer; a health answer is far smaller.
const BODY_MAX: usize = 64 * 1024;

/// Longest part of an unhealthy answer that the status quotes, in bytes.
const QUOTE_MAX: usize = 200;

/// How long a connection must stay open to count. The proxy gives up within a millisecond, on a
/// machine that has nothing else to do; one that boots has.
const MOMENT: Duration = Duration::from_millis(250);

/// Probes the application at its published address.
#[derive(Debug, Clone)]
pub struct Prober {
    client: reqwest::Client,
    address: SocketAddr,
    timeout: Duration,
    redactor: Redactor,
}

/// What one probe of one stage saw.
#[derive(Debug, Clone)]
pub struct Probed {
    /// As the status shows it.
    pub shown: HealthStage,
    /// Why it does not hold.
    pub fault: Option<Fault>,
}

impl Prober {
    /// A prober of the published port.
    ///
    /// # Errors
    /// The HTTP client could not be made.
    pub fn new(publish: Publish, policy: &Policy, redactor: &Redactor) -> Result<Self, Fault> {
        let client = reqwest::Client::builder()
            // Plain HTTP to this host: no certificates, no proxy, a new connection each time,
            // and a redirect is an answer.
            .tls_certs_only([])
            .no_proxy()
            .pool_max_idle_per_host(0)
            .redirect(reqwest::redirect::Policy::none())
            .timeout(policy.probe)
            .user_agent(concat!("preview-agent/", env!("CARGO_PKG_VERSION")))
            .build()
            .map_err(|error| {
                Fault::new(Code::Internal, format!("no HTTP client for health probes: {error}"))
            })?;
        let redactor = redactor.clone();
        Ok(Self { client, address: reachable(publish), timeout: policy.probe, redactor })
    }

    /// Probes one stage once.
    pub async fn probe(&self, stage: &Stage) -> Probed {
        self.probe_before(stage, None).await
    }

    /// The same, ahead of a stage that asks for this path: an answer to that
    /// proves an open port at once, which otherwise takes [`MOMENT`].
    async fn probe_before(&self, stage: &Stage, path: Option<&str>) -> Probed {
        let begun = Instant::now();
        let (name, result) = match stage {
            Stage::Tcp => ("tcp".to_owned(), self.tcp(path).await.map(|()| None)),
            Stage::Http { path, json } => (path.clone(), self.http(path, json.as_ref()).await.map(Some)),
        };
        let (status, fault) = match result {
            Ok(status) => (status, None),
            Err((status, fault)) => (status, Some(fault)),
        };
        let ms = u64::try_from(begun.elapsed().as_millis()).ok();
        Probed { shown: HealthStage { stage: name, ok: fault.is_none(), skipped: false, status, ms }, fault }
    }

    async fn tcp(&self, path: Option<&str>) -> Result<(), (Option<u16>, Fault)> {
        let message = match timeout(self.timeout, TcpStream::connect(self.address)).await {
            Ok(Ok(stream)) => {
                let open = tokio::select! {
                    open = stays(&stream) => open,
                    () = self.answers(path) => true,
                };
                if open {
                    return Ok(());
                }
                format!("{} closes every connection: nothing listens behind it", self.address)
            }
            Ok(Err(error)) => format!("{}: {error}", self.address),
            Err(_) => format!("{} does not accept connections", self.address),
        };
        Err((None, Fault::new(Code::HealthTimeout, message)))
    }

    /// Returns when there is any answer to this request, else never.
    async fn answers(&self, path: Option<&str>) {
        let Some(path) = path else { return pending().await };
        if self.client.get(self.url(path)).send().await.is_err() {
            pending().await
        }
    }

    fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    async fn http(&self, path: &str, json: Option<&Map<String, Value>>) -> Result<u16, (Option<u16>, Fault)> {
        let mut response = self.client.get(self.url(path)).send().await.map_err(|error| {
            let words = if error.is_timeout() { "no answer in time".to_owned() } else { cause(&error) };
            (None, Fault::new(Code::HealthTimeout, format!("{path}: {words}")))
        })?;
        let status = response.status();
        let code = status.as_u16();
        let mut body = Vec::new();
        while let Ok(Some(chunk)) = response.chunk().await {
            body.extend_from_slice(&chunk[..chunk.len().min(BODY_MAX - body.len())]);
            if body.len() >= BODY_MAX {
                break;
            }
        }
        if let Some(expected) = json {
            let answer: Option<Value> = serde_json::from_slice(&body).ok();
            let holds = |(key, value)| answer.as_ref().and_then(|answer| answer.get(key)) == Some(value);
            if !expected.iter().all(holds) {
                let message = format!("{path} answered {code} {}", self.quote(&body));
                return Err((Some(code), Fault::new(Code::HealthUnhealthy, message)));
            }
        }
        if status.is_success() || status.is_redirection() {
            return Ok(code);
        }
        let fault = Fault::new(Code::HealthStatus, format!("{path} answered {code} {}", self.quote(&body)));
        Err((Some(code), fault))
    }

    /// The beginning of an answer, masked before it is cut: half a secret would not be recognised.
    fn quote(&self, body: &[u8]) -> String {
        let text = String::from_utf8_lossy(body);
        let text = plain(&text);
        let line = self.redactor.apply(&text);
        line[..line.floor_char_boundary(QUOTE_MAX)].to_owned()
    }
}

impl Context<'_> {
    /// Proves the stages in order, unless the application ends first.
    ///
    /// # Errors
    /// What the stage that did not hold says, or how the application ended.
    pub(super) async fn healthy(&self, started: &Started) -> Result<Vec<Stage>, Stop> {
        let swap = self.swap();
        let policy = &self.agent.policy;
        let work = async {
            let prober = Prober::new(self.desired.app.publish, policy, &self.agent.redactor)?;
            let limit = self.desired.deadlines.health.min(self.progress.left());
            let prove = prove(&prober, &self.desired.health, policy, limit, |shown| {
                self.agent.reporter.update(|document| document.health = shown.to_vec());
            });
            let ended = async {
                // One that Docker restarts is not over when it ends.
                if started.kept { pending().await } else { swap.exit(&started.id).await }
            };
            tokio::select! {
                proved = prove => match proved {
                    Ok(stages) => Ok(stages),
                    Err(fault) => Err(swap.explained(&started.id, fault).await),
                },
                fault = ended => Err(fault),
            }
        };
        self.progress.phase(PhaseName::Health, work).await
    }
}

/// The stages to prove, and whether 404 means "not served".
#[must_use]
pub fn stages(health: &Health) -> (Vec<Stage>, bool) {
    let http = |path: &str| Stage::Http { path: path.to_owned(), json: None };
    match health {
        Health::Default => (vec![Stage::Tcp, http("/docs"), http("/readyz"), http("/health/db")], true),
        Health::Stages(stages) => (stages.clone(), false),
    }
}

/// Probes each stage in turn until it holds, telling every change. Returns the
/// stages that held: they are what liveness goes on probing.
///
/// # Errors
/// The last fault of the stage that did not hold in time.
pub async fn prove(
    prober: &Prober,
    health: &Health,
    policy: &Policy,
    limit: Duration,
    mut told: impl FnMut(&[HealthStage]),
) -> Result<Vec<Stage>, Fault> {
    let begun = Instant::now();
    let (stages, lenient) = stages(health);
    let path = stages.iter().find_map(|stage| match stage {
        Stage::Http { path, .. } => Some(path.clone()),
        Stage::Tcp => None,
    });
    let mut shown: Vec<HealthStage> = Vec::new();
    let mut held = Vec::new();
    let mut answered = !stages.iter().any(|stage| matches!(stage, Stage::Http { .. }));
    for stage in stages {
        loop {
            let mut probed = prober.probe_before(&stage, path.as_deref()).await;
            let absent = lenient && probed.shown.status == Some(404);
            probed.shown.skipped = absent;
            let fault = probed.fault.filter(|_| !absent);
            let changed = shown.last().is_none_or(|last| last.stage != probed.shown.stage);
            if !changed {
                shown.pop();
            }
            let news = fault.is_none() || changed;
            shown.push(probed.shown);
            if news {
                told(&shown);
            }
            let Some(fault) = fault else {
                if !absent {
                    answered |= matches!(stage, Stage::Http { .. });
                    held.push(stage);
                }
                break;
            };
            let wait = retry::interval(begun.elapsed(), policy.probe_wait);
            if begun.elapsed() + wait >= limit {
                told(&shown);
                let message = format!("not healthy within {} s: {}", limit.as_secs(), fault.message);
                return Err(Fault { message, ..fault });
            }
            sleep(wait).await;
        }
    }
    if answered {
        Ok(held)
    } else {
        let message =
            "the application answers 404 to /docs, /readyz and /health/db; name a path under `health`";
        Err(Fault::new(Code::HealthStatus, message))
    }
}

/// Whether a connection outlasts its first moment. Docker's proxy accepts on
/// the host whether or not anything listens in the container, and closes at once if not.
async fn stays(stream: &TcpStream) -> bool {
    match timeout(MOMENT, stream.peek(&mut [0])).await {
        Ok(seen) => seen.is_ok_and(|bytes| bytes > 0),
        Err(_) => true,
    }
}

/// Where this host reaches a published port: an unspecified address listens on loopback too.
fn reachable(publish: Publish) -> SocketAddr {
    let ip = match publish.ip {
        IpAddr::V4(ip) if ip.is_unspecified() => IpAddr::V4(Ipv4Addr::LOCALHOST),
        IpAddr::V6(ip) if ip.is_unspecified() => IpAddr::V6(Ipv6Addr::LOCALHOST),
        ip => ip,
    };
    SocketAddr::new(ip, publish.port)
}

/// The innermost reason, where the HTTP library's words for it mean something to a user:
/// reqwest's own only name the URL.
fn cause(error: &reqwest::Error) -> String {
    let words = innermost(error).to_string();
    // hyper 1.x, `Error::description`, and what the system says in the same cases.
    let has = |any: &[&str]| any.iter().any(|text| words.contains(text));
    if has(&["closed before message", "reset by peer", "Broken pipe", "unexpected end of file"]) {
        "hung up before its answer was complete".to_owned()
    } else if has(&["invalid HTTP"]) {
        "what answers does not speak HTTP".to_owned()
    } else if has(&["head is too large"]) {
        "the header of its answer is too large".to_owned()
    } else {
        words
    }
}
