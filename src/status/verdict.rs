//! The one line a person can act on, derived from the document alone.

use super::document::Document;
use super::fit::MAX_VERDICT;
use super::run::{Outcome, PhaseName, PhaseState};
use super::sections::{FaultReport, ImageSource, ServiceState, Serving};
use super::text::{keep_start, one_line};

/// Bytes of a foreign message in the verdict, so that the hint after it is seen.
const MAX_MESSAGE: usize = 120;

/// The verdict: one line of at most [`MAX_VERDICT`] bytes.
#[must_use]
pub fn verdict(document: &Document) -> String {
    let line = match document.run.outcome {
        Outcome::InProgress => in_progress(document),
        Outcome::Failed => failed(document, "failed"),
        Outcome::RolledBack => failed(document, "rolled back"),
        Outcome::Superseded => superseded(document),
        Outcome::Ready => ready(document),
    };
    let notes = match document.notes.as_slice() {
        [] => String::new(),
        notes => format!(" ({})", notes.join("; ")),
    };
    keep_start(&one_line(&format!("{line}{notes}")), MAX_VERDICT).into_owned()
}

fn in_progress(document: &Document) -> String {
    let running = document.phases.iter().filter(|phase| phase.state == PhaseState::Running);
    let mut doing: Vec<String> = running
        .map(|phase| {
            let what = activity(document, phase.name);
            if phase.attempts <= 1 {
                return what;
            }
            let of = if phase.tries > 1 { format!(" of {}", phase.tries) } else { String::new() };
            format!("{what} (try {}{of})", phase.attempts)
        })
        .collect();
    if doing.is_empty() {
        doing.push(document.run.phase.map_or("starting".to_owned(), |phase| format!("after {phase}")));
    }
    let serving = match (&document.serving, document.service.state) {
        (Some(serving), ServiceState::Up | ServiceState::Degraded) => {
            format!("; {} still serves", serving.image)
        }
        (None, ServiceState::Down) => "; nothing serves meanwhile".to_owned(),
        _ => String::new(),
    };
    format!("in progress: {}{serving}", doing.join(", "))
}

fn activity(document: &Document, phase: PhaseName) -> String {
    let image = &document.image;
    match phase {
        PhaseName::Resolve => "reading identity and parameters".to_owned(),
        PhaseName::Image if image.why_built.is_some() => {
            let commit = image.commit.as_deref().map(|commit| format!(" from commit {}", short(commit)));
            format!("building image{}", commit.unwrap_or_default())
        }
        PhaseName::Image => match image.progress {
            Some(progress) => {
                let megabytes = |bytes: u64| bytes / 1_000_000;
                let total = progress.total.map(|total| format!("/{}", megabytes(total))).unwrap_or_default();
                format!("pulling image {}{total} MB", megabytes(progress.bytes))
            }
            None => "pulling image".to_owned(),
        },
        PhaseName::Database => {
            let endpoint = document.database.as_ref().map_or("the database", |d| d.endpoint.as_str());
            format!("waiting for {endpoint}")
        }
        PhaseName::Jobs => "running jobs".to_owned(),
        PhaseName::Migrate => "migrating the database".to_owned(),
        PhaseName::Start => "starting the app".to_owned(),
        PhaseName::Health => match document.health.iter().rfind(|stage| !stage.ok && !stage.skipped) {
            Some(stage) => format!("waiting for the app to pass {}", stage.stage),
            None => "waiting for the app to be healthy".to_owned(),
        },
    }
}

fn ready(document: &Document) -> String {
    match document.service.state {
        ServiceState::Degraded | ServiceState::Down => troubled(document),
        ServiceState::Unwatched => {
            format!("unwatched: the agent was stopped; last seen: {}", serves(document))
        }
        ServiceState::Up | ServiceState::None => format!("ready: {}{}", serves(document), deeds(document)),
    }
}

/// What the service suffers from.
fn troubled(document: &Document) -> String {
    let state = document.service.state;
    let Some(cause) = &document.service.cause else { return format!("{state}: {}", serves(document)) };
    let code = cause.code.map(|code| format!("{code}: ")).unwrap_or_default();
    let hint = cause.code.map(|code| format!(". {}", code.hint())).unwrap_or_default();
    format!("{state}: {}: {code}{}{hint}", cause.class, keep_start(&cause.message, MAX_MESSAGE))
}

/// Image and address.
fn serves(document: &Document) -> String {
    let image = document.serving.as_ref().map(named);
    let image = image.or_else(|| document.image.requested.clone()).unwrap_or_else(|| "the app".to_owned());
    match &document.app.url {
        Some(url) => format!("{image} serves {url}"),
        None => format!("{image} serves"),
    }
}

fn named(serving: &Serving) -> String {
    match (&serving.digest, &serving.commit) {
        (_, Some(commit)) => format!("{} (built from {})", serving.image, short(commit)),
        (Some(digest), None) => format!("{} ({})", serving.image, short(digest)),
        (None, None) => serving.image.clone(),
    }
}

/// What the run did on its way to ready.
fn deeds(document: &Document) -> String {
    let mut deeds = String::new();
    if let (Some(ImageSource::Built), Some(why)) = (document.image.source, &document.image.why_built) {
        deeds += &format!(", built because {}", keep_start(why, MAX_MESSAGE));
    }
    if let Some(migration) = document.migration.as_ref().filter(|m| m.state == PhaseState::Done) {
        match (&migration.from, &migration.to) {
            (Some(from), Some(to)) => deeds += &format!(", migrated {from}→{to}"),
            (None, Some(to)) => deeds += &format!(", migrated to {to}"),
            _ => {}
        }
    }
    if let Some(finished) = document.run.finished {
        deeds += &format!(", {} s", finished.unix().saturating_sub(document.run.started.unix()).max(0));
    }
    deeds
}

fn failed(document: &Document, outcome: &str) -> String {
    let Some(fault) = &document.fault else { return format!("{outcome}{}", rest(document)) };
    let FaultReport { code, class, message, hint, .. } = fault;
    let phase = fault.phase.or(document.run.phase).map(|phase| format!(" in {phase}")).unwrap_or_default();
    let message = keep_start(message, MAX_MESSAGE);
    format!("{outcome}{phase}: {code} ({class}): {message}{}. {hint}", rest(document))
}

/// What a failed run left behind.
fn rest(document: &Document) -> String {
    let image = document.serving.as_ref().map_or("the app", |serving| serving.image.as_str());
    match document.service.state {
        ServiceState::Up => format!("; serving the previous {image}"),
        ServiceState::Degraded => format!("; {image} is degraded"),
        ServiceState::Down => "; the app is down".to_owned(),
        ServiceState::None => "; nothing serves".to_owned(),
        ServiceState::Unwatched => "; the agent was stopped".to_owned(),
    }
}

fn superseded(document: &Document) -> String {
    match &document.run.superseded_by {
        Some(run) => format!("superseded by run {run}"),
        None => "superseded by a newer run".to_owned(),
    }
}

/// A digest or commit, long enough to tell it from others.
fn short(hash: &str) -> String {
    let (prefix, hex) = hash.split_once(':').map_or(("", hash), |(algorithm, hex)| (algorithm, hex));
    let colon = if prefix.is_empty() { "" } else { ":" };
    let hex: String = hex.chars().take(12).collect();
    format!("{prefix}{colon}{hex}")
}
