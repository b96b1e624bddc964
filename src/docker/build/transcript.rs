//! What BuildKit tells of a build, made into lines.

use std::collections::HashMap;

use bollard::moby::buildkit::v1::{StatusResponse, Vertex};
use bollard::models::{BuildInfo, BuildInfoAux};

use super::buildkit_errors::{FailedStep, Failure, is_disk_full};
use super::error::BuildError;
use crate::redact::Redactor;
use crate::redact::output::{Outputs, Stream};
use crate::redact::plain;

/// What BuildKit says of a step is a sentence; what is longer repeats output.
const MESSAGE_MAX: usize = 2000;

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
    /// The step that failed first.
    failed: Option<FailedStep>,
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
            self.failed = Some(FailedStep { name, message: self.clean(&vertex.error) });
        }
    }

    /// Hands over what came without a line break at its end.
    pub(super) fn finish(&mut self, on_line: &mut impl FnMut(&str)) {
        let rest: Vec<String> = self.steps.values_mut().flat_map(|step| step.output.finish()).collect();
        for line in rest {
            self.line(&line, on_line);
        }
    }

    /// Why the build failed, from what BuildKit told of it and what the engine said last.
    pub(super) fn explain(self, message: &str) -> BuildError {
        let message = self.clean(message);
        Failure { message, step: self.failed, disk_full: self.disk_full }.explain()
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
        self.disk_full |= is_disk_full(&line.to_lowercase());
    }

    fn clean(&self, text: &str) -> String {
        let clean = plain(text.trim());
        self.redactor.apply(&clean).chars().take(MESSAGE_MAX).collect()
    }
}
