//! What a reader should know though nothing failed.

/// What a note is about, where a newer one takes the place of an older one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Topic {
    /// A reload that was refused.
    Reload,
    /// The trouble that the service has left behind.
    Before,
    /// The application serves on while the engine is gone.
    EngineGone,
    /// What a job or the migration waits for.
    Waiting,
}

impl Topic {
    const fn beginning(self) -> &'static str {
        match self {
            Self::Reload => "reload refused: ",
            Self::Before => "before this: ",
            Self::EngineGone => "Docker is gone: ",
            Self::Waiting => "waiting: ",
        }
    }
}

/// The notes, oldest first.
#[derive(Debug, Clone, Default)]
pub struct Notes(Vec<(Option<Topic>, String)>);

impl Notes {
    /// Adds one that stays until the next run, once.
    pub(super) fn add(&mut self, text: String) {
        let note = (None, text);
        if !self.0.contains(&note) {
            self.0.push(note);
        }
    }

    /// Says the newest of a topic.
    pub(super) fn set(&mut self, topic: Topic, text: String) {
        self.clear(topic);
        self.0.push((Some(topic), text));
    }

    /// Forgets a topic.
    pub(super) fn clear(&mut self, topic: Topic) {
        self.0.retain(|(about, _)| *about != Some(topic));
    }

    /// The notes as the document shows them.
    pub(super) fn texts(&self) -> Vec<String> {
        let text =
            |(topic, text): &(Option<Topic>, String)| format!("{}{text}", topic.map_or("", Topic::beginning));
        self.0.iter().map(text).collect()
    }
}
