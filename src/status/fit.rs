//! From a document to bytes: at most [`MAX_BYTES`], whatever it holds.
//!
//! Every text has a cap of its own. Where the whole is still too long, the
//! tail shrinks first, then detail goes step by step; the verdict, the fault's
//! code and what tells whose answer it is stay.

use super::document::Document;
use super::run::PhaseState;
use super::sections::{App, Image, Instance};
use super::text::{json_len, keep_end, keep_start};

/// Run Command shows 2,400 characters of an answer; the rest is for a line or
/// two around it.
pub const MAX_BYTES: usize = 2300;

/// Bytes of the verdict.
pub const MAX_VERDICT: usize = 300;

/// Bytes of the tail before the whole is weighed.
const MAX_TAIL: usize = 1200;

/// Bytes of the tail that outlast the detail of phases and health: about two lines.
const LAST_LINES: usize = 200;

/// Entries in a list.
const MAX_HEALTH: usize = 8;
const MAX_NOTES: usize = 4;
const MAX_PHASES: usize = 7;

/// The document as bytes of JSON without `{{`, which the parameter store refuses.
#[must_use]
pub fn to_json(mut document: Document) -> String {
    cap(&mut document);
    let mut json = serialise(&document);
    for step in STEPS {
        if json.len() <= MAX_BYTES {
            break;
        }
        step(&mut document, json.len() - MAX_BYTES);
        json = serialise(&document);
    }
    json
}

/// In JSON an opening brace is followed by a quote or a closing brace, so two
/// in a row stand inside a string, where the escape is the same text.
fn serialise(document: &Document) -> String {
    serde_json::to_string(document).unwrap_or_default().replace("{{", r"{\u007b")
}

/// Calls `visit` with every free text and the bytes it may take.
pub(crate) fn texts(document: &mut Document, visit: &mut dyn FnMut(&mut String, usize)) {
    let Document { run, service, serving, image, instance, database, migration, app, .. } = document;
    let some = [
        (&mut run.deployment, 64),
        (&mut image.requested, 200),
        (&mut image.digest, 80),
        (&mut image.commit, 64),
        (&mut image.why_built, 160),
        (&mut instance.id, 24),
        (&mut instance.region, 24),
        (&mut instance.az, 24),
        (&mut instance.kind, 24),
        (&mut instance.private_ip, 45),
        (&mut instance.public_ip, 45),
        (&mut app.container, 64),
        (&mut app.url, 120),
    ];
    for (text, max) in some {
        text.iter_mut().for_each(|text| visit(text, max));
    }
    visit(&mut run.id.0, 48);
    run.superseded_by.iter_mut().for_each(|run| visit(&mut run.0, 48));
    visit(&mut document.agent.version, 24);
    if let Some(cause) = &mut service.cause {
        visit(&mut cause.message, 240);
        visit(&mut cause.tail, usize::MAX);
    }
    if let Some(serving) = serving {
        visit(&mut serving.image, 200);
        visit(&mut serving.run.0, 48);
        serving.digest.iter_mut().for_each(|text| visit(text, 80));
        serving.commit.iter_mut().for_each(|text| visit(text, 64));
    }
    if let Some(database) = database {
        visit(&mut database.endpoint, 160);
    }
    if let Some(migration) = migration {
        migration.from.iter_mut().for_each(|text| visit(text, 48));
        migration.to.iter_mut().for_each(|text| visit(text, 48));
    }
    document.health.iter_mut().for_each(|stage| visit(&mut stage.stage, 80));
    document.notes.iter_mut().for_each(|note| visit(note, 160));
    if let Some(fault) = &mut document.fault {
        visit(&mut fault.message, 400);
        visit(&mut fault.hint, 200);
        visit(&mut fault.tail, usize::MAX);
    }
}

fn cap(document: &mut Document) {
    texts(document, &mut |text, max| shorten(text, max));
    document.verdict = keep_start(&document.verdict, MAX_VERDICT).into_owned();
    document.phases.truncate(MAX_PHASES);
    document.health.truncate(MAX_HEALTH);
    document.notes.truncate(MAX_NOTES);
    if let (Some(fault), Some(cause)) = (&document.fault, &mut document.service.cause)
        && fault.tail == cause.tail
    {
        cause.tail.clear();
    }
    shorten_tail(document, MAX_TAIL);
}

fn shorten(text: &mut String, max: usize) {
    if json_len(text) > max {
        *text = keep_start(text, max).into_owned();
    }
}

fn shorten_tail(document: &mut Document, max: usize) {
    for tail in tails(document) {
        *tail = keep_end(tail, max).into_owned();
    }
}

/// The last output of what failed, and of the application since.
fn tails(document: &mut Document) -> impl Iterator<Item = &mut String> {
    let fault = document.fault.iter_mut().map(|fault| &mut fault.tail);
    fault.chain(document.service.cause.iter_mut().map(|cause| &mut cause.tail))
}

/// One way to make a document shorter, given the bytes it is too long by.
type Step = fn(&mut Document, usize);

/// In this order; after the last one everything left has a fixed, small size.
const STEPS: &[Step] = &[
    |document, excess| {
        let len = tails(document).map(|tail| json_len(tail)).max().unwrap_or(0);
        shorten_tail(document, len.saturating_sub(excess).max(LAST_LINES));
    },
    |document, _| document.phases.retain(|phase| phase.state != PhaseState::Pending),
    |document, _| {
        for phase in document.phases.iter_mut().filter(|phase| phase.state != PhaseState::Running) {
            (phase.start_ms, phase.attempts, phase.tries) = (None, 0, 0);
        }
    },
    |document, _| document.phases.clear(),
    |document, _| {
        for stage in document.health.iter_mut().filter(|stage| stage.ok) {
            (stage.status, stage.ms) = (None, None);
        }
    },
    |document, _| document.health.retain(|stage| !stage.ok && !stage.skipped),
    |document, _| document.health.truncate(1),
    |document, _| document.notes.truncate(1),
    |document, _| shorten_tail(document, 0),
    |document, _| document.notes.clear(),
    |document, _| document.next_try_at = None,
    |document, _| {
        let id = document.instance.id.take();
        document.instance = Instance { id, ..Instance::default() };
    },
    |document, _| {
        document.image.why_built = None;
        document.image.commit = None;
    },
    |document, _| document.fault.iter_mut().for_each(|fault| shorten(&mut fault.message, 120)),
    |document, _| document.health.clear(),
    |document, _| document.app = App::default(),
    |document, _| document.database = None,
    |document, _| document.migration = None,
    |document, _| document.image = Image::default(),
    |document, _| document.service.cause.iter_mut().for_each(|cause| shorten(&mut cause.message, 80)),
    |document, _| document.serving = None,
];
