//! What systemd is told over its notification socket: ready, status,
//! reloading, stopping and the watchdog. Silent where there is no socket.

use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::sync::Arc;
use std::time::Duration;

use sd_notify::NotifyState;
use tokio::task::JoinHandle;

/// The way to the service manager; clones share it.
#[derive(Debug, Clone, Default)]
pub struct Systemd {
    socket: Option<Arc<UnixDatagram>>,
}

impl Systemd {
    /// The socket that `NOTIFY_SOCKET` names, if it does.
    #[must_use]
    pub fn from_env() -> Self {
        std::env::var("NOTIFY_SOCKET").map_or_else(|_| Self::default(), |address| Self::at(&address))
    }

    /// The socket at a path, or with a leading `@` in the abstract namespace.
    /// One that cannot be reached is logged and then as good as none.
    #[must_use]
    pub fn at(address: &str) -> Self {
        let connect = || {
            let address = match address.strip_prefix('@') {
                Some(name) => SocketAddr::from_abstract_name(name)?,
                None => SocketAddr::from_pathname(address)?,
            };
            let socket = UnixDatagram::unbound()?;
            socket.connect_addr(&address)?;
            // A full queue at the other end must not hold a deployment up.
            socket.set_nonblocking(true)?;
            Ok::<_, std::io::Error>(socket)
        };
        match connect() {
            Ok(socket) => Self { socket: Some(Arc::new(socket)) },
            Err(error) => {
                tracing::warn!(address, %error, "cannot reach systemd's notification socket");
                Self::default()
            }
        }
    }

    /// The agent is up (not: the deployment is).
    pub fn ready(&self) {
        self.send(NotifyState::Ready);
    }

    /// The line that `systemctl status` shows.
    pub fn status(&self, line: &str) {
        self.send(NotifyState::Status(line));
    }

    /// A reload has begun; [`Systemd::ready`] ends it.
    pub fn reloading(&self) {
        self.send(NotifyState::Reloading);
    }

    /// The agent is about to exit.
    pub fn stopping(&self) {
        self.send(NotifyState::Stopping);
    }

    /// Feeds the watchdog as long as the runtime turns, at half of the
    /// interval that systemd asked for; `None` if it asked for nothing.
    #[must_use]
    pub fn watchdog(&self) -> Option<JoinHandle<()>> {
        self.socket.as_ref()?;
        sd_notify::watchdog_enabled().map(|interval| self.feed_watchdog(interval))
    }

    /// Feeds the watchdog at half of `interval`.
    #[must_use]
    pub fn feed_watchdog(&self, interval: Duration) -> JoinHandle<()> {
        let systemd = self.clone();
        tokio::spawn(async move {
            let mut ticks = tokio::time::interval((interval / 2).max(Duration::from_millis(1)));
            loop {
                ticks.tick().await;
                systemd.send(NotifyState::Watchdog);
            }
        })
    }

    fn send(&self, state: NotifyState<'_>) {
        let Some(socket) = &self.socket else { return };
        if let Err(error) = socket.send(state.to_string().as_bytes()) {
            tracing::debug!(%error, "systemd did not take a notification");
        }
    }
}
