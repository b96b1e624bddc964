//! What BuildKit tells of a build, made into lines, and what its failure means.

use std::collections::HashMap;

use bollard::moby::buildkit::v1::{StatusResponse, Vertex};
use bollard::models::{BuildInfo, BuildInfoAux};

use super::BuildError;
use crate::redact::Redactor;
use crate::redact::output::{Outputs, Stream};
use crate::redact::plain;

/// BuildKit's words are a sentence; what is longer repeats output.
const WORDS_MAX: usize = 2000;

/// Steps that are followed. A Dockerfile has some dozens; each holds up to two unfinished lines.
const STEPS_MAX: usize = 1024;

/// The stream's number in BuildKit's log messages.
const STDERR: i64 = 2;

/// A build as it is told so far.
pub(super) struct Transcript {
    redactor: Redactor,
    steps: HashMap<String, Step>,
    /// A line of output said that the disk is full.
    disk_full: bool,
    /// Name and words of the step that failed first.
    failed: Option<(String, String)>,
    image: Option<String>,
}

/// One vertex of BuildKit's graph.
struct Step {
    announced: bool,
    output: Outputs,
}

impl Transcript {
    pub(super) fn new(redactor: Redactor) -> Self {
        Self { redactor, steps: HashMap::new(), disk_full: false, failed: None, image: None }
    }

    /// The image's id, once BuildKit has told it.
    pub(super) fn image(&self) -> Option<&str> {
        self.image.as_deref()
    }

    /// Takes one message of the engine's stream.
    pub(super) fn take(&mut self, message: BuildInfo, on_line: &mut impl FnMut(&str)) {
        match message.aux {
            Some(BuildInfoAux::BuildKit(status)) => self.status(status, on_line),
            Some(BuildInfoAux::Default(image)) => self.image = image.id.or(self.image.take()),
            None => {}
        }
    }

    fn status(&mut self, status: StatusResponse, on_line: &mut impl FnMut(&str)) {
        for vertex in status.vertexes {
            self.vertex(&vertex, on_line);
        }
        for log in status.logs {
            let stream = if log.stream == STDERR { Stream::Err } else { Stream::Out };
            let lines = self.step(&log.vertex).map(|step| step.output.push(stream, &log.msg));
            for line in lines.unwrap_or_default() {
                self.line(&line, on_line);
            }
        }
    }

    fn vertex(&mut self, vertex: &Vertex, on_line: &mut impl FnMut(&str)) {
        let Some(step) = self.step(&vertex.digest) else { return };
        let announce = vertex.started.is_some() && !std::mem::replace(&mut step.announced, true);
        let rest: Vec<String> =
            if vertex.completed.is_some() { step.output.finish().collect() } else { Vec::new() };
        let name = self.clean(&vertex.name);
        if announce {
            let line = if vertex.cached { format!("{name} (cached)") } else { name.clone() };
            self.line(&line, on_line);
        }
        for line in rest {
            self.line(&line, on_line);
        }
        // The steps beside the one that failed end as canceled.
        if !vertex.error.is_empty() && !vertex.error.contains("context canceled") && self.failed.is_none() {
            self.failed = Some((name, self.clean(&vertex.error)));
        }
    }

    /// Hands over what came without a line break at its end.
    pub(super) fn finish(&mut self, on_line: &mut impl FnMut(&str)) {
        let rest: Vec<String> = self.steps.values_mut().flat_map(|step| step.output.finish()).collect();
        for line in rest {
            self.line(&line, on_line);
        }
    }

    /// What the engine's last words mean.
    pub(super) fn explain(self, words: &str) -> BuildError {
        let words = self.clean(words);
        if words.contains(NO_SPACE) {
            return BuildError::DiskFull(words);
        }
        if words.contains(NO_SESSION) {
            return BuildError::Engine(words);
        }
        if let Some((step, message)) = self.failed {
            if let Some(image) = base_image(&step) {
                return BuildError::Base { image: image.to_owned(), message };
            }
            // A command that met the full disk says so itself; BuildKit only knows its exit code.
            if self.disk_full {
                return BuildError::DiskFull(format!("{step}: {message}"));
            }
            if !step.starts_with("[internal]") {
                return BuildError::Failed { step, message };
            }
        }
        let lower = words.to_lowercase();
        if DOCKERFILE.iter().any(|text| lower.contains(text)) {
            // What BuildKit says of itself before that would push the reason out of the verdict.
            let own = [
                "failed to solve with frontend dockerfile.v0: ",
                "failed to solve: ",
                "failed to create LLB definition: ",
            ];
            let reason =
                own.iter().fold(words.as_str(), |words, prefix| words.strip_prefix(prefix).unwrap_or(words));
            BuildError::Dockerfile(reason.to_owned())
        } else if NO_BUILDKIT.iter().any(|text| lower.contains(text)) {
            BuildError::NoBuildKit(words)
        } else {
            BuildError::Refused(words)
        }
    }

    /// `None` for a step beyond those that are followed.
    fn step(&mut self, vertex: &str) -> Option<&mut Step> {
        if self.steps.len() >= STEPS_MAX && !self.steps.contains_key(vertex) {
            return None;
        }
        let new = || Step { announced: false, output: Outputs::new(&self.redactor) };
        Some(self.steps.entry(vertex.to_owned()).or_insert_with(new))
    }

    fn line(&mut self, line: &str, on_line: &mut impl FnMut(&str)) {
        on_line(line);
        self.disk_full |= line.to_lowercase().contains(NO_SPACE);
    }

    fn clean(&self, text: &str) -> String {
        let clean = plain(text.trim());
        self.redactor.apply(&clean).chars().take(WORDS_MAX).collect()
    }
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
