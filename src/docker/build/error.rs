//! Why a build failed.

use std::io;
use std::time::Duration;

/// A build that failed.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    /// A step of the Dockerfile failed.
    #[error("{step} failed: {message}")]
    Failed {
        /// The step, as BuildKit names it: `[2/4] RUN pip install …`.
        step: String,
        /// BuildKit's words; the step's own are in the output.
        message: String,
    },
    /// A base image could not be had; the words are those of a pull.
    #[error("the base image {image} could not be pulled: {message}")]
    Base {
        /// The image.
        image: String,
        /// BuildKit's words.
        message: String,
    },
    /// The Dockerfile cannot be read.
    #[error("the Dockerfile is wrong: {0}")]
    Dockerfile(String),
    /// Docker's disk is full.
    #[error("no space is left for the build: {0}")]
    DiskFull(String),
    /// The engine has no BuildKit.
    #[error("the Docker Engine cannot build with BuildKit: {0}")]
    NoBuildKit(String),
    /// The engine refused the build, or gave it up outside any step.
    #[error("Docker could not build the image: {0}")]
    Refused(String),
    /// Neither side made progress.
    #[error("the build stalled: no progress for {} s", after.as_secs())]
    Stalled {
        /// Longest time without progress.
        after: Duration,
    },
    /// The build context broke off.
    #[error("the build context could not be sent: {0}")]
    Context(#[source] io::Error),
    /// The engine is not there or broke off.
    #[error("the Docker Engine broke off the build: {0}")]
    Engine(String),
    /// The engine reported no failure, and yet there is no image.
    #[error("the build ended without an image")]
    Incomplete,
}
