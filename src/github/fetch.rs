//! The download with its check, tried again where that can help.

use std::path::Path;

use super::archive::Archive;
use super::download::{Progress, Tarball};
use super::error::SourceError;
use super::request::{Limits, Request};
use crate::retry::{self, GaveUp, Verdict};

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
    let tarball = Tarball::new(request, limits).map_err(|error| GaveUp { error, attempts })?;
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
