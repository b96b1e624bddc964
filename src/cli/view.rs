//! The status as a person reads it: the verdict first, then what led to it.

use super::bounded::first;
use super::style::{Style, Tone, WIDTH, cell, wrap};
use super::waterfall::{duration, waterfall};
use crate::redact::plain;
use crate::status::{Document, FaultReport, HealthStage, Outcome, ServiceState, Timestamp, fit};

/// Columns of the names on the left.
const NAME: usize = 11;

/// A part of the view that may be left out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Part {
    Phases,
    Health,
    Run,
    Facts,
}

/// What goes first where there is no room for all; verdict and fault stay.
const LEAST_FIRST: [Part; 4] = [Part::Phases, Part::Health, Part::Run, Part::Facts];

/// The whole view, in lines of at most [`WIDTH`] columns.
#[must_use]
pub fn render(document: &Document, now: Timestamp, style: Style) -> String {
    render_without(&[], document, now, style)
}

/// The view within `max` bytes: it loses one part after the other, then the end of the fault.
#[must_use]
pub fn render_within(document: &Document, now: Timestamp, style: Style, max: usize) -> String {
    let without = |parts: usize| render_without(&LEAST_FIRST[..parts], document, now, style);
    let fitting = (0..=LEAST_FIRST.len()).map(without).find(|view| view.len() <= max);
    fitting.unwrap_or_else(|| first(&without(LEAST_FIRST.len()), max))
}

fn render_without(omitted: &[Part], document: &Document, now: Timestamp, style: Style) -> String {
    let mut document = document.clone();
    // Whoever wrote the file: no text of it may drive the terminal.
    fit::texts(&mut document, &mut |text, _| *text = plain(text).into_owned());
    document.verdict = plain(&document.verdict).into_owned();
    let mut view = View { lines: Vec::new(), style };
    view.verdict(&document, now);
    // A dead agent's run did not go on after its last word.
    let now = if document.expires_at < now { document.heartbeat_at } else { now };
    let shown = |part| !omitted.contains(&part);
    if shown(Part::Run) {
        view.run(&document, now);
    }
    if shown(Part::Phases) {
        view.phases(&document, now);
    }
    if shown(Part::Health) {
        view.health(&document.health);
    }
    if shown(Part::Facts) {
        view.facts(&document);
    }
    if let Some(fault) = &document.fault {
        view.fault(fault);
    }
    view.lines.join("\n").trim_end().to_owned() + "\n"
}

struct View {
    lines: Vec<String>,
    style: Style,
}

impl View {
    fn verdict(&mut self, document: &Document, now: Timestamp) {
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

    fn wrapped(&mut self, tone: Tone, text: &str) {
        let lines = wrap(text, WIDTH);
        self.lines.extend(lines.iter().map(|line| self.style.paint(tone, line)));
    }

    fn run(&mut self, document: &Document, now: Timestamp) {
        let run = &document.run;
        self.lines.push(String::new());
        let deployment = run.deployment.as_ref().map(|id| format!(" of {id}")).unwrap_or_default();
        let took = duration(milliseconds(run.started, run.finished.unwrap_or(now)));
        self.field("run", &format!("{}{deployment}, number {}: {}", run.id, run.sequence, run.outcome));
        let deadline = run.deadline.filter(|_| run.finished.is_none());
        let deadline = deadline.map(|time| format!(", ends by {time}")).unwrap_or_default();
        self.field("", &format!("began {}, {took}{deadline}", run.started));
        let service = &document.service;
        let state = format!("{} since {}", service.state, service.since);
        self.painted("service", service.state.into(), &state);
        if let Some(cause) = &service.cause {
            let code = cause.code.map(|code| format!(" {code}")).unwrap_or_default();
            self.field("", &format!("{}{code}: {}", cause.class, cause.message));
            self.tail(&cause.tail);
        }
    }

    fn phases(&mut self, document: &Document, now: Timestamp) {
        if document.phases.is_empty() {
            return;
        }
        let elapsed = milliseconds(document.run.started, now);
        self.heading("phases");
        self.lines.extend(waterfall(&document.phases, elapsed, self.style));
    }

    fn health(&mut self, stages: &[HealthStage]) {
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

    fn facts(&mut self, document: &Document) {
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
            self.some("", commit.as_deref());
            let why = image.why_built.as_ref().map(|why| format!("from source because {why}"));
            self.some("", why.as_deref());
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
        self.some("app", Some(app.as_str()).filter(|app| !app.is_empty()));
        let instance = &document.instance;
        let parts = [&instance.id, &instance.kind, &instance.az, &instance.private_ip, &instance.public_ip];
        let parts = parts.into_iter().flatten().cloned().collect::<Vec<_>>().join(", ");
        self.some("instance", Some(parts.as_str()).filter(|parts| !parts.is_empty()));
        for note in &document.notes {
            self.field("note", note);
        }
    }

    fn fault(&mut self, fault: &FaultReport) {
        self.heading("fault");
        let phase = fault.phase.map(|phase| format!(" in {phase}")).unwrap_or_default();
        let retryable = if fault.retryable { ", may pass by itself" } else { "" };
        let what = format!("{} ({}){phase}{}{retryable}", fault.code, fault.class, tries(fault.attempts));
        self.painted("  code", Tone::Bad, &what);
        self.field("  message", &fault.message);
        self.some("  hint", Some(fault.hint.as_str()).filter(|hint| !hint.is_empty()));
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

    /// The text as it is, cut only where a line is full; every piece behind `prefix`.
    fn pieces(&mut self, prefix: &str, text: &str) {
        let chars: Vec<char> = text.chars().map(|c| if c == '\n' { ' ' } else { c }).collect();
        let pieces = chars.chunks(WIDTH - prefix.len());
        self.lines.extend(pieces.map(|piece| format!("{prefix}{}", piece.iter().collect::<String>())));
    }

    fn heading(&mut self, name: &str) {
        self.lines.push(String::new());
        self.lines.push(name.to_owned());
    }

    fn some(&mut self, name: &str, value: Option<&str>) {
        if let Some(value) = value {
            self.field(name, value);
        }
    }

    fn field(&mut self, name: &str, value: &str) {
        self.push(name, value, |line| line.to_owned());
    }

    fn painted(&mut self, name: &str, tone: Tone, value: &str) {
        let style = self.style;
        self.push(name, value, |line| style.paint(tone, line));
    }

    fn push(&mut self, name: &str, value: &str, paint: impl Fn(&str) -> String) {
        for (n, line) in wrap(value, WIDTH - NAME).iter().enumerate() {
            let name = if n == 0 { name } else { "" };
            self.lines.push(format!("{name:<NAME$}{}", paint(line)));
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
