//! The members of a source tarball, one by one, and what a member may be.
//!
//! Both passes read the archive through [`walk`], so what was checked is what
//! is sent. Extension headers are read here rather than by the tar crate, which
//! takes them into memory whatever their size.

use std::fs::File;
use std::io::{self, BufReader, Read};
use std::os::unix::fs::FileExt as _;
use std::sync::Arc;

use flate2::read::MultiGzDecoder;
use tar::{Entry, EntryType, PaxExtensions};

use super::SourceError;
use crate::redact::plain;

/// Linux opens no longer path (`PATH_MAX`).
const PATH_MAX: usize = 4096;

/// An extension header holds a path, a link target and little else.
const EXTENSION_MAX: u64 = 64 * 1024;

/// A member of the archive, with its top folder taken off.
pub(super) struct Member {
    /// Relative, cleaned of `.` and empty components; never empty.
    pub(super) path: Vec<u8>,
    pub(super) kind: Kind,
    pub(super) mode: u32,
    /// Seconds since 1970.
    pub(super) modified: u64,
    pub(super) size: u64,
}

/// What a member is.
pub(super) enum Kind {
    File,
    Folder,
    /// The target as it is written.
    Symlink(Vec<u8>),
    /// The target, relative to the repository.
    HardLink(Vec<u8>),
    /// Device, pipe or something a commit cannot hold.
    Other,
}

/// Reads a whole archive, handing each member and its content to `visit`.
/// Returns the commit that the archive names. `unpacked` and `entries` are limits.
///
/// # Errors
/// What `visit` returns; [`SourceError::Corrupt`], [`SourceError::TooLarge`]
/// and [`SourceError::Unsafe`] for what is wrong with the archive itself.
pub(super) fn walk(
    spool: &Spool,
    unpacked: u64,
    entries: u64,
    mut visit: impl FnMut(Member, &mut dyn Read) -> Result<(), SourceError>,
) -> Result<Option<String>, SourceError> {
    let gzip = MultiGzDecoder::new(BufReader::with_capacity(64 * 1024, spool.clone()));
    let mut archive = tar::Archive::new(Capped { inner: gzip, left: unpacked });
    let broken = |error: io::Error| match error.kind() {
        io::ErrorKind::FileTooLarge => SourceError::TooLarge { what: "bytes unpacked", limit: unpacked },
        _ => corrupt(&error),
    };
    let mut commit = None;
    let mut top: Option<Vec<u8>> = None;
    let mut extension = Extension::default();
    let mut seen = 0;
    for entry in archive.entries().map_err(broken)?.raw(true) {
        let mut entry = entry.map_err(broken)?;
        seen += 1;
        if seen > entries {
            return Err(SourceError::TooLarge { what: "entries", limit: entries });
        }
        let kind = entry.header().entry_type();
        if kind == EntryType::XGlobalHeader {
            commit = commit.or(commit_of(&read_extension(&mut entry, broken)?));
        } else if extension.take(kind, || read_extension(&mut entry, broken))? {
            // It describes the next entry.
        } else {
            let extension = std::mem::take(&mut extension);
            let name = extension.path.unwrap_or_else(|| entry.path_bytes().into_owned());
            let path = clean_path(&name)?;
            let (own_top, rest) = split_top(&path);
            if top.get_or_insert_with(|| own_top.to_vec()) != own_top {
                return Err(SourceError::Corrupt("it has more than one top folder".to_owned()));
            }
            let member = member(&entry, rest.to_vec(), extension.link, own_top).map_err(broken)?;
            if !member.path.is_empty() {
                visit(member, &mut entry)?;
            } else if !matches!(member.kind, Kind::Folder) {
                return Err(SourceError::Corrupt("it has a file beside its top folder".to_owned()));
            }
        }
    }
    // The rest proves the checksum: gzip's trailer comes last.
    io::copy(&mut archive.into_inner(), &mut io::sink()).map_err(broken)?;
    if top.is_none() {
        return Err(SourceError::Corrupt("it is empty".to_owned()));
    }
    Ok(commit)
}

fn member<R: Read>(
    entry: &Entry<'_, R>,
    path: Vec<u8>,
    long_link: Option<Vec<u8>>,
    top: &[u8],
) -> io::Result<Member> {
    let header = entry.header();
    let link =
        long_link.or_else(|| header.link_name_bytes().map(|link| link.into_owned())).unwrap_or_default();
    let kind = match header.entry_type() {
        EntryType::Regular | EntryType::Continuous => Kind::File,
        EntryType::Directory => Kind::Folder,
        EntryType::Symlink => Kind::Symlink(link),
        // Its target is a path from the archive's root.
        EntryType::Link => match link.strip_prefix(top).and_then(|rest| rest.strip_prefix(b"/")) {
            Some(rest) => Kind::HardLink(rest.to_vec()),
            None => Kind::HardLink([b"../", link.as_slice()].concat()),
        },
        _ => Kind::Other,
    };
    Ok(Member { path, kind, mode: header.mode()? & 0o7777, modified: header.mtime()?, size: entry.size() })
}

/// Names too long for a header, carried by extension entries before their member.
#[derive(Default)]
struct Extension {
    path: Option<Vec<u8>>,
    link: Option<Vec<u8>>,
}

impl Extension {
    /// Takes an extension entry; `false` if `kind` is none.
    fn take(
        &mut self,
        kind: EntryType,
        content: impl FnOnce() -> Result<Vec<u8>, SourceError>,
    ) -> Result<bool, SourceError> {
        match kind {
            EntryType::GNULongName => self.path = Some(without_nul(content()?)),
            EntryType::GNULongLink => self.link = Some(without_nul(content()?)),
            EntryType::XHeader => {
                for record in PaxExtensions::new(&content()?) {
                    let record = record.map_err(|error| corrupt(&error))?;
                    match record.key_bytes() {
                        b"path" => self.path = Some(record.value_bytes().to_vec()),
                        b"linkpath" => self.link = Some(record.value_bytes().to_vec()),
                        // Only files of 8 GiB and more, or sparse ones, need such a record.
                        b"size" | b"GNU.sparse.realsize" | b"GNU.sparse.size" => {
                            return Err(SourceError::Corrupt(
                                "it has a sparse or oversized member".to_owned(),
                            ));
                        }
                        _ => {}
                    }
                }
            }
            _ => return Ok(false),
        }
        Ok(true)
    }
}

fn read_extension<R: Read>(
    entry: &mut Entry<'_, R>,
    broken: impl Fn(io::Error) -> SourceError,
) -> Result<Vec<u8>, SourceError> {
    if entry.size() > EXTENSION_MAX {
        return Err(SourceError::Corrupt("it has an oversized extension header".to_owned()));
    }
    let mut content = Vec::new();
    entry.read_to_end(&mut content).map_err(broken)?;
    Ok(content)
}

fn without_nul(mut name: Vec<u8>) -> Vec<u8> {
    while name.last() == Some(&0) {
        name.pop();
    }
    name
}

/// The commit that `git archive` leaves in the global header.
fn commit_of(records: &[u8]) -> Option<String> {
    let comment = PaxExtensions::new(records).flatten().find(|record| record.key_bytes() == b"comment")?;
    let id = comment.value().ok()?;
    is_commit_id(id).then(|| id.to_ascii_lowercase())
}

/// Whether a text is a full commit id (SHA-1 or SHA-256).
pub(super) fn is_commit_id(text: &str) -> bool {
    matches!(text.len(), 40 | 64) && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// A path as components joined by single slashes.
///
/// # Errors
/// [`SourceError::Unsafe`] if it is absolute, holds `..` or NUL, or is too long.
fn clean_path(name: &[u8]) -> Result<Vec<u8>, SourceError> {
    let refuse = |reason: &str| Err(unsafe_member(name, reason));
    if name.len() > PATH_MAX {
        return refuse("has a path longer than 4096 bytes");
    }
    if name.contains(&0) {
        return refuse("has a NUL in its path");
    }
    if name.starts_with(b"/") {
        return refuse("has an absolute path");
    }
    let parts: Vec<&[u8]> =
        name.split(|byte| *byte == b'/').filter(|part| !matches!(*part, b"" | b".")).collect();
    if parts.contains(&b"..".as_slice()) {
        return refuse("has `..` in its path");
    }
    Ok(parts.join(&b'/'))
}

fn split_top(path: &[u8]) -> (&[u8], &[u8]) {
    match path.iter().position(|byte| *byte == b'/') {
        Some(at) => (&path[..at], &path[at + 1..]),
        None => (path, b""),
    }
}

/// The reader's words quote the archive's own bytes.
pub(super) fn corrupt(error: &io::Error) -> SourceError {
    SourceError::Corrupt(plain(&error.to_string()).into_owned())
}

pub(super) fn unsafe_member(path: &[u8], reason: &str) -> SourceError {
    // Control characters stay out of logs and terminals.
    let path = String::from_utf8_lossy(&path[..path.len().min(300)]).escape_debug().to_string();
    SourceError::Unsafe { path, reason: reason.to_owned() }
}

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
struct Capped<R> {
    inner: R,
    left: u64,
}

impl<R: Read> Read for Capped<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(buffer)?;
        self.left = self.left.checked_sub(read as u64).ok_or(io::ErrorKind::FileTooLarge)?;
        Ok(read)
    }
}
