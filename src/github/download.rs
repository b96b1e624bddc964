//! The download of a tarball: API, redirect to the file host, spool.

use std::fs::File;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use reqwest::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderValue, USER_AGENT};
use reqwest::{Client, Response, Url, redirect};
use secrecy::ExposeSecret as _;
use tokio::io::AsyncWriteExt as _;
use tokio::time::timeout;

use super::api_errors::{describe, header, refusal};
use super::error::SourceError;
use super::request::{Limits, Request};

/// GitHub needs one redirect, from the API to the file host.
const REDIRECTS_MAX: usize = 5;

/// Bytes of the compressed tarball.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    /// Downloaded by this try.
    pub bytes: u64,
    /// In all; GitHub makes the archive as it sends it and seldom says.
    pub total: Option<u64>,
}

/// A tarball that can be downloaded.
pub(super) struct Tarball<'a> {
    request: &'a Request,
    limits: &'a Limits,
    client: Client,
    url: Url,
    asked: Asked,
    headers: HeaderMap,
}

/// The host that was asked last. An error of the client names the first one
/// only, and after a redirect it is another's fault.
#[derive(Clone, Default)]
struct Asked(Arc<Mutex<String>>);

impl Asked {
    fn note(&self, url: &Url) {
        url.host_str()
            .unwrap_or_default()
            .clone_into(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner));
    }

    fn host(&self) -> String {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl<'a> Tarball<'a> {
    pub(super) fn new(request: &'a Request, limits: &'a Limits) -> Result<Self, SourceError> {
        let mut url = Url::parse(&request.api_url)
            .map_err(|error| SourceError::Request(format!("{}: {error}", request.api_url)))?;
        url.path_segments_mut()
            .map_err(|()| SourceError::Request(format!("{} cannot be an API root", request.api_url)))?
            .pop_if_empty()
            .push("repos")
            .extend(request.repository.split('/'))
            .extend(["tarball", &request.reference]);
        let mut headers = HeaderMap::new();
        headers.insert(
            USER_AGENT,
            HeaderValue::from_static(concat!("preview-agent/", env!("CARGO_PKG_VERSION"))),
        );
        headers.insert(ACCEPT, HeaderValue::from_static("application/vnd.github+json"));
        if let Some(token) = &request.token {
            let mut value =
                HeaderValue::try_from(format!("Bearer {}", token.expose_secret())).map_err(|_| {
                    SourceError::Request("the token holds a line break or control character".into())
                })?;
            value.set_sensitive(true);
            headers.insert(AUTHORIZATION, value);
        }
        let asked = Asked::default();
        let last = asked.clone();
        let client = Client::builder()
            .connect_timeout(limits.connect)
            .redirect(redirect::Policy::custom(move |attempt| {
                last.note(attempt.url());
                follow(attempt)
            }))
            .build()
            .map_err(|error| SourceError::Client(describe(error)))?;
        Ok(Self { request, limits, client, url, asked, headers })
    }

    /// One try: the tarball in an unlinked file in `folder`.
    pub(super) async fn download(
        &self,
        folder: &Path,
        progress: &mut impl FnMut(Progress),
    ) -> Result<File, SourceError> {
        let stalled = |bytes| SourceError::Stalled { after: self.limits.stall, bytes };
        self.asked.note(&self.url);
        let sent = self.client.get(self.url.clone()).headers(self.headers.clone()).send();
        let response = timeout(self.limits.stall, sent)
            .await
            .map_err(|_| stalled(0))?
            .map_err(|error| self.unreachable(error))?;
        if !response.status().is_success() {
            return Err(refusal(self.request, response, self.limits.stall).await);
        }
        self.spool(response, folder, progress, stalled).await
    }

    async fn spool(
        &self,
        mut response: Response,
        folder: &Path,
        progress: &mut impl FnMut(Progress),
        stalled: impl Fn(u64) -> SourceError,
    ) -> Result<File, SourceError> {
        let limit = self.limits.compressed;
        let total = response.content_length();
        let too_large = SourceError::TooLarge { what: "bytes", limit };
        if total.is_some_and(|total| total > limit) {
            return Err(too_large);
        }
        let file = tempfile::tempfile_in(folder).map_err(SourceError::Spool)?;
        let mut writer = tokio::io::BufWriter::with_capacity(256 * 1024, tokio::fs::File::from_std(file));
        let mut bytes = 0;
        let mut start = Vec::with_capacity(GZIP_MAGIC.len());
        loop {
            let next = timeout(self.limits.stall, response.chunk()).await.map_err(|_| stalled(bytes))?;
            let Some(chunk) = next.map_err(|error| self.unreachable(error))? else { break };
            if start.len() < GZIP_MAGIC.len() {
                start.extend(chunk.iter().take(GZIP_MAGIC.len() - start.len()));
                if !GZIP_MAGIC.starts_with(&start) {
                    return Err(not_an_archive(response.headers()));
                }
            }
            bytes += chunk.len() as u64;
            if bytes > limit {
                return Err(too_large);
            }
            writer.write_all(&chunk).await.map_err(SourceError::Spool)?;
            progress(Progress { bytes, total });
        }
        if bytes == 0 {
            return Err(not_an_archive(response.headers()));
        }
        writer.flush().await.map_err(SourceError::Spool)?;
        Ok(writer.into_inner().into_std().await)
    }

    fn unreachable(&self, error: reqwest::Error) -> SourceError {
        SourceError::Unreachable { host: self.asked.host(), message: describe(error) }
    }
}

/// The first bytes of every gzip file (RFC 1952, section 2.3.1).
const GZIP_MAGIC: [u8; 2] = [0x1f, 0x8b];

fn not_an_archive(headers: &HeaderMap) -> SourceError {
    let content_type =
        header(headers, CONTENT_TYPE.as_str()).unwrap_or("of no stated type").chars().take(100);
    SourceError::NotAnArchive { content_type: content_type.collect() }
}

/// Follows GitHub to its file host; the client takes the token off when the host changes.
fn follow(attempt: redirect::Attempt<'_>) -> redirect::Action {
    let from_https = attempt.previous().first().is_some_and(|first| first.scheme() == "https");
    if attempt.previous().len() > REDIRECTS_MAX {
        attempt.error("too many redirects")
    } else if from_https && attempt.url().scheme() != "https" {
        attempt.error("redirected from https to an unencrypted address")
    } else {
        attempt.follow()
    }
}
