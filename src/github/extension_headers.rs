//! Extension headers of a tar: long names, long links, and the commit that `git archive` leaves.
//!
//! They are read here rather than by the tar crate, which takes them into memory whatever their size.

use std::io::{self, Read};

use tar::{Entry, EntryType, PaxExtensions};

use super::error::{SourceError, corrupt};

/// An extension header holds a path, a link target and little else.
const EXTENSION_MAX: u64 = 64 * 1024;

/// Names too long for a header, carried by extension entries before their member.
#[derive(Default)]
pub(super) struct Extension {
    pub(super) path: Option<Vec<u8>>,
    pub(super) link: Option<Vec<u8>>,
}

impl Extension {
    /// Takes an extension entry; `false` if `kind` is none.
    pub(super) fn take(
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

/// The content of an extension entry, as far as an honest one goes.
pub(super) fn read_extension<R: Read>(
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
pub(super) fn commit_of(records: &[u8]) -> Option<String> {
    let comment = PaxExtensions::new(records).flatten().find(|record| record.key_bytes() == b"comment")?;
    let id = comment.value().ok()?;
    is_commit_id(id).then(|| id.to_ascii_lowercase())
}

/// Whether a text is a full commit id (SHA-1 or SHA-256).
pub(super) fn is_commit_id(text: &str) -> bool {
    matches!(text.len(), 40 | 64) && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}
