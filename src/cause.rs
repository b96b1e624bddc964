//! Why an error came about: libraries wrap the reason in layers that tell a reader nothing.

/// The innermost cause of an error: the one that a person can act on.
#[must_use]
pub fn innermost<'a>(error: &'a (dyn std::error::Error + 'static)) -> &'a dyn std::error::Error {
    std::iter::successors(Some(error), |error| error.source()).last().unwrap_or(error)
}
