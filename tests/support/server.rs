//! An HTTP server on a thread and a runtime of its own, so that blocking tests,
//! async tests and child processes can all talk to it.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::thread::JoinHandle;

use axum::Router;
use tokio::net::TcpSocket;
use tokio::sync::oneshot;

/// Where a server listens.
#[derive(Clone)]
enum Address {
    Tcp(SocketAddr),
    Unix(PathBuf),
}

/// A server on a loopback port or a socket of its own; stopped and its thread joined on drop.
pub struct Server {
    router: Router,
    address: Address,
    running: Option<(oneshot::Sender<()>, JoinHandle<()>)>,
    /// Keeps the port while nobody listens: else somebody's connection may take it.
    kept: Option<TcpSocket>,
}

impl Server {
    /// Listens once this returns.
    pub fn start(router: Router) -> Self {
        Self::at(router, Address::Tcp((Ipv4Addr::LOCALHOST, 0).into()))
    }

    /// Listens on a unix socket once this returns.
    pub fn start_unix(router: Router, path: PathBuf) -> Self {
        Self::at(router, Address::Unix(path))
    }

    fn at(router: Router, address: Address) -> Self {
        let mut server = Self { router, address, running: None, kept: None };
        server.restart();
        server
    }

    /// As in `http://127.0.0.1:40123`.
    pub fn url(&self) -> String {
        match &self.address {
            Address::Tcp(address) => format!("http://{address}"),
            Address::Unix(path) => format!("unix://{}", path.display()),
        }
    }

    /// Closes every connection and refuses new ones.
    pub fn stop(&mut self) {
        if let Some((stop, thread)) = self.running.take() {
            stop.send(()).unwrap();
            thread.join().unwrap();
            match &self.address {
                Address::Unix(path) => std::fs::remove_file(path).unwrap(),
                Address::Tcp(address) => {
                    let socket = TcpSocket::new_v4().unwrap();
                    socket.set_reuseaddr(true).unwrap();
                    // Bound, and refused to whoever connects.
                    self.kept = socket.bind(*address).is_ok().then_some(socket);
                }
            }
        }
    }

    /// Listens again, at the same address.
    pub fn restart(&mut self) {
        self.kept = None;
        let (router, address) = (self.router.clone(), self.address.clone());
        let (stop, stopped) = oneshot::channel();
        let (listening, is_listening) = std::sync::mpsc::channel();
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async move {
                let serve = async {
                    match address {
                        Address::Tcp(address) => {
                            let listener = tokio::net::TcpListener::bind(address).await.unwrap();
                            listening.send(Address::Tcp(listener.local_addr().unwrap())).unwrap();
                            axum::serve(listener, router).await.unwrap();
                        }
                        Address::Unix(path) => {
                            let listener = tokio::net::UnixListener::bind(&path).unwrap();
                            listening.send(Address::Unix(path)).unwrap();
                            axum::serve(listener, router).await.unwrap();
                        }
                    }
                };
                tokio::select! {
                    () = serve => {}
                    _ = stopped => {}
                }
            });
            runtime.shutdown_background();
        });
        self.address = is_listening.recv().unwrap();
        self.running = Some((stop, thread));
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop();
    }
}
