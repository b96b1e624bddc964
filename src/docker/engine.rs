//! The connection to the engine, seeing only the objects of one agent.

use std::time::Duration;

use bollard::{API_DEFAULT_VERSION, Docker};
use tokio::time::{Instant, sleep, timeout};

use super::credentials::url_safe_registry_auth;
use super::error::Error;
use super::labels::Scope;
use super::timeouts::{ANSWER, FIRST_ANSWER, REQUEST};

/// Between tries to connect.
const RECONNECT: Duration = Duration::from_millis(250);

/// Docker Engine 20.10 speaks API 1.41; older ones lack BuildKit by default.
const OLDEST_API: (u32, u32) = (1, 41);

/// A connection to the engine, seeing only the objects of one agent.
#[derive(Clone, Debug)]
pub struct Engine {
    pub(super) docker: Docker,
    /// Path of its socket.
    socket: String,
    pub(super) scope: Scope,
    /// The engine's architecture in Go's terms (`amd64`, `arm64`).
    pub(super) architecture: String,
}

/// Where the engine listens: the socket that `DOCKER_HOST` names, else the usual one.
#[must_use]
pub fn socket_from_env() -> String {
    let host = std::env::var("DOCKER_HOST").ok().filter(|host| !host.is_empty());
    host.unwrap_or_else(|| "unix:///var/run/docker.sock".to_owned())
}

impl Engine {
    /// Connects to a unix socket (a path, or `unix://` and a path), trying again until the
    /// engine answers or `patience` is over: at boot it comes up beside us.
    ///
    /// # Errors
    /// [`Error::Unavailable`], [`Error::Forbidden`] or [`Error::TooOld`]; at the latest 2 s
    /// after `patience` is over.
    pub async fn connect(socket: &str, scope: Scope, patience: Duration) -> Result<Self, Error> {
        if !socket.starts_with("unix://") && !socket.starts_with('/') {
            return Err(Error::Unavailable {
                message: format!("{socket} (DOCKER_HOST) is not a unix socket"),
            });
        }
        let end = Instant::now() + patience;
        loop {
            let limit = end.saturating_duration_since(Instant::now()).clamp(FIRST_ANSWER, ANSWER);
            let tried = timeout(limit, Self::try_connect(socket, &scope)).await;
            let tried = tried.unwrap_or_else(|_| Err(silent(socket, limit)));
            match tried {
                Err(Error::Unavailable { .. }) if Instant::now() + RECONNECT < end => sleep(RECONNECT).await,
                result => return result,
            }
        }
    }

    async fn try_connect(socket: &str, scope: &Scope) -> Result<Self, Error> {
        let path = socket.trim_start_matches("unix://").to_owned();
        let what = &format!("connect to {path}");
        let docker = Docker::connect_with_unix(socket, REQUEST.as_secs(), API_DEFAULT_VERSION)
            .map_err(|error| Error::from_bollard(what, error))?
            .with_request_modifier(url_safe_registry_auth);
        let version = bounded(what, docker.version()).await?;
        let api = version.api_version.unwrap_or_default();
        if parse_version(&api).is_some_and(|api| api < OLDEST_API) {
            return Err(Error::TooOld { api });
        }
        let docker = bounded(what, docker.negotiate_version()).await?;
        let architecture = version.arch.unwrap_or_default();
        Ok(Self { docker, socket: path, scope: scope.clone(), architecture })
    }

    /// Asks the engine whether it is there, for at most 10 s.
    ///
    /// # Errors
    /// [`Error::Unavailable`] and what it says.
    pub async fn ping(&self) -> Result<(), Error> {
        let what = format!("connect to {}", self.socket);
        match timeout(ANSWER, self.docker.ping()).await {
            Ok(answer) => answer.map(drop).map_err(|error| Error::from_bollard(&what, error)),
            Err(_) => Err(silent(&self.socket, ANSWER)),
        }
    }

    /// The client, for the build, which needs its own time limit.
    #[must_use]
    pub fn client(&self) -> &Docker {
        &self.docker
    }

    /// The objects this connection sees.
    #[must_use]
    pub fn scope(&self) -> &Scope {
        &self.scope
    }
}

fn silent(socket: &str, after: Duration) -> Error {
    Error::Unavailable { message: format!("{socket} is silent for {} s", after.as_secs()) }
}

/// A request with the deadline of plain requests.
pub(super) async fn bounded<T>(
    what: &str,
    request: impl Future<Output = Result<T, bollard::errors::Error>>,
) -> Result<T, Error> {
    match timeout(REQUEST, request).await {
        Ok(result) => result.map_err(|error| Error::from_bollard(what, error)),
        Err(_) => Err(Error::Timeout { what: what.to_owned(), after: REQUEST }),
    }
}

fn parse_version(api: &str) -> Option<(u32, u32)> {
    let (major, minor) = api.split_once('.')?;
    Some((major.parse().ok()?, minor.parse().ok()?))
}
