//! The phases of a run as bars on its time line.

use super::super::style::{Style, Tone, cell};
use crate::status::{Phase, PhaseState};

/// Columns of a bar: what [`crate::cli::style::WIDTH`] leaves beside name, state and time.
const BAR: u64 = 48;

/// One line per phase: name, state, time, and a bar from its begin to its end.
/// A running phase reaches to `elapsed_ms`, the age of the run.
#[must_use]
pub(super) fn waterfall(phases: &[Phase], elapsed_ms: u64, style: Style) -> Vec<String> {
    let spans: Vec<Option<(u64, u64)>> = phases.iter().map(|phase| span(phase, elapsed_ms)).collect();
    let whole = spans.iter().flatten().map(|(_, end)| *end).max().unwrap_or(0).max(1);
    phases.iter().zip(spans).map(|(phase, span)| line(phase, span, whole, style)).collect()
}

/// Begin and end in milliseconds from the start of the run.
fn span(phase: &Phase, elapsed_ms: u64) -> Option<(u64, u64)> {
    let start = phase.start_ms?;
    let end = match (phase.ms, phase.state) {
        (Some(ms), _) => start.saturating_add(ms),
        (None, PhaseState::Running) => elapsed_ms,
        (None, _) => return None,
    };
    Some((start, end.max(start)))
}

fn line(phase: &Phase, span: Option<(u64, u64)>, whole: u64, style: Style) -> String {
    let tone = Tone::from(phase.state);
    let state = cell(style, tone, phase.state.name(), 8);
    let ms = span.map(|(start, end)| end - start).or(phase.ms);
    let time = ms.map(duration).unwrap_or_default();
    let bar = span.map(|(start, end)| style.paint(tone, &bar(start, end, whole))).unwrap_or_default();
    format!("  {:<9} {state} {time:>8}  {bar}", phase.name).trim_end().to_owned()
}

fn bar(start: u64, end: u64, whole: u64) -> String {
    let scale = |ms: u64| {
        let column = u128::from(ms) * u128::from(BAR) / u128::from(whole);
        usize::try_from(column).unwrap_or_default()
    };
    // However short, a phase that took place is seen.
    let from = scale(start).min(scale(whole) - 1);
    let length = scale(end).saturating_sub(from).max(1);
    format!("{}{}", " ".repeat(from), "=".repeat(length))
}

/// A duration in the unit that reads best.
#[must_use]
pub(super) fn duration(ms: u64) -> String {
    match ms {
        0..1_000 => format!("{ms} ms"),
        1_000..60_000 => format!("{}.{} s", ms / 1000, ms % 1000 / 100),
        60_000..3_600_000 => format!("{}m {:02}s", ms / 60_000, ms % 60_000 / 1000),
        _ => format!("{}h {:02}m", ms / 3_600_000, ms % 3_600_000 / 60_000),
    }
}
