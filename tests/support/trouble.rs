//! Trouble with requests of a kind, planned by a test: the proxy refuses them,
//! has them carried out and says that they failed, or holds them.

use std::sync::Mutex;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration;

use tokio::sync::watch;

/// When a request is held.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Moment {
    /// It has come and is not carried out.
    Before,
    /// The answer, a stream, has begun and is not delivered.
    Begun,
    /// The answer has come in full and is not delivered.
    After,
}

/// What becomes of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trouble {
    /// It is not carried out, and this status is the answer.
    Refused(u16),
    /// It is carried out, and this status is the answer all the same.
    Disowned(u16),
    /// It waits at this moment for [`Troubles::go_on`].
    Held(Moment),
}

/// What such an answer says.
pub const WORDS: &str = "trouble that a test has planned";

/// Trouble yet to come, and the requests that are held.
pub struct Troubles {
    planned: Mutex<Vec<(String, usize, Trouble)>>,
    held: (Sender<()>, Mutex<Receiver<()>>),
    /// Kills so far; sent at a release, too, which is what a held request waits for.
    kills: watch::Sender<u64>,
}

impl Default for Troubles {
    fn default() -> Self {
        let (held, seen) = channel();
        Self { planned: Mutex::default(), held: (held, Mutex::new(seen)), kills: watch::Sender::default() }
    }
}

impl Troubles {
    /// The next requests of a kind, so many of them, meet this. `docker.delete.app` is the kind of each
    /// request that is called so or begins so: of `docker.delete.app.2`, too.
    pub fn plan(&self, kind: &str, times: usize, trouble: Trouble) {
        self.planned.lock().unwrap().push((kind.to_owned(), times, trouble));
    }

    /// Nothing more is planned; what is held stays so.
    pub fn recover(&self) {
        self.planned.lock().unwrap().clear();
    }

    /// Waits until a request is held, each of which counts once.
    pub fn halted(&self, patience: Duration) -> bool {
        self.held.1.lock().unwrap().recv_timeout(patience).is_ok()
    }

    /// What is held now goes on.
    pub fn go_on(&self) {
        self.kills.send_modify(|_| ());
    }

    /// The agent is dead: its connections close.
    pub fn after_the_kill(&self) {
        self.kills.send_modify(|kills| *kills += 1);
    }

    /// What was held is forgotten.
    pub fn forget(&self) {
        while self.halted(Duration::ZERO) {}
    }

    /// The trouble that a request of this kind meets.
    pub fn meets(&self, kind: &str) -> Option<Trouble> {
        let mut planned = self.planned.lock().unwrap();
        let (_, left, trouble) = planned.iter_mut().find(|(begins, left, _)| {
            let rest = kind.strip_prefix(begins.as_str());
            *left > 0 && rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
        })?;
        *left -= 1;
        Some(*trouble)
    }

    /// Tells the test that a request is held, and waits for its word. One of an agent that is killed
    /// meanwhile never goes on; one of the engine's outlives it.
    pub async fn halt(&self, foreign: bool) {
        let mut kills = self.kills.subscribe();
        let before = *kills.borrow_and_update();
        self.held.0.send(()).ok();
        kills.changed().await.ok();
        if *kills.borrow() != before && !foreign {
            // The connection of a dead agent is about to be dropped.
            std::future::pending::<()>().await;
        }
    }

    /// Ends the work at the next kill.
    pub async fn until_killed<T>(&self, work: impl Future<Output = T>) {
        let mut kills = self.kills.subscribe();
        let before = *kills.borrow_and_update();
        tokio::select! {
            biased;
            _ = kills.wait_for(|kills| *kills > before) => {}
            _ = work => {}
        }
    }
}
