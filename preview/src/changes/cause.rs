//! Why an update failed: the first event that is not the consequence of another, and what to do about it.

use crate::aws::Event;

/// What AWS says of resources that it gave up because another one failed.
const CONSEQUENCES: [&str; 4] = [
    "Resource creation cancelled",
    "Resource update cancelled",
    "Resource deletion cancelled",
    "The following resource(s) failed",
];

/// The event that the others follow from; the oldest events come first.
#[must_use]
pub fn cause(events: &[Event]) -> Option<&Event> {
    let is_consequence = |event: &Event| {
        event
            .reason
            .as_deref()
            .is_none_or(|reason| CONSEQUENCES.iter().any(|words| reason.starts_with(words)))
    };
    let failed = |event: &&Event| event.status.ends_with("_FAILED") && !is_consequence(event);
    let of_resource = events.iter().filter(failed).find(|event| !event.is_of_stack());
    // A stack may fail as a whole: by its time limit, or a policy.
    let fails = |event: &Event| event.status.contains("ROLLBACK") || event.status.ends_with("_FAILED");
    of_resource.or_else(|| events.iter().find(|it| it.is_of_stack() && fails(it) && !is_consequence(it)))
}

/// Words of a reason, and what to do about it: the second document's own table first.
const HINTS: [(&[&str], &str); 8] = [
    (
        &["CannotPullContainerError", "CannotPullImageManifestError", "pull image manifest"],
        "The image is not in the registry, or the task may not read it: push it, or take an image that is there \
         (`preview changes history` knows those that ran).",
    ),
    (
        &["relation \"", "no such table", "UndefinedTable"],
        "The database is not initialised: run its jobs and migrations first, then apply again.",
    ),
    (
        &[
            "could not connect to server",
            "connection to server at",
            "Connection refused",
            "could not translate host name",
        ],
        "The application does not reach its database: check DATABASE_URL, and that the database's security group \
         admits the service's.",
    ),
    (
        &[
            "HealthCheckGracePeriod",
            "grace period",
            "failed ELB health checks",
            "failed container health checks",
        ],
        "The application is not healthy in time: see its log for why; where it only takes long, raise \
         HealthCheckGracePeriodSeconds.",
    ),
    (
        &["Circuit Breaker was triggered", "did not stabilize", "Exceeded attempts to wait"],
        "The service's new tasks do not stay up: its events and the tasks' log say why.",
    ),
    (&["already exists"], "Something of this name is there, outside of the stack: rename one, or import it."),
    (
        &["is not authorized to perform", "AccessDenied", "UnauthorizedOperation"],
        "The role that CloudFormation acts with may not do this.",
    ),
    (&["in use", "has a dependent object", "is still referenced"], "Something else still uses it."),
];

/// What to do about a reason.
#[must_use]
pub fn hint(reason: &str) -> Option<&'static str> {
    HINTS.iter().find(|(words, _)| words.iter().any(|word| reason.contains(word))).map(|(_, hint)| *hint)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(resource: &str, status: &str, reason: Option<&str>) -> Event {
        Event {
            id: String::new(),
            at: None,
            stack: "arn".to_owned(),
            resource: resource.to_owned(),
            physical: if resource == "stack" { "arn" } else { "" }.to_owned(),
            kind: String::new(),
            status: status.to_owned(),
            reason: reason.map(str::to_owned),
            properties: None,
            token: None,
        }
    }

    #[test]
    fn the_cause_is_the_first_failure_that_follows_from_no_other() {
        let events = [
            event("stack", "UPDATE_IN_PROGRESS", Some("User Initiated")),
            event("A", "CREATE_FAILED", Some("Resource creation cancelled")),
            event("B", "UPDATE_FAILED", Some("Resource update cancelled")),
            event("C", "CREATE_FAILED", None),
            event("D", "CREATE_FAILED", Some("it is broken")),
            event("E", "CREATE_FAILED", Some("it is broken, too")),
            event(
                "stack",
                "UPDATE_ROLLBACK_IN_PROGRESS",
                Some("The following resource(s) failed to create: [D]."),
            ),
            event("F", "DELETE_FAILED", Some("in the way back")),
        ];
        assert_eq!(cause(&events).unwrap().resource, "D");
    }

    #[test]
    fn a_stack_that_fails_as_a_whole_is_its_own_cause() {
        let events = [
            event(
                "stack",
                "ROLLBACK_IN_PROGRESS",
                Some("Stack creation time exceeded the specified timeout."),
            ),
            event("A", "CREATE_FAILED", Some("Resource creation cancelled")),
        ];
        assert_eq!(cause(&events).unwrap().resource, "stack");
        assert_eq!(cause(&events[1..]), None);
    }

    #[test]
    fn each_row_of_the_documents_table_has_its_remedy() {
        for (says, remedy) in [
            (
                "CannotPullContainerError: pull image manifest has been retried 1 time(s): not found",
                "push it",
            ),
            ("psycopg2.errors.UndefinedTable: relation \"tasks\" does not exist", "not initialised"),
            ("could not connect to server: Connection timed out", "DATABASE_URL"),
            ("HealthCheckGracePeriodSeconds exceeded", "HealthCheckGracePeriodSeconds"),
            ("Exceeded attempts to wait", "service's new tasks"),
        ] {
            assert!(hint(says).is_some_and(|hint| hint.contains(remedy)), "{says}");
        }
        assert_eq!(hint("User Initiated"), None);
    }
}
