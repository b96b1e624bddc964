//! Values that several sections have: image names, durations, ports and command lines.

use std::time::Duration;

use super::super::field::Field;
use super::super::image_reference::ImageReference;
use super::super::placeholders::Text;
use super::super::quantity;
use super::super::value::checked_text;

/// An image name, checked at once if it has no placeholder.
pub(super) fn image(field: &Field<'_>) -> Option<Text> {
    checked_text(field, |name| ImageReference::parse(name).map(|_| ()))
}

/// A duration.
pub(super) fn duration(field: &Field<'_>) -> Option<Duration> {
    field.parse("a duration such as 20m", quantity::duration)
}

/// A duration inside the whole run's: what can never be reached is a mistake.
pub(super) fn duration_within(field: &Field<'_>, longest: Duration) -> Option<Duration> {
    match duration(field)? {
        limit if limit > longest => field.fail("longer than `deadline`, the limit of the whole run"),
        limit => Some(limit),
    }
}

/// A TCP port.
pub(super) fn port(field: &Field<'_>) -> Option<u16> {
    field.parse("a port from 1 to 65535", |text| port_number(text).ok_or("expected a port from 1 to 65535"))
}

pub(super) fn port_number(text: &str) -> Option<u16> {
    text.parse().ok().filter(|port| *port > 0)
}

/// At least one word.
pub(super) fn command_line(field: &Field<'_>) -> Option<Vec<String>> {
    match arguments(field)? {
        words if words.is_empty() => field.fail("expected at least one word"),
        words => Some(words),
    }
}

/// A list of words; a single text is refused, since nothing here would split it.
pub(super) fn arguments(field: &Field<'_>) -> Option<Vec<String>> {
    let words = field.items("a list of words such as [alembic, upgrade, head]")?;
    let words: Vec<Option<&str>> = words.iter().map(|word| word.text("a word")).collect();
    words.into_iter().map(|word| word.map(str::to_owned)).collect()
}
