//! What goes wrong between the agent and the engine, told apart by what can be done about it.

use std::time::Duration;

use bollard::errors::Error as Bollard;

use super::error_text::{of_the_runtime, plain_reason, shorten, with_sources};
use super::timeouts::REQUEST;

/// A request to the engine that failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Nothing answers at the socket.
    #[error("the Docker Engine does not answer: {message}")]
    Unavailable {
        /// What the connection said.
        message: String,
    },
    /// The socket is there and may not be opened.
    #[error("the Docker socket may not be opened: {message}")]
    Forbidden {
        /// What the connection said.
        message: String,
    },
    /// The engine is older than 20.10.
    #[error("the Docker Engine speaks API {api}; 1.41 (Docker 20.10) or newer is needed")]
    TooOld {
        /// Its newest API version.
        api: String,
    },
    /// No answer in time.
    #[error("could not {what}: no answer from Docker within {} s", after.as_secs())]
    Timeout {
        /// What was asked.
        what: String,
        /// The deadline.
        after: Duration,
    },
    /// The object does not exist.
    #[error("could not {what}: {message}")]
    NotFound {
        /// What was asked.
        what: String,
        /// The engine's words.
        message: String,
    },
    /// The host port is taken.
    #[error("could not {what}: {message}")]
    PortInUse {
        /// What was asked.
        what: String,
        /// The engine's words.
        message: String,
    },
    /// The command does not exist in the image, or cannot be executed.
    #[error("could not {what}: {message}")]
    CommandMissing {
        /// What was asked.
        what: String,
        /// The engine's words.
        message: String,
    },
    /// Docker's disk is full.
    #[error("could not {what}: {message}")]
    DiskFull {
        /// What was asked.
        what: String,
        /// The engine's words.
        message: String,
    },
    /// The state of the object forbids it (HTTP 409), as a container that runs forbids its removal.
    #[error("could not {what}: {message}")]
    Conflict {
        /// What was asked.
        what: String,
        /// The engine's words.
        message: String,
    },
    /// Somebody else's removal of the same container is under way.
    #[error("could not {what}: {message}")]
    RemovalInProgress {
        /// What was asked.
        what: String,
        /// The engine's words.
        message: String,
    },
    /// The engine refused or failed otherwise.
    #[error("could not {what}: {message}")]
    Refused {
        /// What was asked.
        what: String,
        /// The engine's words.
        message: String,
    },
}

impl Error {
    /// Classifies an error of the client by its kind and the engine's words.
    pub(super) fn from_bollard(what: &str, error: Bollard) -> Self {
        let what = what.to_owned();
        match error {
            Bollard::SocketNotFoundError(path) => {
                Self::Unavailable { message: format!("there is no socket at {path}") }
            }
            Bollard::RequestTimeoutError => Self::Timeout { what, after: REQUEST },
            Bollard::DockerResponseServerError { status_code, message } => {
                Self::from_answer(what, status_code, &message)
            }
            Bollard::DockerStreamError { error } => Self::from_answer(what, 200, &error),
            Bollard::IOError { err } if err.kind() == std::io::ErrorKind::PermissionDenied => {
                Self::Forbidden { message: format!("could not {what}: {}", plain_reason(&err)) }
            }
            // The connection broke off inside an answer.
            Bollard::IOError { err } => Self::lost(&what, &plain_reason(&err)),
            error @ (Bollard::HyperLegacyError { .. } | Bollard::HyperResponseError { .. }) => {
                let reason = plain_reason(&error);
                if reason == "permission denied" {
                    Self::Forbidden { message: format!("could not {what}: {reason}") }
                } else {
                    Self::lost(&what, &reason)
                }
            }
            other => Self::Refused { what, message: with_sources(&other) },
        }
    }

    fn lost(what: &str, reason: &str) -> Self {
        Self::Unavailable { message: format!("could not {what}: {reason}") }
    }

    /// Classified by the message first: for most refusals the status differs by engine version, the
    /// words hardly (taken from Docker 20.10, 26.1 and 28.5).
    fn from_answer(what: String, status: u16, message: &str) -> Self {
        let kept = shorten(message);
        let has = |texts: &[&str]| texts.iter().any(|text| message.contains(text));
        if has(&["no space left on device"]) {
            Self::DiskFull { what, message: kept }
        } else if has(&["port is already allocated", "address already in use"]) {
            Self::PortInUse { what, message: kept }
        } else if has(&["exec format error"])
            // The runtime names the command as `exec: "alembic"`. Engines before 28 end it in ": unknown".
            || (has(&["exec: \""])
                && has(&["executable file not found", "no such file or directory", "permission denied"]))
        {
            Self::CommandMissing { what, message: shorten(of_the_runtime(message)) }
        } else if has(&["is already in progress"]) {
            Self::RemovalInProgress { what, message: kept }
        } else if status == 404 {
            Self::NotFound { what, message: kept }
        } else if status == 409 {
            Self::Conflict { what, message: kept }
        } else {
            Self::Refused { what, message: kept }
        }
    }
}

/// Whether a stream ended with bytes that are no whole line. The client says so too of the line break
/// behind the last line, if it came in a read of its own; what was told until then decides.
pub(super) fn is_end_of_stream(error: &Bollard) -> bool {
    matches!(error, Bollard::IOError { err } if err.to_string() == "bytes remaining on stream")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answered(status: u16, message: &str) -> Error {
        Error::from_answer("remove the container".to_owned(), status, message)
    }

    #[test]
    fn a_removal_that_meets_a_container_that_runs_is_a_conflict_in_the_words_of_every_engine() {
        for message in [
            // 20.10 and 28.5; of a container between two restarts, and of a paused one.
            "You cannot remove a running container 1f2e3d4c. Stop the container before attempting removal or force remove",
            "cannot remove container \"/app\": container is running: stop the container before removing or force remove",
            "You cannot remove a restarting container 1f2e3d4c. Stop the container before attempting removal or force remove",
            "cannot remove container \"/app\": container is paused and must be unpaused first",
        ] {
            assert!(matches!(answered(409, message), Error::Conflict { .. }), "{message}");
        }
    }

    #[test]
    fn a_removal_under_way_is_told_from_a_container_that_runs() {
        let error = answered(409, "removal of container 1f2e3d4c is already in progress");
        assert!(matches!(error, Error::RemovalInProgress { .. }), "{error:?}");
    }
}
