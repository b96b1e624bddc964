//! A proxy before the Docker socket, the HTTP peers and the database. It knows
//! each request of the agent by its kind, and stops at one of them so that the
//! agent can be killed there; from then on nothing more of that agent's passes.
//! And it makes what [`trouble`](super::trouble) knows: an engine that fails.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::ops::Deref;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread::JoinHandle;

use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt as _, Empty, Full};
use hyper::body::{Bytes, Incoming};
use hyper::header::HeaderMap;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode, Uri};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream};
use tokio::runtime::Handle;
use tokio::sync::oneshot;
use tokio::task::AbortHandle;

use super::kinds::{Kind, Labels, docker};
use super::ledger::{Halt, Ledger, Seen};
use super::questions::questions;
use super::trouble::{Moment, Trouble, Troubles, WORDS};
use super::wait::eventually;

type Body = BoxBody<Bytes, hyper::Error>;
type Failure = Box<dyn std::error::Error + Send + Sync>;
/// Tells the kind of a request from its head and, for small ones, its body; `None` passes uncounted.
pub type Classify = fn(&Labels, &Method, &Uri, &HeaderMap, &[u8]) -> Option<Kind>;

trait Io: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Io for T {}

#[derive(Default)]
struct Shared {
    ledger: Mutex<Ledger>,
    labels: Mutex<Labels>,
    troubles: Troubles,
}

/// Where requests go, and how they are told apart.
#[derive(Clone)]
struct Route {
    upstream: Upstream,
    classify: Classify,
    /// Requests come from the engine, not from the agent: they outlive it.
    foreign: bool,
    /// Bodies are small documents, needed to tell the kind.
    read_body: bool,
}

#[derive(Clone)]
enum Upstream {
    Unix(PathBuf),
    Tcp(String),
}

impl Upstream {
    async fn connect(&self) -> std::io::Result<Box<dyn Io>> {
        Ok(match self {
            Self::Unix(path) => Box::new(UnixStream::connect(path).await?),
            Self::Tcp(address) => Box::new(TcpStream::connect(address).await?),
        })
    }
}

/// The proxy; its listeners end when it is dropped.
pub struct Proxy {
    runtime: Handle,
    running: Option<(oneshot::Sender<()>, JoinHandle<()>)>,
    shared: Arc<Shared>,
    /// Who waits before the engine, where it is there.
    listening: Mutex<Option<AbortHandle>>,
    folder: tempfile::TempDir,
}

/// What a test plans for the requests.
impl Deref for Proxy {
    type Target = Troubles;

    fn deref(&self) -> &Troubles {
        &self.shared.troubles
    }
}

impl Proxy {
    pub fn start() -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let handle = runtime.handle().clone();
        let (stop, stopped) = oneshot::channel();
        let thread = std::thread::spawn(move || {
            runtime.block_on(stopped).ok();
            runtime.shutdown_background();
        });
        let (shared, folder) = (Arc::default(), tempfile::tempdir().unwrap());
        Self { runtime: handle, running: Some((stop, thread)), shared, listening: Mutex::default(), folder }
    }

    /// A socket before the engine's; what `DOCKER_HOST` takes.
    pub fn docker(&self) -> String {
        self.before(Path::new("/var/run/docker.sock"))
    }

    /// A socket before that of another engine, a fake one, say.
    pub fn before(&self, engine: &Path) -> String {
        let upstream = Upstream::Unix(engine.to_owned());
        let route = Route { upstream, classify: docker, foreign: false, read_body: false };
        let (shared, own) = (Arc::clone(&self.shared), self.socket());
        std::fs::remove_file(&own).ok();
        let _inside = self.runtime.enter();
        let listener = UnixListener::bind(&own).unwrap();
        let listening = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(Arc::clone(&shared), route.clone(), stream));
            }
        });
        *self.listening.lock().unwrap() = Some(listening.abort_handle());
        format!("unix://{}", own.display())
    }

    /// The engine is gone until [`Proxy::docker`] brings it back: connections break, and new ones are
    /// refused. The socket stays, as a crashed engine leaves it.
    pub fn take_docker_away(&self) {
        if let Some(listening) = self.listening.lock().unwrap().take() {
            listening.abort();
        }
        eventually("a refusal", || std::os::unix::net::UnixStream::connect(self.socket()).is_err());
        self.shared.troubles.after_the_kill();
    }

    fn socket(&self) -> PathBuf {
        self.folder.path().join("docker.sock")
    }

    /// A port before a server of the agent's; its URL.
    pub fn http(&self, upstream: &str, classify: Classify) -> String {
        let address = upstream.trim_start_matches("http://").to_owned();
        let route = Route { upstream: Upstream::Tcp(address), classify, foreign: false, read_body: true };
        format!("http://{}", self.listen(route))
    }

    /// A port before the registry, which the engine talks to; `host:port`.
    pub fn registry(&self, upstream: &str, classify: Classify) -> String {
        let upstream = Upstream::Tcp(upstream.to_owned());
        self.listen(Route { upstream, classify, foreign: true, read_body: false }).to_string()
    }

    /// A port before the database on the address that containers reach. Their
    /// connections pass; the agent's count.
    pub fn database(&self, host: &str, port: u16) -> u16 {
        let listener = self.bind(host);
        let own = listener.local_addr().unwrap().port();
        let upstream = format!("{host}:{port}");
        let shared = Arc::clone(&self.shared);
        self.runtime.spawn(async move {
            while let Ok((client, peer)) = listener.accept().await {
                let (shared, upstream) = (Arc::clone(&shared), upstream.clone());
                // Only an address of this machine can be bound.
                if std::net::TcpListener::bind((peer.ip(), 0)).is_ok() {
                    tokio::spawn(async move {
                        shared
                            .troubles
                            .until_killed(questions(&shared.ledger, &shared.troubles, client, &upstream))
                            .await;
                    });
                } else {
                    tokio::spawn(async move {
                        let (mut client, mut server) = (client, TcpStream::connect(upstream).await?);
                        copy_bidirectional(&mut client, &mut server).await
                    });
                }
            }
        });
        own
    }

    /// Marks blobs of the registry so that requests for them are counted.
    pub fn label(&self, what: &str, label: &str) {
        self.shared.labels.lock().unwrap().set(what, label);
    }

    /// Counts from here on, and halts where it is told to.
    pub fn count(&self, halt: Option<Halt>) {
        *self.shared.ledger() = Ledger::new(halt);
        self.forget();
    }

    /// Every point that has been passed since counting began, in order.
    pub fn seen(&self) -> Vec<Seen> {
        self.shared.ledger().seen().to_vec()
    }

    /// The agent is dead: its connections close, its next life is let through.
    pub fn after_the_kill(&self) {
        self.shared.ledger().uncut();
        self.shared.troubles.after_the_kill();
    }

    fn listen(&self, route: Route) -> SocketAddr {
        let listener = self.bind("127.0.0.1");
        let address = listener.local_addr().unwrap();
        let shared = Arc::clone(&self.shared);
        self.runtime.spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(Arc::clone(&shared), route.clone(), stream));
            }
        });
        address
    }

    fn bind(&self, host: &str) -> TcpListener {
        let listener = std::net::TcpListener::bind((host, 0)).unwrap();
        listener.set_nonblocking(true).unwrap();
        let _inside = self.runtime.enter();
        TcpListener::from_std(listener).unwrap()
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        let (stop, thread) = self.running.take().unwrap();
        stop.send(()).ok();
        thread.join().ok();
    }
}

impl Shared {
    fn ledger(&self) -> MutexGuard<'_, Ledger> {
        self.ledger.lock().unwrap()
    }
}

async fn serve<T>(shared: Arc<Shared>, route: Route, stream: T)
where
    T: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let (foreign, held) = (route.foreign, Arc::clone(&shared));
    let service = service_fn(move |request| forward(Arc::clone(&shared), route.clone(), request));
    let connection =
        hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service);
    let connection = connection.with_upgrades();
    if foreign {
        connection.await.ok();
    } else {
        held.troubles.until_killed(connection).await;
    }
}

async fn forward(
    shared: Arc<Shared>,
    route: Route,
    request: Request<Incoming>,
) -> Result<Response<Body>, Failure> {
    let (mut head, body) = request.into_parts();
    let upgrade = head.extensions.remove::<hyper::upgrade::OnUpgrade>();
    let body: Body = if route.read_body {
        let bytes = body.collect().await?.to_bytes();
        head.extensions.insert(bytes.clone());
        whole(bytes)
    } else {
        body.boxed()
    };
    let small = head.extensions.remove::<Bytes>().unwrap_or_default();
    if !route.foreign && shared.ledger().is_cut() {
        std::future::pending::<()>().await;
    }
    let kind = {
        let mut labels = shared.labels.lock().unwrap();
        let kind = (route.classify)(&labels, &head.method, &head.uri, &head.headers, &small);
        kind.map(|kind| labels.numbered(kind))
    };
    let halt = kind.as_ref().and_then(|kind| shared.ledger().arrive(kind));
    let trouble = kind.as_ref().and_then(|kind| shared.troubles.meets(&kind.name));
    if let Some(Trouble::Refused(status)) = trouble {
        body.collect().await?;
        return Ok(failure(status));
    }
    let halts = |moment| halt == Some(moment) || trouble == Some(Trouble::Held(moment));
    if halts(Moment::Before) {
        shared.troubles.halt(route.foreign).await;
    }
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(route.upstream.connect().await?)).await?;
    tokio::spawn(connection.with_upgrades());
    let mut response = sender.send_request(Request::from_parts(head, body)).await?;
    if halts(Moment::Begun) {
        shared.troubles.halt(route.foreign).await;
    }
    if response.status() == StatusCode::SWITCHING_PROTOCOLS {
        let server = hyper::upgrade::on(&mut response).await?;
        let client = upgrade.ok_or("an upgrade that nobody asked for")?;
        tokio::spawn(async move {
            let carried = async {
                let (mut client, mut server) = (TokioIo::new(client.await?), TokioIo::new(server));
                copy_bidirectional(&mut client, &mut server).await?;
                Ok::<_, Failure>(())
            };
            shared.troubles.until_killed(carried).await;
        });
        return Ok(response.map(|_| Empty::new().map_err(impossible).boxed()));
    }
    let names = kind.and_then(|kind| kind.creates);
    let disowned = if let Some(Trouble::Disowned(status)) = trouble { Some(status) } else { None };
    if names.is_none() && !halts(Moment::After) && disowned.is_none() {
        return Ok(response.map(|body| body.boxed()));
    }
    let (head, body) = response.into_parts();
    let bytes = body.collect().await?.to_bytes();
    if let Some(label) = names {
        shared.labels.lock().unwrap().learn(&bytes, &label);
    }
    if halts(Moment::After) {
        shared.troubles.halt(route.foreign).await;
    }
    Ok(disowned.map_or_else(|| Response::from_parts(head, whole(bytes)), failure))
}

fn failure(status: u16) -> Response<Body> {
    let answer = Response::builder().status(status).header("content-type", "application/json");
    answer.body(whole(serde_json::json!({"message": WORDS}).to_string().into())).unwrap()
}

fn whole(bytes: Bytes) -> Body {
    Full::new(bytes).map_err(impossible).boxed()
}

fn impossible(never: Infallible) -> hyper::Error {
    match never {}
}
