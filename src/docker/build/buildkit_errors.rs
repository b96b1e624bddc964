//! What BuildKit's messages about a failed build mean.

use super::error::BuildError;

/// What is known of a build that failed.
pub(super) struct Failure {
    /// What the engine said last.
    pub(super) message: String,
    /// The step that failed first.
    pub(super) step: Option<FailedStep>,
    /// A line of output said that the disk is full.
    pub(super) disk_full: bool,
}

/// A step that failed.
pub(super) struct FailedStep {
    /// As BuildKit names it.
    pub(super) name: String,
    /// BuildKit's words.
    pub(super) message: String,
}

impl Failure {
    /// Which error of ours it is.
    pub(super) fn explain(self) -> BuildError {
        let Self { message: last, step, disk_full } = self;
        if is_disk_full(&last) {
            return BuildError::DiskFull(last);
        }
        if last.contains(NO_SESSION) {
            return BuildError::Engine(last);
        }
        if let Some(FailedStep { name: step, message }) = step {
            if let Some(image) = base_image(&step) {
                return BuildError::Base { image: image.to_owned(), message };
            }
            // A command that met the full disk says so itself; BuildKit only knows its exit code.
            if disk_full {
                return BuildError::DiskFull(format!("{step}: {message}"));
            }
            if !step.starts_with("[internal]") {
                return BuildError::Failed { step, message };
            }
        }
        let lower = last.to_lowercase();
        if DOCKERFILE.iter().any(|text| lower.contains(text)) {
            BuildError::Dockerfile(reason(&last).to_owned())
        } else if NO_BUILDKIT.iter().any(|text| lower.contains(text)) {
            BuildError::NoBuildKit(last)
        } else {
            BuildError::Refused(last)
        }
    }
}

/// Whether a message or a line of output says that the disk is full.
pub(super) fn is_disk_full(message: &str) -> bool {
    message.contains(NO_SPACE)
}

/// The message without what BuildKit says of itself before it, which would push the reason out of the verdict.
fn reason(message: &str) -> &str {
    const OWN: [&str; 3] = [
        "failed to solve with frontend dockerfile.v0: ",
        "failed to solve: ",
        "failed to create LLB definition: ",
    ];
    OWN.iter().fold(message, |message, prefix| message.strip_prefix(prefix).unwrap_or(message))
}

/// What the kernel calls a full disk (`ENOSPC`).
const NO_SPACE: &str = "no space left on device";

/// What BuildKit says when it does not reach the client that it asks for a login (`session/manager.go`);
/// the step that needs the login fails with it.
const NO_SESSION: &str = "no active session for ";

/// Words of BuildKit about a Dockerfile it cannot take, lower case.
const DOCKERFILE: &[&str] = &[
    "dockerfile parse error",
    "file with no instructions",
    "the dockerfile cannot be empty",
    "failed to read dockerfile",
    "no build stage in current context",
    "requires at least one argument",
    "base name (",
];

/// Words of engines that were started without BuildKit, lower case.
const NO_BUILDKIT: &[&str] = &["buildkit is not", "buildkit not supported", "buildkit is only supported"];

/// The image that a step fetches, if that is what the step does.
fn base_image(step: &str) -> Option<&str> {
    if let Some(image) = step
        .strip_prefix("[internal] load metadata for ")
        .or_else(|| step.strip_prefix("resolve image config for "))
        .or_else(|| step.strip_prefix("docker-image://"))
    {
        return Some(image);
    }
    let (_, image) = step.strip_prefix('[')?.split_once("] FROM ")?;
    Some(image)
}
