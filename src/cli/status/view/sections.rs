//! What the page says, section by section.

use super::super::super::style::{Tone, cell};
use super::super::waterfall::{duration, waterfall};
use super::page::Page;
use crate::status::{Document, FaultReport, HealthStage, Outcome, ServiceState, Timestamp};

impl Page {
    pub(super) fn verdict(&mut self, document: &Document, now: Timestamp) {
        let tone = match (document.run.outcome, document.service.state) {
            (Outcome::InProgress, _) | (Outcome::Ready, ServiceState::Degraded | ServiceState::Unwatched) => {
                Tone::Warn
            }
            (Outcome::Ready, ServiceState::Up | ServiceState::None) => Tone::Good,
            _ => Tone::Bad,
        };
        if document.expires_at < now {
            let silent = milliseconds(document.heartbeat_at, now);
            let dead = format!(
                "The agent is not running: last heard at {}, {} ago. This was its last word:",
                document.heartbeat_at,
                duration(silent)
            );
            self.wrapped(Tone::Bad, &dead);
            self.wrapped(Tone::Dim, &document.verdict);
        } else {
            self.wrapped(tone, &document.verdict);
        }
    }

    pub(super) fn run(&mut self, document: &Document, now: Timestamp) {
        let run = &document.run;
        self.lines.push(String::new());
        let deployment = run.deployment.as_ref().map(|id| format!(" of {id}")).unwrap_or_default();
        let took = duration(milliseconds(run.started, run.finished.unwrap_or(now)));
        self.field("run", &format!("{}{deployment}, number {}: {}", run.id, run.sequence, run.outcome));
        let deadline = run.deadline.filter(|_| run.finished.is_none());
        let deadline = deadline.map(|time| format!(", ends by {time}")).unwrap_or_default();
        self.field("", &format!("began {}, {took}{deadline}", run.started));
        let next = document.next_try_at.map(|time| format!("at {time}, by itself"));
        self.optional_field("next try", next.as_deref());
        let service = &document.service;
        let state = format!("{} since {}", service.state, service.since);
        self.painted("service", service.state.into(), &state);
        if let Some(cause) = &service.cause {
            let code = cause.code.map(|code| format!(" {code}")).unwrap_or_default();
            self.field("", &format!("{}{code}: {}", cause.class, cause.message));
            self.tail(&cause.tail);
        }
    }

    pub(super) fn phases(&mut self, document: &Document, now: Timestamp) {
        if document.phases.is_empty() {
            return;
        }
        let elapsed = milliseconds(document.run.started, now);
        self.heading("phases");
        self.lines.extend(waterfall(&document.phases, elapsed, self.style));
    }

    pub(super) fn health(&mut self, stages: &[HealthStage]) {
        if stages.is_empty() {
            return;
        }
        self.heading("health");
        for stage in stages {
            let (tone, state) = match (stage.skipped, stage.ok) {
                (true, _) => (Tone::Dim, "skipped"),
                (false, true) => (Tone::Good, "ok"),
                (false, false) => (Tone::Bad, "failing"),
            };
            let state = cell(self.style, tone, state, 8);
            let time = stage.ms.map(duration).unwrap_or_default();
            let status = stage.status.map(|status| status.to_string()).unwrap_or_default();
            let name: String = stage.stage.chars().take(40).collect();
            self.lines.push(format!("  {name:<40} {state} {time:>8}  {status}").trim_end().to_owned());
        }
    }

    pub(super) fn facts(&mut self, document: &Document) {
        self.lines.push(String::new());
        let image = &document.image;
        if let Some(requested) = &image.requested {
            let source = image.source.map(|source| format!(" ({source})")).unwrap_or_default();
            self.field("image", &format!("{requested}{source}"));
            if let Some(digest) = &image.digest {
                // 71 characters, meant to be copied whole: the one line that is not aligned.
                self.pieces("digest   ", digest);
            }
            let commit = image.commit.as_ref().map(|commit| format!("commit {commit}"));
            self.optional_field("", commit.as_deref());
            let why = image.why_built.as_ref().map(|why| format!("from source because {why}"));
            self.optional_field("", why.as_deref());
        }
        if let Some(serving) = document.serving.as_ref().filter(|serving| serving.run != document.run.id) {
            self.field(
                "serving",
                &format!("{} of run {}, since {}", serving.image, serving.run, serving.since),
            );
        }
        if let Some(database) = &document.database {
            self.field("database", &format!("{} ({})", database.endpoint, database.state));
        }
        if let Some(migration) = &document.migration {
            let tries = tries(migration.attempts);
            let moved = match (&migration.from, &migration.to) {
                (Some(from), Some(to)) => format!(", {from} -> {to}"),
                (None, Some(to)) => format!(", to {to}"),
                _ => String::new(),
            };
            self.field("migration", &format!("{}{moved}{tries}", migration.state));
        }
        let app = &document.app;
        let restarts =
            if app.restarts > 0 { format!(", restarted {} times", app.restarts) } else { String::new() };
        let container = app.container.as_ref().map(|name| format!("container {name}{restarts}"));
        let app = [app.url.clone(), container].into_iter().flatten().collect::<Vec<_>>().join(", ");
        self.optional_field("app", Some(app.as_str()).filter(|app| !app.is_empty()));
        let instance = &document.instance;
        let parts = [&instance.id, &instance.kind, &instance.az, &instance.private_ip, &instance.public_ip];
        let parts = parts.into_iter().flatten().cloned().collect::<Vec<_>>().join(", ");
        self.optional_field("instance", Some(parts.as_str()).filter(|parts| !parts.is_empty()));
        for note in &document.notes {
            self.field("note", note);
        }
    }

    pub(super) fn fault(&mut self, fault: &FaultReport) {
        self.heading("fault");
        let phase = fault.phase.map(|phase| format!(" in {phase}")).unwrap_or_default();
        let retryable = if fault.retryable { ", may pass by itself" } else { "" };
        let what = format!("{} ({}){phase}{}{retryable}", fault.code, fault.class, tries(fault.attempts));
        self.painted("  code", Tone::Bad, &what);
        self.field("  message", &fault.message);
        self.optional_field("  hint", Some(fault.hint.as_str()).filter(|hint| !hint.is_empty()));
        self.tail(&fault.tail);
    }

    fn tail(&mut self, tail: &str) {
        if !tail.is_empty() {
            self.lines.push("  last output".to_owned());
        }
        for line in tail.lines() {
            self.pieces("  | ", line);
        }
    }
}

fn tries(attempts: u32) -> String {
    if attempts > 1 { format!(", {attempts} tries") } else { String::new() }
}

fn milliseconds(from: Timestamp, to: Timestamp) -> u64 {
    let seconds = to.unix().saturating_sub(from.unix());
    u64::try_from(seconds).unwrap_or(0).saturating_mul(1000)
}
