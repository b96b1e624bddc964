//! A TCP forwarder in front of a real server, so that a test can take the server away.

use std::io;
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

/// Forwards a port of its own to a target until it is cut.
pub struct Forwarder {
    address: String,
    cut: Arc<AtomicBool>,
}

impl Forwarder {
    /// On the loopback address.
    pub fn to(target: &str) -> Self {
        Self::between("127.0.0.1", target)
    }

    /// On an address of this machine.
    pub fn between(own: &str, target: &str) -> Self {
        let listener = TcpListener::bind((own, 0)).unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let cut = Arc::new(AtomicBool::new(false));
        let (target, flag) = (target.to_owned(), Arc::clone(&cut));
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                if flag.load(Ordering::SeqCst) {
                    // Dropping the listener makes the port refuse.
                    return;
                }
                if let Ok(server) = TcpStream::connect(&target) {
                    pipe(&client, &server);
                    pipe(&server, &client);
                }
            }
        });
        Self { address, cut }
    }

    /// `host:port`
    pub fn address(&self) -> &str {
        &self.address
    }

    /// From here on connections are refused.
    pub fn cut(&self) {
        self.cut.store(true, Ordering::SeqCst);
        // Wakes the listener, which then closes.
        while TcpStream::connect(&self.address).is_ok() {
            thread::yield_now();
        }
    }
}

impl Drop for Forwarder {
    fn drop(&mut self) {
        self.cut();
    }
}

fn pipe(from: &TcpStream, to: &TcpStream) {
    let (mut from, mut to) = (from.try_clone().unwrap(), to.try_clone().unwrap());
    thread::spawn(move || {
        io::copy(&mut from, &mut to).ok();
        to.shutdown(Shutdown::Write).ok();
    });
}
