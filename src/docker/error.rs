//! What goes wrong between the agent and the engine, told apart by what can be done about it.

use std::time::Duration;

use bollard::errors::Error as Bollard;

use crate::cause::innermost;

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
            other => Self::Refused { what, message: chain(&other) },
        }
    }

    fn lost(what: &str, reason: &str) -> Self {
        Self::Unavailable { message: format!("could not {what}: {reason}") }
    }

    /// Classified by text: the status differs by engine version, the words hardly
    /// (taken from Docker 20.10, 26.1 and 28.5).
    fn from_words(what: String, status: u16, message: String) -> Self {
        let kept = short(&message);
        let has = |words: &[&str]| words.iter().any(|word| message.contains(word));
        if has(&["no space left on device"]) {
            Self::DiskFull { what, message: kept }
        } else if has(&["port is already allocated", "address already in use"]) {
            Self::PortInUse { what, message: kept }
        } else if has(&["exec format error"])
            // The runtime names the command as `exec: "alembic"`. Engines before 28 end it in ": unknown".
            || (has(&["exec: \""])
                && has(&["executable file not found", "no such file or directory", "permission denied"]))
        {
            Self::CommandMissing { what, message: short(of_the_runtime(&message)) }
        } else if status == 404 {
            Self::NotFound { what, message: kept }
        } else {
            Self::Refused { what, message: kept }
        }
    }
}

/// The innermost reason, in the system's words where there are some: what the
/// HTTP client says around it (`error in the hyper legacy client`) tells a user nothing.
fn plain_reason(error: &(dyn std::error::Error + 'static)) -> String {
    let text = innermost(error).to_string();
    // As in `Connection refused (os error 111)`.
    let words = text.split(" (os error ").next().unwrap_or_default();
    let mut letters = words.chars();
    letters.next().map_or_else(String::new, |first| first.to_lowercase().chain(letters).collect())
}

/// What a broken connection says, or what else went wrong.
pub(super) fn words(error: &Bollard) -> String {
    match error {
        Bollard::IOError { .. } | Bollard::HyperLegacyError { .. } | Bollard::HyperResponseError { .. } => {
            plain_reason(error)
        }
        other => chain(other),
    }
}

/// What the runtime says of a command, without the layers that passed it on: `exec: "alembic": …`.
fn of_the_runtime(message: &str) -> &str {
    let begin = message.find("exec: \"").unwrap_or(0);
    message[begin..].trim_end_matches(": unknown")
}

/// Whether a stream ended with bytes that are no whole line. The client says so too of the line break
/// behind the last line, if it came in a read of its own; what was told until then decides.
pub(super) fn is_end(error: &Bollard) -> bool {
    matches!(error, Bollard::IOError { err } if err.to_string() == "bytes remaining on stream")
}

/// Longest text that is kept of what the engine or a registry says, in characters.
const WORDS_MAX: usize = 2000;

/// The beginning of foreign words, at most [`WORDS_MAX`]. Where they are cut, the word at the border goes
/// whole: half a secret would not be recognised.
pub(super) fn short(words: &str) -> String {
    let Some((end, _)) = words.char_indices().nth(WORDS_MAX) else { return words.to_owned() };
    let kept = &words[..end];
    let border = kept.rfind(char::is_whitespace).filter(|at| *at > 0).unwrap_or(end);
    format!("{}…", &kept[..border])
}

/// An error with its sources: the HTTP client hides the reason in them. Some quote what could not be read.
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
    short(&text)
}
