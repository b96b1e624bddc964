//! The SSM parameter: a background task that sends the newest bytes the status
//! file held, seldom enough for the account's quota.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{Instant, timeout, timeout_at};

use crate::retry::Policy;

/// How often the parameter is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pace {
    /// Between two sends. PutParameter is limited to 3 calls a second for a
    /// whole account and region.
    pub interval: Duration,
    /// Time limit of one send.
    pub call: Duration,
    /// On top of the interval after a failure. Only the waits count: the newest
    /// bytes are tried again as long as the process lives.
    pub backoff: Policy,
}

impl Default for Pace {
    fn default() -> Self {
        let seconds = Duration::from_secs;
        let backoff = Policy { tries: u32::MAX, first: seconds(2), max: seconds(60), total: Duration::MAX };
        Self { interval: seconds(5), call: seconds(10), backoff }
    }
}

/// Why a send failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct SendError {
    /// Whether the same bytes may be taken later (throttled, unreachable);
    /// otherwise (denied, invalid) only other bytes are tried.
    pub retryable: bool,
    /// What happened, redacted.
    pub message: String,
}

/// The bytes the file holds.
#[derive(Debug, Clone)]
struct Newest {
    bytes: Arc<str>,
    /// Counts the changes that are to be sent.
    wanted: u64,
    /// Counts those that are to be sent at once.
    urgent: u64,
}

/// What has become of the sends.
#[derive(Debug, Clone, Default)]
struct Delivery {
    /// The `wanted` that was delivered or refused for good.
    settled: u64,
    /// The bytes the parameter holds; unknown while a send is under way or after it failed.
    delivered: Option<Arc<str>>,
    /// Why the last send was refused for good.
    refused: Option<String>,
}

/// A handle on the sender's task; clones share it. The task ends with the last one.
#[derive(Debug, Clone)]
pub struct Parameter {
    newest: watch::Sender<Newest>,
    delivery: watch::Receiver<Delivery>,
}

impl Parameter {
    /// Starts the task. `send` puts one document; it must be safe to repeat.
    pub fn spawn<S, F>(pace: Pace, send: S) -> Self
    where
        S: FnMut(String) -> F + Send + 'static,
        F: Future<Output = Result<(), SendError>> + Send + 'static,
    {
        let (newest, newest_rx) = watch::channel(Newest { bytes: "".into(), wanted: 0, urgent: 0 });
        let (delivery_tx, delivery) = watch::channel(Delivery::default());
        tokio::spawn(run(pace, send, newest_rx, delivery_tx));
        Self { newest, delivery }
    }

    /// The file's new bytes, to be sent when their turn comes; `urgent` is at once.
    pub(super) fn offer(&self, bytes: Arc<str>, urgent: bool) {
        self.newest.send_modify(|newest| {
            newest.bytes = bytes;
            newest.wanted += 1;
            newest.urgent += u64::from(urgent);
        });
    }

    /// The file's new bytes, which are no reason to send.
    pub(super) fn replace(&self, bytes: Arc<str>) {
        self.newest.send_modify(|newest| newest.bytes = bytes);
    }

    /// Why the parameter was refused for good, if the last send was.
    pub(super) fn refused(&self) -> Option<String> {
        self.delivery.borrow().refused.clone()
    }

    /// Sends the newest bytes at once and waits for it, at most `limit`.
    /// Returns whether the parameter holds them.
    pub(super) async fn flush(&self, limit: Duration) -> bool {
        self.newest.send_modify(|newest| {
            newest.wanted += 1;
            newest.urgent += 1;
        });
        let wanted = self.newest.borrow().wanted;
        let mut delivery = self.delivery.clone();
        match timeout(limit, delivery.wait_for(|delivery| delivery.settled >= wanted)).await {
            Ok(Ok(delivery)) => delivery.refused.is_none(),
            Ok(Err(_)) | Err(_) => false,
        }
    }
}

async fn run<S, F>(
    pace: Pace,
    mut send: S,
    mut newest: watch::Receiver<Newest>,
    delivery: watch::Sender<Delivery>,
) where
    S: FnMut(String) -> F,
    F: Future<Output = Result<(), SendError>>,
{
    let mut not_before = Instant::now();
    let mut urgent_seen = 0;
    let mut failures = 0;
    loop {
        let settled = delivery.borrow().settled;
        let Ok(wanted) = due(&mut newest, settled, urgent_seen, not_before).await else { return };
        urgent_seen = wanted.urgent;
        if delivery.borrow().delivered.as_ref() == Some(&wanted.bytes) {
            delivery.send_modify(|delivery| delivery.settled = wanted.wanted);
            continue;
        }
        delivery.send_modify(|delivery| delivery.delivered = None);
        not_before = Instant::now() + pace.interval;
        match attempt(pace.call, &mut send, &wanted.bytes).await {
            Ok(()) => {
                failures = 0;
                let delivered = Some(wanted.bytes);
                delivery.send_replace(Delivery { settled: wanted.wanted, delivered, refused: None });
            }
            Err(error) if error.retryable => {
                failures += 1;
                not_before += pace.backoff.wait(failures);
                tracing::warn!(%error, failures, "the status parameter was not written; it is tried again");
            }
            Err(error) => {
                let message = error.message;
                if delivery.borrow().refused.as_ref() != Some(&message) {
                    tracing::error!(error = message, "the status parameter is refused");
                }
                delivery.send_modify(|delivery| {
                    delivery.settled = wanted.wanted;
                    delivery.refused = Some(message);
                });
            }
        }
    }
}

/// Waits until something is to be sent and its time has come. An error means
/// that every handle is gone.
async fn due(
    newest: &mut watch::Receiver<Newest>,
    settled: u64,
    urgent_seen: u64,
    not_before: Instant,
) -> Result<Newest, watch::error::RecvError> {
    newest.wait_for(|newest| newest.wanted > settled).await?;
    let urgent = newest.wait_for(|newest| newest.urgent > urgent_seen);
    if let Ok(woken) = timeout_at(not_before, urgent).await {
        return woken.map(|newest| newest.clone());
    }
    Ok(newest.borrow_and_update().clone())
}

async fn attempt<S, F>(limit: Duration, send: &mut S, bytes: &str) -> Result<(), SendError>
where
    S: FnMut(String) -> F,
    F: Future<Output = Result<(), SendError>>,
{
    timeout(limit, send(bytes.to_owned())).await.unwrap_or_else(|_| {
        let message = format!("no answer from SSM within {} s", limit.as_secs());
        Err(SendError { retryable: true, message })
    })
}
