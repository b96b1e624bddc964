//! Container output: its end, or followed as it comes.

use std::time::Duration;

use bollard::container::LogOutput;
use bollard::query_parameters::LogsOptions;
use bytes::Bytes;
use futures_util::{Stream, StreamExt as _, TryStreamExt as _, stream};
use tokio::time::timeout;

use super::engine::Engine;
use super::error::Error;
use crate::redact::output::Stream as Output;

/// A piece of one of a container's outputs, which may begin and end within a line.
pub type Chunk = (Output, Bytes);

/// A finished log is read in one go; a longer silence means a stuck engine.
const STALL: Duration = Duration::from_secs(10);

/// Twice what the engine keeps of a container's output: 3 files of 10 MB.
const LAST_MAX: usize = 64 << 20;

impl Engine {
    /// Follows a container's output, from its beginning or its last `last` lines,
    /// until the container ends. The caller bounds it in time.
    pub fn follow_logs(
        &self,
        id: &str,
        last: Option<u32>,
    ) -> impl Stream<Item = Result<Chunk, Error>> + use<> {
        self.logs(id, last, true)
    }

    /// The last `last` lines that a container wrote, in raw chunks: at most [`LAST_MAX`] bytes of them.
    /// Ends with [`Error::Timeout`] when the engine stalls.
    pub fn last_logs(&self, id: &str, last: u32) -> impl Stream<Item = Result<Chunk, Error>> + use<> {
        let stalled = Error::Timeout { what: format!("read the logs of {id}"), after: STALL };
        let logs = Box::pin(self.logs(id, Some(last), false));
        stream::unfold((logs, LAST_MAX, Some(stalled)), async |(mut logs, left, stalled)| {
            let stalled = stalled.filter(|_| left > 0)?;
            match timeout(STALL, logs.next()).await {
                Ok(Some(Ok(chunk))) => {
                    let left = left.saturating_sub(chunk.1.len());
                    Some((Ok(chunk), (logs, left, Some(stalled))))
                }
                Ok(Some(error)) => Some((error, (logs, 0, None))),
                Ok(None) => None,
                Err(_) => Some((Err(stalled), (logs, 0, None))),
            }
        })
    }

    fn logs(
        &self,
        id: &str,
        last: Option<u32>,
        follow: bool,
    ) -> impl Stream<Item = Result<Chunk, Error>> + use<> {
        let options = LogsOptions {
            follow,
            stdout: true,
            stderr: true,
            tail: last.map_or_else(|| "all".to_owned(), |lines| lines.to_string()),
            ..LogsOptions::default()
        };
        self.docker
            .logs(id, Some(options))
            .map_ok(|chunk| match chunk {
                LogOutput::StdErr { message } => (Output::Err, message),
                other => (Output::Out, other.into_bytes()),
            })
            .map_err(|error| Error::from_bollard("read container logs", error))
    }
}
