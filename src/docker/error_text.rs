//! Foreign words about an error, made short and plain.

use bollard::errors::Error as Bollard;

use crate::cause::innermost;

/// Longest text that is kept of what the engine or a registry says, in characters.
const LENGTH_MAX: usize = 2000;

/// The innermost reason, in the system's words where there are some: what the
/// HTTP client says around it (`error in the hyper legacy client`) tells a user nothing.
pub(super) fn plain_reason(error: &(dyn std::error::Error + 'static)) -> String {
    let text = innermost(error).to_string();
    // As in `Connection refused (os error 111)`.
    let reason = text.split(" (os error ").next().unwrap_or_default();
    let mut letters = reason.chars();
    letters.next().map_or_else(String::new, |first| first.to_lowercase().chain(letters).collect())
}

/// What a broken connection says, or what else went wrong.
pub(super) fn describe(error: &Bollard) -> String {
    match error {
        Bollard::IOError { .. } | Bollard::HyperLegacyError { .. } | Bollard::HyperResponseError { .. } => {
            plain_reason(error)
        }
        other => with_sources(other),
    }
}

/// What the runtime says of a command, without the layers that passed it on: `exec: "alembic": …`.
pub(super) fn of_the_runtime(message: &str) -> &str {
    let begin = message.find("exec: \"").unwrap_or(0);
    message[begin..].trim_end_matches(": unknown")
}

/// The beginning of foreign words, at most [`LENGTH_MAX`]. Where they are cut, the word at the border goes
/// whole: half a secret would not be recognised.
pub(super) fn shorten(message: &str) -> String {
    let Some((end, _)) = message.char_indices().nth(LENGTH_MAX) else { return message.to_owned() };
    let kept = &message[..end];
    let border = kept.rfind(char::is_whitespace).filter(|at| *at > 0).unwrap_or(end);
    format!("{}…", &kept[..border])
}

/// An error with its sources: the HTTP client hides the reason in them. Some quote what could not be read.
pub(super) fn with_sources(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(inner) = source {
        let reason = inner.to_string();
        if !text.contains(&reason) {
            text = format!("{text}: {reason}");
        }
        source = inner.source();
    }
    shorten(&text)
}
