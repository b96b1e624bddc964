//! A TCP forwarder in front of a real server, so that a test can take the server away.

use std::io::{self, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;

use super::peers::peers;

/// Forwards a port of its own to a target until it is cut.
pub struct Forwarder {
    address: String,
    cut: Arc<AtomicBool>,
    sent: Arc<AtomicU64>,
}

/// A server of a test's own, on the address that containers reach.
pub fn reachable(url: &str) -> Forwarder {
    Forwarder::between(&peers().postgres_host, url.trim_start_matches("http://"))
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
        let sent = Arc::new(AtomicU64::new(0));
        let (target, flag, counter) = (target.to_owned(), Arc::clone(&cut), Arc::clone(&sent));
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                if flag.load(Ordering::SeqCst) {
                    // Dropping the listener makes the port refuse.
                    return;
                }
                if let Ok(server) = TcpStream::connect(&target) {
                    pipe(&client, &server, Arc::default());
                    pipe(&server, &client, Arc::clone(&counter));
                }
            }
        });
        Self { address, cut, sent }
    }

    /// `host:port`
    pub fn address(&self) -> &str {
        &self.address
    }

    /// Bytes that the target has sent so far.
    pub fn sent(&self) -> u64 {
        self.sent.load(Ordering::SeqCst)
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

/// Counts what passes.
struct Meter(TcpStream, Arc<AtomicU64>);

impl Write for Meter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.1.fetch_add(bytes.len() as u64, Ordering::SeqCst);
        self.0.write_all(bytes).map(|()| bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

fn pipe(from: &TcpStream, to: &TcpStream, counter: Arc<AtomicU64>) {
    let (mut from, mut to) = (from.try_clone().unwrap(), Meter(to.try_clone().unwrap(), counter));
    thread::spawn(move || {
        io::copy(&mut from, &mut to).ok();
        to.0.shutdown(Shutdown::Write).ok();
    });
}
