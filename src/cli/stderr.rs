//! Standard error, written to only as far as it takes the bytes at once: a
//! pipe that nobody reads is full after 64 KiB and would stop the only thread.

use std::io::{self, Write};
use std::os::fd::AsFd as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use tracing_subscriber::fmt::MakeWriter;

/// A pipe that can be written to takes this many bytes without waiting (`PIPE_BUF`, pipe(7)).
const PIECE: usize = 4096;

/// What is said at the end of a command may wait this long for its reader.
const PATIENCE: Timespec = Timespec { tv_sec: 1, tv_nsec: 0 };

/// The log's way to stderr: drops what is not taken, and says how much that
/// was as soon as something is taken again.
#[derive(Debug, Clone, Default)]
pub(super) struct Lossy {
    dropped: Arc<AtomicU64>,
}

impl<'a> MakeWriter<'a> for Lossy {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

impl Write for Lossy {
    /// One line of the log. Never fails: the subscriber would complain on
    /// stderr, which panics where stderr is what failed.
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        let dropped = self.dropped.load(Ordering::Relaxed);
        let reported = dropped == 0 || put(format!("{dropped} lines of the log were lost\n").as_bytes(), NOW);
        if reported && put(line, NOW) {
            self.dropped.store(0, Ordering::Relaxed);
        } else {
            self.dropped.store(dropped + 1, Ordering::Relaxed);
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

const NOW: Timespec = Timespec { tv_sec: 0, tv_nsec: 0 };

/// Writes what a command ends with, for a reader that may be slow but not gone.
pub(super) fn write_patiently(line: &str) {
    put(line.as_bytes(), PATIENCE);
}

/// Whether all of it was taken, each piece within `patience`.
fn put(bytes: &[u8], patience: Timespec) -> bool {
    let mut stderr = io::stderr().lock();
    bytes.chunks(PIECE).all(|piece| {
        let ready = {
            let mut fds = [PollFd::from_borrowed_fd(stderr.as_fd(), PollFlags::OUT)];
            poll(&mut fds, Some(&patience)).is_ok_and(|ready| ready > 0)
        };
        ready && stderr.write_all(piece).is_ok()
    })
}
