//! What happens to the agent's containers, as `docker events` tells it.

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::SystemTime;

use super::engine::docker;
use super::process::Own;
use super::wait::eventually;
use super::world::World;

/// The role, what happened, and the container's id.
pub type Event = (String, String, String);

/// What happens from its beginning on.
pub struct Recording {
    /// The client that listens.
    _listener: Own,
    path: PathBuf,
    /// Arguments of the docker client.
    asked: Vec<String>,
}

impl World {
    /// Writes down what happens to the agent's containers from now on.
    pub fn record(&self) -> Recording {
        let path = self.path(&format!("events-{:08x}", fastrand::u32(..)));
        let host = self.engine.iter().flat_map(|engine| ["--host".to_owned(), engine.clone()]);
        let asked = ["events", "--since", &timestamp(), "--filter", "type=container", "--filter"];
        let format =
            "{{.TimeNano}} {{index .Actor.Attributes \"preview-agent.role\"}} {{.Action}} {{.Actor.ID}}";
        let more = [self.scope_filter(), "--format".to_owned(), format.to_owned()];
        let asked: Vec<String> = host.chain(asked.map(str::to_owned)).chain(more).collect();
        let mut listening = Command::new("docker");
        listening.args(&asked).stdout(fs::File::create(&path).unwrap()).stderr(Stdio::null());
        Recording { _listener: Own(listening.spawn().unwrap()), path, asked }
    }
}

impl Recording {
    /// What happened to containers of any role until now, oldest first. The engine is asked again: it
    /// knows the last 256 events, and those that are older have come by themselves.
    pub fn all(&self) -> Vec<Event> {
        let until = timestamp();
        let asked = self.asked.iter().map(String::as_str).chain(["--until", &until]);
        events(&(self.written() + &docker(&asked.collect::<Vec<_>>())))
    }

    /// Whole lines.
    fn written(&self) -> String {
        let mut text = fs::read_to_string(&self.path).unwrap();
        text.truncate(text.rfind('\n').map_or(0, |end| end + 1));
        text
    }

    /// What happened to containers of this role: action and id, oldest first.
    pub fn of(&self, role: &str) -> Vec<(String, String)> {
        let events = self.all().into_iter().filter(|event| event.0 == role);
        events.map(|(_, action, id)| (action, id)).collect()
    }

    pub fn count(&self, role: &str, action: &str) -> usize {
        self.of(role).iter().filter(|(seen, _)| seen == action).count()
    }

    /// How many containers of this role ran at the same time at most.
    pub fn most_at_once(&self, role: &str) -> usize {
        most_at_once(&self.all(), role)
    }

    /// Waits until this has happened to a container of this role.
    pub fn wait_for(&self, role: &str, action: &str) {
        let happened = || events(&self.written()).iter().any(|event| event.0 == role && event.1 == action);
        eventually(&format!("{role} {action}"), happened);
    }
}

/// How many containers of this role ran at the same time at most.
pub fn most_at_once(events: &[Event], role: &str) -> usize {
    let mut running = BTreeSet::new();
    let mut most = 0;
    for (_, action, id) in events.iter().filter(|event| event.0 == role) {
        match action.as_str() {
            "start" => running.insert(id),
            "die" => running.remove(id),
            _ => false,
        };
        most = most.max(running.len());
    }
    most
}

/// Events by their time, each once.
fn events(text: &str) -> Vec<Event> {
    let event = |line: &str| {
        let (time, rest) = line.split_once(' ')?;
        let (role, rest) = rest.split_once(' ')?;
        // Some actions have arguments, as in `exec_create: sh -c ls`.
        let (action, id) = rest.rsplit_once(' ')?;
        Some((time.parse::<u128>().ok()?, (role.to_owned(), action.to_owned(), id.to_owned())))
    };
    let each: BTreeSet<(u128, Event)> = text.lines().filter_map(event).collect();
    each.into_iter().map(|(_, event)| event).collect()
}

/// Now, as the docker client takes it.
fn timestamp() -> String {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap();
    format!("{}.{:09}", now.as_secs(), now.subsec_nanos())
}
