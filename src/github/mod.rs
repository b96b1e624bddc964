//! The source tarball of a commit and its way into a build context.
//!
//! [`fetch`] downloads the tarball into an unlinked file and checks all of it
//! before anything reaches Docker; [`Archive::context`] then streams it, with
//! its top folder stripped, as the tar that a build takes. Memory stays flat:
//! the archive is only ever read as a stream.

mod archive;
mod context;
mod download;
mod error;
mod ignore;
mod members;

use std::path::Path;
use std::time::Duration;

use secrecy::SecretString;

pub use archive::Archive;
pub use download::Progress;
pub use error::SourceError;

use crate::retry::{self, GaveUp, Policy, Verdict};

/// What to build from.
#[derive(Debug, Clone)]
pub struct Request {
    /// API root, `https://api.github.com` or `https://HOST/api/v3`.
    pub api_url: String,
    /// `owner/name`.
    pub repository: String,
    /// Commit, tag or branch. A full commit id is held against the one that the archive names.
    pub reference: String,
    /// API token; `None` is anonymous.
    pub token: Option<SecretString>,
    /// Folder inside the repository, `.` for its root.
    pub context: String,
    /// Dockerfile, relative to the context.
    pub dockerfile: String,
}

/// How much and how long; the defaults are the policy.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Tries of the whole download with its check, and `total`, the caller's deadline.
    pub retry: Policy,
    /// Time for a TCP and TLS connection.
    pub connect: Duration,
    /// Longest time without a byte.
    pub stall: Duration,
    /// Bytes of the compressed archive.
    pub compressed: u64,
    /// Bytes of the archive once unpacked.
    pub unpacked: u64,
    /// Entries in the archive.
    pub entries: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            retry: Policy {
                tries: 3,
                first: Duration::from_secs(1),
                max: Duration::from_secs(30),
                total: Duration::from_secs(15 * 60),
            },
            connect: Duration::from_secs(10),
            stall: Duration::from_secs(60),
            // The spool shares an 8 GiB root volume, the instance default, with Docker's images.
            compressed: 512 << 20,
            unpacked: 4 << 30,
            // The Linux kernel has about 90,000 files.
            entries: 200_000,
        }
    }
}

/// Downloads the tarball of `request` into an unlinked file in `spool` and checks it.
///
/// # Errors
/// Whatever is wrong with the request, the way, the answer or the archive, by
/// what can be done about it: see [`SourceError`].
pub async fn fetch(
    request: &Request,
    spool: &Path,
    limits: &Limits,
    mut progress: impl FnMut(Progress),
) -> Result<Archive, GaveUp<SourceError>> {
    let mut attempts = 1;
    let tarball = download::Tarball::new(request, limits).map_err(|error| GaveUp { error, attempts })?;
    let tries = retry::run(limits.retry, async |attempt| {
        attempts = attempt;
        let archive = async {
            let file = tarball.download(spool, &mut progress).await?;
            Archive::inspect(file, request, limits).await
        };
        archive.await.map_err(SourceError::into_verdict)
    });
    let tried = tokio::time::timeout(limits.retry.total, tries).await;
    match tried {
        Ok(result) => result.map(|(archive, _)| archive),
        Err(_) => Err(GaveUp { error: SourceError::TimedOut { after: limits.retry.total }, attempts }),
    }
}

impl SourceError {
    /// Whether a new download can help.
    fn into_verdict(self) -> Verdict<Self> {
        match self {
            Self::RateLimited { wait, .. } => Verdict::After(self, wait),
            Self::Unreachable { .. }
            | Self::Stalled { .. }
            | Self::Server { .. }
            // A proxy's error page passes; so does damage on the way.
            | Self::NotAnArchive { .. }
            | Self::Corrupt { .. } => Verdict::Again(self),
            _ => Verdict::Final(self),
        }
    }
}
