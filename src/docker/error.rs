//! What goes wrong between the agent and the engine, told apart by what can be done about it.

use std::time::Duration;

use bollard::errors::Error as Bollard;

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
            Bollard::RequestTimeoutError => Self::Timeout { what, after: super::REQUEST },
            Bollard::DockerResponseServerError { status_code, message } => {
                Self::from_words(what, status_code, message)
            }
            Bollard::DockerStreamError { error } => Self::from_words(what, 200, error),
            Bollard::IOError { err } if err.kind() == std::io::ErrorKind::PermissionDenied => {
                Self::Forbidden { message: err.to_string() }
            }
            // The connection broke off inside an answer.
            Bollard::IOError { err } => Self::Unavailable { message: err.to_string() },
            error @ (Bollard::HyperLegacyError { .. } | Bollard::HyperResponseError { .. }) => {
                let message = chain(&error);
                if message.contains("Permission denied") {
                    Self::Forbidden { message }
                } else {
                    Self::Unavailable { message }
                }
            }
            other => Self::Refused { what, message: chain(&other) },
        }
    }

    /// Classified by text: the status differs by engine version, the words hardly
    /// (taken from Docker 20.10, 26.1 and 28.5).
    fn from_words(what: String, status: u16, message: String) -> Self {
        let has = |words: &[&str]| words.iter().any(|word| message.contains(word));
        if has(&["no space left on device"]) {
            Self::DiskFull { what, message }
        } else if has(&["port is already allocated", "address already in use"]) {
            Self::PortInUse { what, message }
        } else if has(&["exec format error"])
            // The runtime names the command as `exec: "alembic"`. Engines before 28 end it in ": unknown".
            || (has(&["exec: \""])
                && has(&["executable file not found", "no such file or directory", "permission denied"]))
        {
            Self::CommandMissing { what, message }
        } else if status == 404 {
            Self::NotFound { what, message }
        } else {
            Self::Refused { what, message }
        }
    }
}

/// An error with its sources: the HTTP client hides the reason in them.
pub(super) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(inner) = source {
        let words = inner.to_string();
        if !text.contains(&words) {
            text = format!("{text}: {words}");
        }
        source = inner.source();
    }
    text
}
