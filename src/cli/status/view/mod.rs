//! The status as a person reads it: the verdict first, then what led to it.

mod page;
mod sections;

use self::page::Page;
use super::super::bounded::first;
use super::super::style::Style;
use crate::redact::plain;
use crate::status::{Document, Timestamp, fit};

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

/// The whole view, in lines of at most [`crate::cli::style::WIDTH`] columns.
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
    let mut page = Page::new(style);
    page.verdict(&document, now);
    // A dead agent's run did not go on after its last word.
    let now = if document.expires_at < now { document.heartbeat_at } else { now };
    let shown = |part| !omitted.contains(&part);
    if shown(Part::Run) {
        page.run(&document, now);
    }
    if shown(Part::Phases) {
        page.phases(&document, now);
    }
    if shown(Part::Health) {
        page.health(&document.health);
    }
    if shown(Part::Facts) {
        page.facts(&document);
    }
    if let Some(fault) = &document.fault {
        page.fault(fault);
    }
    page.text()
}
