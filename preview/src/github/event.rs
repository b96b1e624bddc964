//! Reads an event's file and decides what to do.

use serde::Deserialize;

use crate::names::Repository;

/// What an event asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Intent {
    /// Launch a preview of this commit.
    Up {
        /// Its number.
        number: u64,
        /// The head commit at the time of the event.
        sha: String,
    },
    /// Remove the preview of this pull request.
    Down {
        /// Its number.
        number: u64,
        /// Whether somebody removed its label; it may be open then.
        unlabeled: bool,
    },
    /// Remove what closed pull requests left behind.
    Sweep,
    /// Do nothing, for this reason.
    Skip(String),
}

/// The parts of a GitHub event that matter here. A re-run has the payload of the first run, so its facts about the
/// pull request may be old.
#[derive(Debug, Clone, Default, Deserialize)]
pub struct Event {
    #[serde(default)]
    action: String,
    #[serde(default)]
    pull_request: Option<Payload>,
    #[serde(default)]
    label: Option<Label>,
}

#[derive(Debug, Clone, Deserialize)]
struct Payload {
    number: u64,
    #[serde(default)]
    state: Option<String>,
    head: Head,
    #[serde(default)]
    user: Option<User>,
    #[serde(default)]
    labels: Vec<Label>,
}

#[derive(Debug, Clone, Deserialize)]
struct Head {
    #[serde(default)]
    sha: String,
    /// `null` where the fork is gone.
    repo: Option<Repo>,
}

#[derive(Debug, Clone, Deserialize)]
struct Repo {
    full_name: String,
}

#[derive(Debug, Clone, Deserialize)]
struct User {
    #[serde(default)]
    login: String,
}

#[derive(Debug, Clone, Deserialize)]
struct Label {
    #[serde(default)]
    name: String,
}

/// Its runs get no secrets, although its branches are in the repository itself.
pub(super) const DEPENDABOT: &str = "dependabot[bot]";

impl Event {
    /// What to do on an event of this name; with `label`, only for pull requests that have it.
    #[must_use]
    pub fn intent(&self, name: &str, repository: &Repository, label: Option<&str>) -> Intent {
        let pull = match (name, &self.pull_request) {
            ("schedule", _) => return Intent::Sweep,
            ("pull_request" | "pull_request_target", Some(pull)) => pull,
            _ => return Intent::Skip(format!("the event {name} has no pull request")),
        };
        let number = pull.number;
        let ours = |name: &str| label.is_some_and(|label| label.eq_ignore_ascii_case(name));
        let named = self.label.as_ref().map_or("", |label| label.name.as_str());
        // The preview of a closed pull request goes, whatever its label and author: it may have had one.
        if self.action == "closed" || pull.state.as_deref() == Some("closed") {
            return Intent::Down { number, unlabeled: false };
        }
        let from = pull.head.repo.as_ref().and_then(|repo| repo.full_name.parse::<Repository>().ok());
        if from.as_ref() != Some(repository) {
            return Intent::Skip("the pull request comes from a fork, whose runs get no secrets".to_owned());
        }
        if pull.user.as_ref().is_some_and(|user| user.login == DEPENDABOT) {
            return Intent::Skip("Dependabot's pull requests get no secrets".to_owned());
        }
        match self.action.as_str() {
            "unlabeled" if ours(named) => Intent::Down { number, unlabeled: true },
            "labeled" | "unlabeled" if !ours(named) => Intent::Skip("another label".to_owned()),
            _ if label.is_some() && !pull.labels.iter().any(|label| ours(&label.name)) => {
                Intent::Skip(format!("the pull request has no label {}", label.unwrap_or_default()))
            }
            "opened" | "reopened" | "synchronize" | "labeled" | "ready_for_review" => {
                Intent::Up { number, sha: pull.head.sha.clone() }
            }
            other => Intent::Skip(format!("there is nothing to do when a pull request is {other}")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn event(action: &str, change: impl FnOnce(&mut Value)) -> Event {
        let mut event = json!({ "action": action, "pull_request": {
            "number": 7, "state": "open", "user": { "login": "octocat" }, "labels": [{ "name": "preview" }],
            "head": { "sha": "4225332178759948e04347560002921719079454", "repo": { "full_name": "Acme/API" } } } });
        change(&mut event);
        serde_json::from_value(event).unwrap()
    }

    fn intent(event: &Event, label: Option<&str>) -> Intent {
        event.intent("pull_request", &"acme/api".parse().unwrap(), label)
    }

    fn up() -> Intent {
        Intent::Up { number: 7, sha: "4225332178759948e04347560002921719079454".to_owned() }
    }

    fn down(unlabeled: bool) -> Intent {
        Intent::Down { number: 7, unlabeled }
    }

    fn is_skipped(event: &Event, label: Option<&str>) {
        assert!(matches!(intent(event, label), Intent::Skip(_)), "{event:?}");
    }

    #[test]
    fn a_push_brings_it_up_and_a_close_takes_it_down() {
        for action in ["opened", "reopened", "synchronize", "ready_for_review"] {
            assert_eq!(intent(&event(action, |_| ()), None), up(), "{action}");
        }
        assert_eq!(intent(&event("closed", |_| ()), None), down(false));
        is_skipped(&event("edited", |_| ()), None);
        let schedule = Event::default().intent("schedule", &"acme/api".parse().unwrap(), None);
        assert_eq!(schedule, Intent::Sweep);
    }

    #[test]
    fn what_is_closed_goes_down_whatever_else_the_event_says() {
        let closed = |event: &mut Value| event["pull_request"]["state"] = "closed".into();
        for action in ["labeled", "closed", "synchronize"] {
            assert_eq!(intent(&event(action, closed), Some("preview")), down(false));
        }
        let gone = |event: &mut Value| event["pull_request"]["head"]["repo"] = Value::Null;
        assert_eq!(intent(&event("closed", gone), None), down(false));
    }

    #[test]
    fn forks_and_dependabot_are_skipped() {
        is_skipped(
            &event("opened", |e| e["pull_request"]["head"]["repo"]["full_name"] = "eve/api".into()),
            None,
        );
        is_skipped(&event("opened", |e| e["pull_request"]["head"]["repo"] = Value::Null), None);
        is_skipped(&event("opened", |e| e["pull_request"]["user"]["login"] = DEPENDABOT.into()), None);
        // A deleted account.
        assert_eq!(intent(&event("opened", |e| e["pull_request"]["user"] = Value::Null), None), up());
    }

    #[test]
    fn with_a_label_only_that_label_counts() {
        let label = Some("Preview");
        let labeled = |action, name: &str| event(action, |event| event["label"] = json!({ "name": name }));
        assert_eq!(intent(&event("synchronize", |_| ()), label), up());
        assert_eq!(intent(&labeled("labeled", "preview"), label), up());
        assert_eq!(intent(&labeled("unlabeled", "preview"), label), down(true));
        is_skipped(&labeled("labeled", "size/S"), label);
        is_skipped(&labeled("unlabeled", "size/S"), label);
        is_skipped(&labeled("labeled", "size/S"), None);
        is_skipped(&event("synchronize", |e| e["pull_request"]["labels"] = json!([])), label);
    }
}
