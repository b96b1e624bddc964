//! The first pass: everything about an archive is known before any of it is sent.

use std::fs::File;
use std::io::Read;
use std::sync::Arc;

use super::dockerignore::Rules;
use super::error::{SourceError, corrupt, unsafe_member};
use super::extension_headers::is_commit_id;
use super::links::{join, reason_to_refuse};
use super::members::{self, Kind, Member};
use super::request::{Limits, Request};
use super::spool::Spool;

/// An ignore file longer than this is a mistake.
const IGNORE_FILE_MAX: u64 = 64 * 1024;

/// Text reaches 20:1, generated data 50:1; what exceeds this is made to fill a disk.
const RATIO_MAX: u64 = 200;

/// Below this size the ratio does not matter.
const RATIO_FROM: u64 = 64 << 20;

/// Links out of the context are only refused if they would be sent, which is
/// known when the ignore file has been read; so many are remembered until then.
const ESCAPES_MAX: usize = 100;

/// A downloaded archive that was found whole and fit to build.
pub struct Archive {
    pub(super) spool: Spool,
    pub(super) layout: Arc<Layout>,
    commit: Option<String>,
}

/// Where the build context lies in an archive, and what of it is sent.
pub(super) struct Layout {
    /// Relative to the repository, no slash at either end; empty for its root.
    context: Vec<u8>,
    /// Relative to the context.
    dockerfile: Vec<u8>,
    rules: Rules,
    pub(super) unpacked: u64,
    pub(super) entries: u64,
}

impl Archive {
    /// The commit that the archive is of, if it says so; archives of GitHub do.
    #[must_use]
    pub fn commit(&self) -> Option<&str> {
        self.commit.as_deref()
    }

    /// Reads the whole of a downloaded archive, on a thread of its own.
    ///
    /// # Errors
    /// Whatever is wrong with it: see [`SourceError`].
    pub async fn inspect(file: File, request: &Request, limits: &Limits) -> Result<Self, SourceError> {
        let (request, limits) = (request.clone(), *limits);
        tokio::task::spawn_blocking(move || inspect(file, &request, &limits))
            .await
            .map_err(|error| SourceError::Corrupt(error.to_string()))?
    }
}

impl std::fmt::Debug for Archive {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Archive").field("commit", &self.commit).finish_non_exhaustive()
    }
}

impl Layout {
    /// The member's path relative to the context, if it lies in it.
    pub(super) fn locate<'a>(&self, path: &'a [u8]) -> Option<&'a [u8]> {
        if self.context.is_empty() {
            return Some(path);
        }
        path.strip_prefix(self.context.as_slice())?.strip_prefix(b"/").filter(|rest| !rest.is_empty())
    }

    /// Whether a path of the context is sent to Docker. The Dockerfile always is: it is read from there.
    pub(super) fn sends(&self, path: &[u8]) -> bool {
        path == self.dockerfile || !self.rules.ignores(path)
    }
}

/// What the first pass finds on its way.
#[derive(Default)]
struct Findings {
    dockerfile: bool,
    /// Content of `.dockerignore` and of `<Dockerfile>.dockerignore`.
    ignore_files: [Option<String>; 2],
    /// Paths in the context, and why they may not be sent.
    escapes: Vec<(Vec<u8>, &'static str)>,
}

fn inspect(file: File, request: &Request, limits: &Limits) -> Result<Archive, SourceError> {
    let spool = Spool::new(file);
    let compressed = spool.len().map_err(SourceError::Spool)?;
    let mut layout = Layout {
        context: folder(&request.context)?,
        dockerfile: folder(&request.dockerfile)?,
        rules: Rules::default(),
        unpacked: limits.unpacked.min(RATIO_FROM.max(compressed.saturating_mul(RATIO_MAX))),
        entries: limits.entries,
    };
    let ignore_names = [b".dockerignore".to_vec(), [&layout.dockerfile[..], b".dockerignore"].concat()];
    let mut found = Findings::default();
    let commit = members::walk(&spool, layout.unpacked, layout.entries, |member, content| {
        let Some(path) = layout.locate(&member.path) else { return Ok(()) };
        found.dockerfile |= path == layout.dockerfile && !matches!(member.kind, Kind::Folder);
        if let Some(index) = ignore_names.iter().position(|name| name == path) {
            found.ignore_files[index] = Some(ignore_file(&member, content)?);
        }
        if let Some(reason) = reason_to_refuse(&member, path, |target| layout.locate(target).is_some()) {
            if found.escapes.len() == ESCAPES_MAX {
                return Err(unsafe_member(&member.path, reason));
            }
            found.escapes.push((path.to_vec(), reason));
        }
        Ok(())
    })?;
    let expected = request.reference.to_ascii_lowercase();
    if is_commit_id(&expected) && commit.as_ref() != Some(&expected) {
        return Err(SourceError::WrongCommit { expected, found: commit });
    }
    let in_repository = |path: &[u8]| join(&layout.context, path);
    if !found.dockerfile {
        let path = String::from_utf8_lossy(&in_repository(&layout.dockerfile)).into_owned();
        return Err(SourceError::DockerfileMissing { path });
    }
    // The Dockerfile's own ignore file replaces the general one.
    let [general, own] = found.ignore_files;
    let [general_name, own_name] = ignore_names;
    if let Some((name, text)) = own.map(|text| (own_name, text)).or(general.map(|text| (general_name, text)))
    {
        layout.rules = Rules::parse(&text).map_err(|(line, reason)| SourceError::IgnoreFile {
            path: String::from_utf8_lossy(&in_repository(&name)).into_owned(),
            reason: format!("line {line}: {reason}"),
        })?;
    }
    if let Some((path, reason)) = found.escapes.iter().find(|(path, _)| layout.sends(path)) {
        return Err(unsafe_member(&join(&layout.context, path), reason));
    }
    Ok(Archive { spool, layout: Arc::new(layout), commit })
}

fn ignore_file(member: &Member, content: &mut dyn Read) -> Result<String, SourceError> {
    let refuse = |reason: &str| {
        Err(SourceError::IgnoreFile {
            path: String::from_utf8_lossy(&member.path).into_owned(),
            reason: reason.to_owned(),
        })
    };
    if !matches!(member.kind, Kind::File) {
        return refuse("not a regular file");
    }
    if member.size > IGNORE_FILE_MAX {
        return refuse("longer than 64 KiB");
    }
    let mut text = Vec::new();
    content.read_to_end(&mut text).map_err(|error| corrupt(&error))?;
    Ok(String::from_utf8_lossy(&text).into_owned())
}

/// A configured path without its `.` and empty components.
fn folder(path: &str) -> Result<Vec<u8>, SourceError> {
    let parts: Vec<&str> = path.split('/').filter(|part| !matches!(*part, "" | ".")).collect();
    if path.starts_with('/') || parts.contains(&"..") {
        return Err(SourceError::Request(format!("{path} does not lie inside the repository")));
    }
    Ok(parts.join("/").into_bytes())
}
