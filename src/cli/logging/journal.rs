//! The journal's native protocol over its datagram socket
//! (<https://systemd.io/JOURNAL_NATIVE_PROTOCOL>), without ever waiting for
//! the journal: one that hangs has a full queue, and the line is dropped.

use std::fmt::{Debug, Write as _};
use std::io;
use std::os::unix::net::UnixDatagram;
use std::sync::atomic::{AtomicU64, Ordering};

use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::layer::{Context, Layer};

/// Where the journal listens, on every system that has one.
const SOCKET: &str = "/run/systemd/journal/socket";

/// Longest value of a field; one datagram must hold the entry (212,992 bytes by default).
const VALUE_MAX: usize = 16 * 1024;

/// The log's way to the journal.
#[derive(Debug)]
pub(super) struct Journal {
    socket: UnixDatagram,
    dropped: AtomicU64,
}

impl Journal {
    /// # Errors
    /// The system gives no socket, or there is no journal.
    pub(super) fn open() -> io::Result<Self> {
        std::fs::metadata(SOCKET)?;
        let socket = UnixDatagram::unbound()?;
        socket.set_nonblocking(true)?;
        Ok(Self { socket, dropped: AtomicU64::new(0) })
    }

    /// Addressed each time, so that a journal that was started anew is found.
    fn send(&self, entry: &Entry) -> bool {
        self.socket.send_to(&entry.bytes, SOCKET).is_ok()
    }
}

impl<S: Subscriber> Layer<S> for Journal {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let dropped = self.dropped.load(Ordering::Relaxed);
        if dropped > 0 {
            let mut report = Entry::new(Level::WARN);
            report.put("MESSAGE", &format!("{dropped} lines of the log were lost"));
            if !self.send(&report) {
                self.dropped.store(dropped + 1, Ordering::Relaxed);
                return;
            }
        }
        let mut entry = Entry::new(*event.metadata().level());
        entry.put("TARGET", event.metadata().target());
        event.record(&mut entry);
        self.dropped.store(u64::from(!self.send(&entry)), Ordering::Relaxed);
    }
}

/// One entry, as the protocol wants it.
struct Entry {
    bytes: Vec<u8>,
}

impl Entry {
    fn new(level: Level) -> Self {
        let mut entry = Self { bytes: Vec::with_capacity(512) };
        // syslog(3): err, warning, info, debug.
        let priority = match level {
            Level::ERROR => "3",
            Level::WARN => "4",
            Level::INFO => "6",
            Level::DEBUG | Level::TRACE => "7",
        };
        entry.put("PRIORITY", priority);
        entry.put("SYSLOG_IDENTIFIER", "agent");
        entry
    }

    /// The form with a length takes any value, line breaks included.
    fn put(&mut self, name: &str, value: &str) {
        let value = &value[..value.floor_char_boundary(VALUE_MAX)];
        self.bytes.extend_from_slice(name.as_bytes());
        self.bytes.push(b'\n');
        self.bytes.extend_from_slice(&(value.len() as u64).to_le_bytes());
        self.bytes.extend_from_slice(value.as_bytes());
        self.bytes.push(b'\n');
    }

    /// The message is the journal's own field; every other one says whose it is.
    fn field(&mut self, name: &str, value: &str) {
        if name == "message" {
            return self.put("MESSAGE", value);
        }
        let letters = name.chars().map(|letter| if letter.is_ascii_alphanumeric() { letter } else { '_' });
        let name: String = letters.collect();
        self.put(&format!("AGENT_{}", name.to_ascii_uppercase()), value);
    }
}

impl Visit for Entry {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.field(field.name(), value);
    }

    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        let mut text = String::new();
        if write!(text, "{value:?}").is_ok() {
            self.field(field.name(), &text);
        }
    }
}
