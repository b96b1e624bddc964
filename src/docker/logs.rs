//! Container output: its end, or followed as it comes.

use std::time::Duration;

use bollard::query_parameters::LogsOptions;
use bytes::Bytes;
use futures_util::{Stream, StreamExt as _, TryStreamExt as _};
use tokio::time::timeout;

use super::{Engine, Error};

/// A finished log is read in one go; a longer silence means a stuck engine.
const STALL: Duration = Duration::from_secs(10);

impl Engine {
    /// Follows a container's output, from its beginning or its last `last` lines,
    /// until the container ends. The caller bounds it in time.
    pub fn follow_logs(
        &self,
        id: &str,
        last: Option<u32>,
    ) -> impl Stream<Item = Result<Bytes, Error>> + use<> {
        self.logs(id, last, true)
    }

    /// The last `last` lines that a container wrote, in raw chunks.
    ///
    /// # Errors
    /// Whatever the engine says, or [`Error::Timeout`] when it stalls.
    pub async fn last_logs(&self, id: &str, last: u32) -> Result<Vec<Bytes>, Error> {
        let mut chunks = Vec::new();
        let mut logs = std::pin::pin!(self.logs(id, Some(last), false));
        loop {
            match timeout(STALL, logs.next()).await {
                Ok(Some(chunk)) => chunks.push(chunk?),
                Ok(None) => return Ok(chunks),
                Err(_) => {
                    return Err(Error::Timeout { what: format!("read the logs of {id}"), after: STALL });
                }
            }
        }
    }

    fn logs(
        &self,
        id: &str,
        last: Option<u32>,
        follow: bool,
    ) -> impl Stream<Item = Result<Bytes, Error>> + use<> {
        let options = LogsOptions {
            follow,
            stdout: true,
            stderr: true,
            tail: last.map_or_else(|| "all".to_owned(), |lines| lines.to_string()),
            ..LogsOptions::default()
        };
        self.docker
            .logs(id, Some(options))
            .map_ok(bollard::container::LogOutput::into_bytes)
            .map_err(|error| Error::from_bollard("read container logs", error))
    }
}
