//! A socket in front of the real engine's, so that a test can take the engine
//! away from one agent and leave it to everybody else.

use std::io;
use std::net::Shutdown;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;

const ENGINE: &str = "/var/run/docker.sock";

/// Forwards a socket of its own to the engine while it is open.
pub struct Gateway {
    path: PathBuf,
    open: Option<Open>,
}

struct Open {
    closed: Arc<AtomicBool>,
    streams: Arc<Mutex<Vec<UnixStream>>>,
}

impl Gateway {
    pub fn at(path: &Path) -> Self {
        let mut gateway = Self { path: path.to_owned(), open: None };
        gateway.open();
        gateway
    }

    /// What `DOCKER_HOST` takes.
    pub fn host(&self) -> String {
        format!("unix://{}", self.path.display())
    }

    /// The engine answers (again).
    pub fn open(&mut self) {
        let listener = UnixListener::bind(&self.path).unwrap();
        let open = Open { closed: Arc::default(), streams: Arc::default() };
        let (closed, streams) = (Arc::clone(&open.closed), Arc::clone(&open.streams));
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                if closed.load(Ordering::SeqCst) {
                    return;
                }
                let engine = UnixStream::connect(ENGINE).unwrap();
                pipe(&client, &engine);
                pipe(&engine, &client);
                streams.lock().unwrap().extend([client, engine]);
            }
        });
        self.open = Some(open);
    }

    /// Every connection breaks, and new ones are refused: the socket stays, as a crashed engine leaves it.
    pub fn close(&mut self) {
        let Some(open) = self.open.take() else { return };
        open.closed.store(true, Ordering::SeqCst);
        // Wakes the listener, which then goes.
        while UnixStream::connect(&self.path).is_ok() {
            thread::yield_now();
        }
        for stream in open.streams.lock().unwrap().drain(..) {
            stream.shutdown(Shutdown::Both).ok();
        }
    }

    /// [`Gateway::open`] after [`Gateway::close`].
    pub fn reopen(&mut self) {
        std::fs::remove_file(&self.path).unwrap();
        self.open();
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        self.close();
    }
}

fn pipe(from: &UnixStream, to: &UnixStream) {
    let (mut from, mut to) = (from.try_clone().unwrap(), to.try_clone().unwrap());
    thread::spawn(move || {
        io::copy(&mut from, &mut to).ok();
        to.shutdown(Shutdown::Write).ok();
    });
}
