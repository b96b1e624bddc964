//! A proxy before the Docker socket, the HTTP peers and the database. It knows
//! each request of the agent by its kind, and stops at one of them so that the
//! agent can be killed there; from then on nothing more of that agent's passes.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread::JoinHandle;
use std::time::Duration;

use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt as _, Empty, Full};
use hyper::body::{Bytes, Incoming};
use hyper::header::HeaderMap;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode, Uri};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream};
use tokio::runtime::Handle;
use tokio::sync::{oneshot, watch};

use super::kinds::{Kind, Labels, docker};
use super::ledger::{Halt, Ledger, Moment, Point, Seen};

type Body = BoxBody<Bytes, hyper::Error>;
type Failure = Box<dyn std::error::Error + Send + Sync>;
/// Tells the kind of a request from its head and, for small ones, its body; `None` passes uncounted.
pub type Classify = fn(&Labels, &Method, &Uri, &HeaderMap, &[u8]) -> Option<Kind>;

trait Io: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Io for T {}

/// What a held request waits for.
#[derive(Debug, Clone, Copy, Default)]
struct Turn {
    kills: u64,
    releases: u64,
}

struct Shared {
    ledger: Mutex<Ledger>,
    labels: Mutex<Labels>,
    halts: Sender<Point>,
    turn: watch::Sender<Turn>,
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
    halted: Receiver<Point>,
    folder: tempfile::TempDir,
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
        let (halts, halted) = channel();
        let turn = watch::Sender::default();
        let shared = Shared { ledger: Mutex::default(), labels: Mutex::default(), halts, turn };
        Self {
            runtime: handle,
            running: Some((stop, thread)),
            shared: Arc::new(shared),
            halted,
            folder: tempfile::tempdir().unwrap(),
        }
    }

    /// A socket before the engine's; what `DOCKER_HOST` takes.
    pub fn docker(&self) -> String {
        let path = self.folder.path().join("docker.sock");
        let listener = {
            let _inside = self.runtime.enter();
            UnixListener::bind(&path).unwrap()
        };
        let upstream = Upstream::Unix("/var/run/docker.sock".into());
        let route = Route { upstream, classify: docker, foreign: false, read_body: false };
        let shared = Arc::clone(&self.shared);
        self.runtime.spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(Arc::clone(&shared), route.clone(), stream));
            }
        });
        format!("unix://{}", path.display())
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
                        let turn = shared.turn.subscribe();
                        until_killed(turn, handshake(&shared, client, &upstream)).await;
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
        while self.halted.try_recv().is_ok() {}
    }

    /// Every point that has been passed since counting began, in order.
    pub fn seen(&self) -> Vec<Seen> {
        self.shared.ledger().seen().to_vec()
    }

    /// Waits a moment for the halt.
    pub fn halted(&self, patience: Duration) -> bool {
        self.halted.recv_timeout(patience).is_ok()
    }

    /// The agent is dead: its connections close, its next life is let through.
    pub fn after_the_kill(&self) {
        self.shared.ledger().uncut();
        self.shared.turn.send_modify(|turn| {
            turn.kills += 1;
            turn.releases += 1;
        });
    }

    /// The held request goes on.
    pub fn go_on(&self) {
        self.shared.turn.send_modify(|turn| turn.releases += 1);
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

    /// Tells the test that the point is reached, and waits for its word.
    async fn halt(&self, point: Point) {
        let mut turn = self.turn.subscribe();
        let kills = turn.borrow_and_update().kills;
        self.halts.send(point).ok();
        turn.changed().await.ok();
        let killed = turn.borrow().kills != kills;
        if killed {
            // The connection of a dead agent is about to be dropped.
            std::future::pending::<()>().await;
        }
    }

    /// The same for a request of the engine's, which goes on in any case.
    async fn halt_beside(&self, point: Point) {
        let mut turn = self.turn.subscribe();
        turn.borrow_and_update();
        self.halts.send(point).ok();
        turn.changed().await.ok();
    }

    async fn hold(&self, point: Point, foreign: bool) {
        if foreign { self.halt_beside(point).await } else { self.halt(point).await }
    }
}

/// Ends the work at the next kill.
async fn until_killed<T>(mut turn: watch::Receiver<Turn>, work: impl Future<Output = T>) {
    let kills = turn.borrow_and_update().kills;
    tokio::select! {
        biased;
        _ = turn.wait_for(|turn| turn.kills > kills) => {}
        _ = work => {}
    }
}

async fn serve<T>(shared: Arc<Shared>, route: Route, stream: T)
where
    T: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let (turn, foreign) = (shared.turn.subscribe(), route.foreign);
    let service = service_fn(move |request| forward(Arc::clone(&shared), route.clone(), request));
    let connection =
        hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service);
    let connection = connection.with_upgrades();
    if foreign {
        connection.await.ok();
    } else {
        until_killed(turn, connection).await;
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
    if let Some((point, Moment::Before)) = &halt {
        shared.hold(point.clone(), route.foreign).await;
    }
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(route.upstream.connect().await?)).await?;
    tokio::spawn(connection.with_upgrades());
    let mut response = sender.send_request(Request::from_parts(head, body)).await?;
    if let Some((point, Moment::Begun)) = &halt {
        shared.hold(point.clone(), route.foreign).await;
    }
    if response.status() == StatusCode::SWITCHING_PROTOCOLS {
        let server = hyper::upgrade::on(&mut response).await?;
        let client = upgrade.ok_or("an upgrade that nobody asked for")?;
        tokio::spawn(async move {
            let turn = shared.turn.subscribe();
            let Ok(client) = client.await else { return };
            let (mut client, mut server) = (TokioIo::new(client), TokioIo::new(server));
            until_killed(turn, copy_bidirectional(&mut client, &mut server)).await;
        });
        return Ok(response.map(|_| Empty::new().map_err(impossible).boxed()));
    }
    let names = kind.as_ref().and_then(|kind| kind.creates.clone());
    if names.is_none() && !matches!(halt, Some((_, Moment::After))) {
        return Ok(response.map(|body| body.boxed()));
    }
    let (head, body) = response.into_parts();
    let bytes = body.collect().await?.to_bytes();
    if let Some(label) = names {
        shared.labels.lock().unwrap().learn(&bytes, &label);
    }
    if let Some((point, Moment::After)) = halt {
        shared.hold(point, route.foreign).await;
    }
    Ok(Response::from_parts(head, whole(bytes)))
}

fn whole(bytes: Bytes) -> Body {
    Full::new(bytes).map_err(impossible).boxed()
}

fn impossible(never: Infallible) -> hyper::Error {
    match never {}
}

/// The agent's connection to the database: a question and its answer.
async fn handshake(shared: &Shared, mut client: TcpStream, upstream: &str) -> std::io::Result<()> {
    if shared.ledger().is_cut() {
        std::future::pending::<()>().await;
    }
    let halt = shared.ledger().arrive(&Kind::poll("database.connect"));
    if let Some((point, Moment::Before)) = &halt {
        shared.halt(point.clone()).await;
    }
    let mut server = TcpStream::connect(upstream).await?;
    let mut bytes = [0; 1024];
    let asked = client.read(&mut bytes).await?;
    server.write_all(&bytes[..asked]).await?;
    let answered = server.read(&mut bytes).await?;
    if let Some((point, Moment::After)) = halt {
        shared.halt(point).await;
    }
    client.write_all(&bytes[..answered]).await?;
    copy_bidirectional(&mut client, &mut server).await.map(drop)
}
