//! How long runs take by a clock outside of the agent: from the start of its process, or from the
//! first status of a run that an agent begins later, to the first status that tells the run's end.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, Weak};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// How often the status is looked at.
const PACE: Duration = Duration::from_millis(50);

/// A run.
#[derive(Debug, Clone)]
pub struct Seen {
    id: Value,
    begun: Instant,
    ended: Option<Instant>,
    /// From its start to its deadline, by its own word.
    pub given: Duration,
}

impl Seen {
    /// Until it had ended, or is seen not to have.
    pub fn took(&self) -> Duration {
        self.ended.unwrap_or_else(Instant::now) - self.begun
    }
}

#[derive(Default)]
struct Notes {
    /// An agent was started that has not said anything yet.
    begun: Option<Instant>,
    runs: Vec<Seen>,
}

impl Notes {
    fn look(&mut self, status: &Value, now: Instant) {
        let run = &status["run"];
        let known = self.runs.iter_mut().find(|seen| seen.id == run["id"]);
        if known.is_none() {
            // One that a crash or a newer one has cut off has its end here.
            if let Some(before) = self.runs.last_mut() {
                before.ended.get_or_insert(now);
            }
            let at = |what: &str| OffsetDateTime::parse(run[what].as_str()?, &Rfc3339).ok();
            // A run that could not begin has no deadline.
            let given = at("deadline").map(|deadline| deadline - at("started").unwrap());
            let given = given.map(Duration::try_from).transpose().unwrap().unwrap_or_default();
            let begun = self.begun.take().unwrap_or(now);
            self.runs.push(Seen { id: run["id"].clone(), begun, ended: None, given });
        }
        if run["outcome"] != "in_progress" {
            self.runs.last_mut().unwrap().ended.get_or_insert(now);
        }
    }
}

/// Looks at a status file for as long as it lives.
pub struct Watch(Arc<Mutex<Notes>>);

impl Watch {
    pub fn of(path: PathBuf) -> Self {
        let notes = Arc::new(Mutex::new(Notes::default()));
        let watched: Weak<Mutex<Notes>> = Arc::downgrade(&notes);
        thread::spawn(move || {
            while let Some(notes) = watched.upgrade() {
                let status = std::fs::read(&path).ok().and_then(|text| serde_json::from_slice(&text).ok());
                if let Some(status) = status {
                    notes.lock().unwrap().look(&status, Instant::now());
                }
                drop(notes);
                thread::sleep(PACE);
            }
        });
        Self(notes)
    }

    /// An agent is started now.
    pub fn begin(&self) {
        self.0.lock().unwrap().begun = Some(Instant::now());
    }

    /// The runs that were seen, and the last one by its status where nobody could see it.
    pub fn runs(&self, last: &Value, now: Instant) -> Vec<Seen> {
        let mut notes = self.0.lock().unwrap();
        notes.look(last, now);
        notes.runs.clone()
    }
}
