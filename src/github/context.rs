//! The second pass: the build context as a stream.

use std::ffi::OsStr;
use std::io::{self, Read, Write};
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

use bytes::{Bytes, BytesMut};
use futures_util::{Stream, StreamExt as _, stream};
use tar::{Builder, EntryType, Header};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;

use super::archive::{Archive, Layout};
use super::error::SourceError;
use super::members::{self, Kind, Member};
use super::spool::Spool;

/// Size of a chunk of the stream, and how many may wait: what the pass holds in memory.
const CHUNK: usize = 64 * 1024;
const CHUNKS: usize = 8;

impl Archive {
    /// The build context as a tar stream: `context` is its root, ignored files
    /// are left out, owners are root. The stream ends cleanly only if all of it
    /// was sent, so that Docker never builds half a context.
    pub fn context(&self) -> impl Stream<Item = io::Result<Bytes>> + Send + 'static {
        let (spool, layout) = (self.spool.clone(), self.layout.clone());
        let (sender, receiver) = mpsc::channel(CHUNKS);
        let pass = tokio::task::spawn_blocking(move || send(&spool, &layout, sender));
        let verdict = stream::once(pass).filter_map(async |pass| match pass {
            Ok(Ok(())) => None,
            Ok(Err(error)) => Some(Err(io::Error::other(error))),
            Err(panicked) => Some(Err(io::Error::other(panicked))),
        });
        ReceiverStream::new(receiver).map(Ok).chain(verdict)
    }
}

fn send(spool: &Spool, layout: &Layout, sender: mpsc::Sender<Bytes>) -> Result<(), SourceError> {
    let mut tar = Builder::new(Chunks { sender, chunk: BytesMut::with_capacity(CHUNK) });
    members::walk(spool, layout.unpacked, layout.entries, |member, content| {
        // Nobody listens any more; an archive of ignored files would be read to its end for nothing.
        if tar.get_ref().sender.is_closed() {
            return Err(interrupted(io::ErrorKind::BrokenPipe.into()));
        }
        match layout.locate(&member.path) {
            Some(path) if layout.sends(path) => {
                append(&mut tar, layout, &member, path, content).map_err(interrupted)
            }
            _ => Ok(()),
        }
    })?;
    tar.into_inner().and_then(|mut chunks| chunks.flush()).map_err(interrupted)
}

fn interrupted(error: io::Error) -> SourceError {
    SourceError::Corrupt(format!("sending it failed: {error}"))
}

/// Appends a member under its path in the context. The header is new: git's
/// prefix field would survive in a copied one and corrupt a shortened path.
fn append(
    tar: &mut Builder<Chunks>,
    layout: &Layout,
    member: &Member,
    path: &[u8],
    content: &mut dyn Read,
) -> io::Result<()> {
    let mut header = Header::new_gnu();
    header.set_mode(member.mode);
    header.set_mtime(member.modified);
    header.set_uid(0);
    header.set_gid(0);
    header.set_size(0);
    let path = Path::new(OsStr::from_bytes(path));
    let link = |target| Path::new(OsStr::from_bytes(target));
    match &member.kind {
        Kind::File => {
            header.set_entry_type(EntryType::Regular);
            header.set_size(member.size);
            tar.append_data(&mut header, path, content)
        }
        Kind::Folder => {
            header.set_entry_type(EntryType::Directory);
            tar.append_data(&mut header, path, io::empty())
        }
        Kind::Symlink(target) => {
            header.set_entry_type(EntryType::Symlink);
            tar.append_link(&mut header, path, link(target))
        }
        Kind::HardLink(target) => {
            header.set_entry_type(EntryType::Link);
            tar.append_link(&mut header, path, link(layout.locate(target).unwrap_or_default()))
        }
        Kind::Other => Err(io::ErrorKind::Unsupported.into()),
    }
}

/// Cuts what is written into chunks and hands them over, waiting while too many are under way.
struct Chunks {
    sender: mpsc::Sender<Bytes>,
    chunk: BytesMut,
}

impl Write for Chunks {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let taken = bytes.len().min(CHUNK - self.chunk.len());
        self.chunk.extend_from_slice(&bytes[..taken]);
        if self.chunk.len() == CHUNK {
            self.flush()?;
        }
        Ok(taken)
    }

    fn flush(&mut self) -> io::Result<()> {
        let chunk = std::mem::replace(&mut self.chunk, BytesMut::with_capacity(CHUNK)).freeze();
        if chunk.is_empty() {
            return Ok(());
        }
        self.sender.blocking_send(chunk).map_err(|_| io::ErrorKind::BrokenPipe.into())
    }
}
