//! Why a pull failed, by what its words mean.

use std::time::Duration;

use super::super::error::Error;

/// A pull that failed, by what its words mean.
#[derive(Debug, thiserror::Error)]
pub enum PullError {
    /// The registry wants (other) credentials.
    #[error("{0}")]
    Denied(String),
    /// No such repository, tag or digest.
    #[error("{0}")]
    NotFound(String),
    /// Too many requests.
    #[error("{0}")]
    Throttled(String),
    /// The registry, its name or the way to it is down, or it failed by itself.
    #[error("{0}")]
    Unreachable(String),
    /// Nothing came for this long.
    #[error("no byte from the registry for {} s", .0.as_secs())]
    Stalled(Duration),
    /// No variant of the image runs on this architecture.
    #[error("{0}")]
    Architecture(String),
    /// Docker's disk is full.
    #[error("{0}")]
    DiskFull(String),
    /// The engine says the name is not one.
    #[error("{0}")]
    BadName(String),
    /// A layer was damaged or another passing trouble.
    #[error("{0}")]
    Failed(String),
    /// The engine itself.
    #[error(transparent)]
    Engine(#[from] Error),
}

impl PullError {
    /// Whether the same pull may succeed later.
    #[must_use]
    pub fn retryable(&self) -> bool {
        match self {
            Self::Throttled(_) | Self::Unreachable(_) | Self::Stalled(_) | Self::Failed(_) => true,
            // The engine is started again by systemd, after an upgrade for example.
            Self::Engine(error) => matches!(error, Error::Unavailable { .. }),
            Self::Denied(_)
            | Self::NotFound(_)
            | Self::Architecture(_)
            | Self::DiskFull(_)
            | Self::BadName(_) => false,
        }
    }
}
