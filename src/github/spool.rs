//! The downloaded file, and the bound on what comes out of it unpacked.

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::FileExt as _;
use std::sync::Arc;

/// The downloaded file, read from its start by every pass independently.
#[derive(Clone)]
pub(super) struct Spool {
    file: Arc<File>,
    at: u64,
}

impl Spool {
    pub(super) fn new(file: File) -> Self {
        Self { file: Arc::new(file), at: 0 }
    }

    /// Length in bytes.
    pub(super) fn len(&self) -> io::Result<u64> {
        self.file.metadata().map(|metadata| metadata.len())
    }
}

impl Read for Spool {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.file.read_at(buffer, self.at)?;
        self.at += read as u64;
        Ok(read)
    }
}

/// Fails rather than yield more than `left` bytes.
pub(super) struct Capped<R> {
    pub(super) inner: R,
    pub(super) left: u64,
}

impl<R: Read> Read for Capped<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(buffer)?;
        self.left = self.left.checked_sub(read as u64).ok_or(io::ErrorKind::FileTooLarge)?;
        Ok(read)
    }
}
