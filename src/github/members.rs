//! The members of a source tarball, one by one, and what a member may be.
//!
//! Both passes read the archive through [`walk`], so what was checked is what
//! is sent.

use std::io::{self, BufReader, Read};

use flate2::read::MultiGzDecoder;
use tar::{Entry, EntryType};

use super::error::{SourceError, corrupt, unsafe_member};
use super::extension_headers::{Extension, commit_of, read_extension};
use super::spool::{Capped, Spool};

/// Linux opens no longer path (`PATH_MAX`).
const PATH_MAX: usize = 4096;

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
