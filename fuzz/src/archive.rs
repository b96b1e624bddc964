//! Source tarballs: what reaches Docker lies in the context, is a file, a folder
//! or a link that stays inside, and is no more than the limits allow.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{Read as _, Seek as _, Write as _};
use std::os::unix::ffi::OsStrExt as _;

use flate2::Compression;
use flate2::write::GzEncoder;
use futures_util::StreamExt as _;
use preview_agent::github::{Archive, Limits, Request, SourceError};
use tar::EntryType;

use super::{block_on, fit_to_show};

const UNPACKED: u64 = 1 << 20;
const ENTRIES: u64 = 200;

/// The first byte chooses the context and whether the rest is a gzip file
/// already; else it is a tar whose checksums are set right here, which no
/// mutation would hit upon.
pub fn check(data: &[u8]) {
    let Some((choice, rest)) = data.split_first() else { return };
    let mut bytes = rest.to_vec();
    if choice & 1 == 0 {
        mend_checksums(&mut bytes);
        let mut gzip = GzEncoder::new(Vec::new(), Compression::none());
        gzip.write_all(&bytes).unwrap();
        bytes = gzip.finish().unwrap();
    }
    let context = if choice & 2 == 0 { "." } else { "api" };
    let request = Request {
        api_url: String::new(),
        repository: "acme/api".into(),
        reference: "main".into(),
        token: None,
        context: context.into(),
        dockerfile: "Dockerfile".into(),
    };
    let limits = Limits { unpacked: UNPACKED, entries: ENTRIES, ..Limits::default() };
    block_on(async {
        match Archive::inspect(spool(&bytes), &request, &limits).await {
            Ok(archive) => sent(&archive).await,
            Err(error) => refused(&error),
        }
    });
}

/// In memory where the system allows it: the disk is not what is tried here.
fn spool(bytes: &[u8]) -> File {
    let mut file = tempfile::tempfile_in("/dev/shm").or_else(|_| tempfile::tempfile()).unwrap();
    file.write_all(bytes).unwrap();
    file.rewind().unwrap();
    file
}

/// Sets the checksum of every header where a reader would look for one.
fn mend_checksums(tar: &mut [u8]) {
    let mut at = 0_usize;
    while let Some(block) = tar.get_mut(at..at.saturating_add(512)) {
        let header = tar::Header::from_byte_slice(block).clone();
        let mut mended = header.clone();
        mended.set_cksum();
        if block.iter().any(|byte| *byte != 0) {
            block.copy_from_slice(mended.as_bytes());
        }
        let size = usize::try_from(header.entry_size().unwrap_or(0)).unwrap_or(usize::MAX);
        at = at.saturating_add(512).saturating_add(size.saturating_add(511) & !511);
    }
}

fn refused(error: &SourceError) {
    assert!(!matches!(error, SourceError::Spool(_) | SourceError::Client(_)), "{error:?}");
    fit_to_show(&error.to_string(), 4096);
}

async fn sent(archive: &Archive) {
    let mut stream = std::pin::pin!(archive.context());
    let mut tar = Vec::new();
    while let Some(chunk) = stream.next().await {
        // What was checked is what is sent: the second pass finds nothing new.
        tar.extend_from_slice(&chunk.unwrap_or_else(|error| panic!("the context broke off: {error}")));
        assert!(tar.len() as u64 <= 2 * UNPACKED + 4096 * ENTRIES, "{} bytes", tar.len());
    }
    let (mut count, mut dockerfile) = (0, false);
    let mut names = BTreeSet::new();
    for entry in tar::Archive::new(tar.as_slice()).entries().unwrap() {
        let mut entry = entry.unwrap();
        count += 1;
        let path = entry.path_bytes().into_owned();
        inside(&path);
        dockerfile |= path == b"Dockerfile";
        let header = entry.header();
        assert_eq!((header.uid().unwrap(), header.gid().unwrap()), (0, 0));
        let kind = header.entry_type();
        let link = entry.link_name_bytes().map(|link| link.into_owned());
        match (kind, link) {
            (EntryType::Regular, _) => {
                let size = entry.size();
                let mut content = Vec::new();
                entry.read_to_end(&mut content).unwrap();
                assert_eq!(content.len() as u64, size);
            }
            (EntryType::Directory, _) => {}
            (EntryType::Link, Some(target)) => inside(&target),
            (EntryType::Symlink, Some(target)) => {
                assert!(!target.is_empty() && !target.starts_with(b"/"), "{target:?}");
                let folders = path.split(|byte| *byte == b'/').count() - 1;
                stays(&target, folders);
            }
            other => panic!("{other:?}"),
        }
        names.insert(path);
    }
    assert!(count <= ENTRIES && dockerfile, "{count} entries: {names:?}");
}

/// Relative, without `..`, not empty, no longer than a path may be.
#[track_caller]
fn inside(path: &[u8]) {
    assert!(!path.is_empty() && path.len() <= 4096 && !path.starts_with(b"/"), "{path:?}");
    assert!(!path.contains(&0), "{path:?}");
    assert!(std::ffi::OsStr::from_bytes(path).len() == path.len());
    stays(path, 0);
}

/// Never climbs above `depth` folders.
#[track_caller]
fn stays(path: &[u8], mut depth: usize) {
    for part in path.split(|byte| *byte == b'/') {
        match part {
            b"" | b"." => {}
            b".." => depth = depth.checked_sub(1).unwrap_or_else(|| panic!("{path:?} leaves")),
            _ => depth += 1,
        }
    }
}
