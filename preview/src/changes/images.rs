//! The images that a stack has run: the way back.

use preview_agent::status::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::aws::Event;

/// The name that the second document's template gives to the image's parameter.
const USUAL: &str = "ContainerImage";
/// Records that are kept.
const KEPT: usize = 10;
/// What a parameter of Parameter Store holds, in bytes.
const BYTES: usize = 4_000;

/// An image that a stack ran.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ran {
    /// Since when, if that is known.
    pub at: Option<Timestamp>,
    /// The image.
    pub image: String,
}

/// The parameter of a stack that names the application's image, if only one may.
#[must_use]
pub fn image_parameter(parameters: &[(String, String)]) -> Option<&str> {
    let names = || parameters.iter().map(|(key, _)| key.as_str());
    if let Some(usual) = names().find(|name| *name == USUAL) {
        return Some(usual);
    }
    // `ImageId` is a machine's.
    let mut all = names().filter(|name| name.to_ascii_lowercase().ends_with("image"));
    all.next().filter(|_| all.next().is_none())
}

/// The images in a stack's events, the oldest first: those of task definitions that are of the same repository
/// as this image, once what made them has ended well.
#[must_use]
pub fn of_events(events: &[Event], image: &str) -> Vec<Ran> {
    let (mut all, mut made): (Vec<Ran>, Option<String>) = (Vec::new(), None);
    for event in events {
        if event.is_of_stack() {
            if event.is_start() || event.status.contains("ROLLBACK") {
                made = None;
            } else if event.is_good_end()
                && let Some(image) = made.take()
            {
                all.push(Ran { at: event.at, image });
            }
        } else if event.kind == "AWS::ECS::TaskDefinition"
            && let Some(text) = &event.properties
        {
            made = image_in(text, image).or(made);
        }
    }
    all
}

fn image_in(properties: &str, image: &str) -> Option<String> {
    let properties: Value = serde_json::from_str(properties).ok()?;
    let containers = properties["ContainerDefinitions"].as_array()?;
    let mut images = containers.iter().filter_map(|container| container["Image"].as_str());
    images.find(|other| repository(other) == repository(image)).map(str::to_owned)
}

/// An image without tag and digest.
pub(super) fn repository(image: &str) -> &str {
    let name = image.split('@').next().unwrap_or(image);
    let path = name.rfind('/').map_or(0, |slash| slash + 1);
    name[path..].find(':').map_or(name, |colon| &name[..path + colon])
}

/// What is known of a stack from both sources, the oldest first, each image once in a row, and what it runs now
/// at the end.
#[must_use]
pub fn history(records: &[Ran], events: &[Ran], now: &str) -> Vec<Ran> {
    let mut all: Vec<Ran> = events.iter().chain(records).cloned().collect();
    // What has no time was there before everything else.
    all.sort_by_key(|ran| ran.at);
    all.push(Ran { at: None, image: now.to_owned() });
    all.dedup_by(|next, before| next.image == before.image);
    all
}

/// The records with one more; the oldest go.
#[must_use]
pub fn recorded(mut records: Vec<Ran>, before: Option<&str>, ran: Ran) -> Vec<Ran> {
    let last = |records: &[Ran]| records.last().map(|ran| ran.image.clone());
    // What ran before the first record is a way back, too.
    if let Some(before) = before
        && last(&records).as_deref() != Some(before)
    {
        records.push(Ran { at: None, image: before.to_owned() });
    }
    if last(&records).as_deref() != Some(ran.image.as_str()) {
        records.push(ran);
    }
    let written = |records: &[Ran]| serde_json::to_string(records).map_or(0, |text| text.len());
    while records.len() > KEPT || written(&records) > BYTES {
        records.remove(0);
    }
    records
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ran(at: Option<u64>, image: &str) -> Ran {
        let at = at.map(|at| Timestamp::from(std::time::UNIX_EPOCH + std::time::Duration::from_secs(at)));
        Ran { at, image: image.to_owned() }
    }

    fn event(kind: &str, status: &str, images: &[&str]) -> Event {
        let containers: Vec<Value> = images.iter().map(|it| serde_json::json!({ "Image": it })).collect();
        Event {
            id: String::new(),
            at: None,
            stack: "arn".to_owned(),
            resource: String::new(),
            physical: if kind == "stack" { "arn" } else { "" }.to_owned(),
            kind: kind.to_owned(),
            status: status.to_owned(),
            reason: None,
            properties: Some(serde_json::json!({ "ContainerDefinitions": containers }).to_string()),
            token: None,
        }
    }

    #[test]
    fn the_images_parameter_is_known_where_there_is_one() {
        let found = |names: &[&str]| {
            let all: Vec<_> = names.iter().map(|name| ((*name).to_owned(), String::new())).collect();
            image_parameter(&all).map(str::to_owned)
        };
        assert_eq!(
            found(&["Environment", "ContainerImage", "DaemonImage"]).as_deref(),
            Some("ContainerImage")
        );
        assert_eq!(found(&["AppImage", "ImageId", "Environment"]).as_deref(), Some("AppImage"));
        assert_eq!(found(&["AppImage", "DaemonImage"]), None);
        assert_eq!(found(&["ImageId"]), None);
    }

    #[test]
    fn images_of_updates_that_failed_are_none_to_go_back_to() {
        let task = "AWS::ECS::TaskDefinition";
        let daemon = "public.ecr.aws/xray/aws-xray-daemon:latest";
        let events = [
            event("stack", "CREATE_IN_PROGRESS", &[]),
            event(task, "CREATE_IN_PROGRESS", &[daemon, "r:5000/app:1"]),
            event("stack", "CREATE_COMPLETE", &[]),
            event("stack", "UPDATE_IN_PROGRESS", &[]),
            event(task, "UPDATE_IN_PROGRESS", &["r:5000/app:2", daemon]),
            event("stack", "UPDATE_ROLLBACK_IN_PROGRESS", &[]),
            event("stack", "UPDATE_ROLLBACK_COMPLETE", &[]),
            event("stack", "UPDATE_IN_PROGRESS", &[]),
            event(task, "UPDATE_IN_PROGRESS", &["r:5000/app@sha256:3", daemon]),
            event("stack", "UPDATE_COMPLETE_CLEANUP_IN_PROGRESS", &[]),
            event("stack", "UPDATE_COMPLETE", &[]),
        ];
        let images: Vec<String> =
            of_events(&events, "r:5000/app:9").into_iter().map(|ran| ran.image).collect();
        assert_eq!(images, ["r:5000/app:1", "r:5000/app@sha256:3"]);
    }

    #[test]
    fn both_sources_make_one_history() {
        let records = [ran(None, "a:0"), ran(Some(20), "a:2"), ran(Some(30), "a:3")];
        let events = [ran(Some(10), "a:1"), ran(Some(20), "a:2")];
        let images = |now: &str| -> Vec<String> {
            history(&records, &events, now).into_iter().map(|ran| ran.image).collect()
        };
        assert_eq!(images("a:3"), ["a:0", "a:1", "a:2", "a:3"]);
        assert_eq!(images("a:9"), ["a:0", "a:1", "a:2", "a:3", "a:9"]);
    }

    #[test]
    fn records_stay_within_their_parameter() {
        let mut all = Vec::new();
        for i in 0..40 {
            all = recorded(all, None, ran(Some(i), &format!("registry/{}:{i}", "a".repeat(700))));
        }
        assert!(serde_json::to_string(&all).unwrap().len() <= 4096);
        assert!(all.last().unwrap().image.ends_with(":39"));
        let first = recorded(Vec::new(), Some("app:1"), ran(Some(1), "app:2"));
        assert_eq!(first, [ran(None, "app:1"), ran(Some(1), "app:2")]);
        assert_eq!(recorded(first.clone(), Some("app:2"), ran(Some(2), "app:2")), first);
    }
}
