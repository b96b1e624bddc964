//! How long the engine may take to answer.

use std::time::Duration;

/// Deadline of a plain request. Removing a large container on a slow disk takes seconds.
pub(super) const REQUEST: Duration = Duration::from_secs(60);

/// Longest time for the first answer: an engine that accepts and says nothing is not up.
pub(super) const ANSWER: Duration = Duration::from_secs(10);

/// The same of a caller without patience: a busy machine is slow to answer.
pub(super) const FIRST_ANSWER: Duration = Duration::from_secs(2);
