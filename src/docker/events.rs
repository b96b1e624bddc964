//! What happens to the agent's containers, as the engine tells it. Exit codes
//! come from here: by the time one inspects, Docker may have restarted the container.

use std::collections::VecDeque;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bollard::models::EventMessage;
use bollard::query_parameters::EventsOptions;
use futures_util::{Stream, StreamExt as _};
use tokio::sync::mpsc;
use tokio::time::{sleep, timeout};

use super::engine::Engine;
use super::labels::Role;

/// A quiet stream is opened anew after this long: a dead connection looks just as quiet.
const QUIET: Duration = Duration::from_secs(60);

/// Wait before the stream is opened again after the engine went away.
const RECONNECT: Duration = Duration::from_secs(1);

/// How far back a stream that is opened anew begins: events of several containers
/// do not always come in the order of their times.
const OVERLAP: Duration = Duration::from_secs(1);

/// Events remembered so that none is told twice; as many as the engine itself keeps (moby `daemon/events`).
const REMEMBERED: usize = 256;

/// Something that happened to a container.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// It ended with this exit code.
    Died {
        /// The container's id.
        id: String,
        /// Its exit code; 128 + n for signal n.
        code: i64,
    },
    /// The kernel killed a process of it for want of memory.
    OutOfMemory {
        /// The container's id.
        id: String,
    },
    /// It was started, by us or by Docker's restart policy.
    Started {
        /// The container's id.
        id: String,
    },
    /// It was removed.
    Removed {
        /// The container's id.
        id: String,
    },
    /// Somebody sent it a signal through Docker, after which Docker does not restart it.
    Killed {
        /// The container's id.
        id: String,
        /// The signal's number.
        signal: String,
    },
    /// The engine itself does not answer any more.
    EngineGone {
        /// Where it does not, and what the connection says.
        message: String,
    },
    /// It answers again.
    EngineBack,
}

impl Event {
    /// The id of the container it happened to, if to one.
    #[must_use]
    pub fn container(&self) -> Option<&str> {
        match self {
            Self::Died { id, .. }
            | Self::OutOfMemory { id }
            | Self::Started { id }
            | Self::Removed { id }
            | Self::Killed { id, .. } => Some(id),
            Self::EngineGone { .. } | Self::EngineBack => None,
        }
    }
}

impl Engine {
    /// The events of the agent's application containers since then. The
    /// stream survives the engine: it is opened again, with what was missed.
    pub fn events(&self, since: SystemTime) -> impl Stream<Item = Event> + use<> {
        let (sender, receiver) = mpsc::channel(64);
        let since = since.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_nanos());
        tokio::spawn(forward(self.clone(), sender, since));
        tokio_stream::wrappers::ReceiverStream::new(receiver)
    }
}

async fn forward(engine: Engine, sender: mpsc::Sender<Event>, begun: u128) {
    let mut newest = begun;
    let mut sent: VecDeque<(u128, Event)> = VecDeque::new();
    loop {
        let seen = newest.saturating_sub(OVERLAP.as_nanos()).max(begun);
        let mut filters = engine.scope.filter(Some(Role::App));
        filters.insert("type".to_owned(), vec!["container".to_owned()]);
        let since = Some(format!("{}.{:09}", seen / 1_000_000_000, seen % 1_000_000_000));
        let options = EventsOptions { since, until: None, filters: Some(filters) };
        let mut events = std::pin::pin!(engine.docker.events(Some(options)));
        while let Ok(Some(Ok(message))) = timeout(QUIET, events.next()).await {
            let at = message.time_nano.and_then(|nano| u128::try_from(nano).ok()).unwrap_or(newest);
            newest = newest.max(at);
            let Some(event) = translate(message).map(|event| (at, event)) else { continue };
            if sent.contains(&event) {
                continue;
            }
            if sent.len() == REMEMBERED {
                sent.pop_front();
            }
            sent.push_back(event.clone());
            if sender.send(event.1).await.is_err() {
                return;
            }
        }
        if !answers_again(&engine, &sender).await {
            return;
        }
    }
}

/// Waits until the engine answers, telling it where it does not at first.
/// Returns whether anybody still listens.
async fn answers_again(engine: &Engine, sender: &mpsc::Sender<Event>) -> bool {
    let mut gone = false;
    while let Err(error) = engine.ping().await {
        if !gone && sender.send(Event::EngineGone { message: error.to_string() }).await.is_err() {
            return false;
        }
        gone = true;
        tokio::select! {
            () = sender.closed() => return false,
            () = sleep(RECONNECT) => {}
        }
    }
    if gone {
        return sender.send(Event::EngineBack).await.is_ok();
    }
    // It answers, and yet the stream ended: not at once again.
    tokio::select! {
        () = sender.closed() => false,
        () = sleep(RECONNECT) => true,
    }
}

fn translate(message: EventMessage) -> Option<Event> {
    let actor = message.actor?;
    let id = actor.id?;
    let attribute = |name: &str| actor.attributes.as_ref().and_then(|all| all.get(name).cloned());
    match message.action?.as_str() {
        "die" => Some(Event::Died { id, code: attribute("exitCode")?.parse().ok()? }),
        "oom" => Some(Event::OutOfMemory { id }),
        "start" => Some(Event::Started { id }),
        "destroy" => Some(Event::Removed { id }),
        "kill" => Some(Event::Killed { id, signal: attribute("signal")? }),
        _ => None,
    }
}
