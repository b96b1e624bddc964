//! Plain text in 80 columns, with colour where a person looks.

use std::io::IsTerminal as _;

use crate::status::{PhaseState, ServiceState};

/// Columns of a line.
pub const WIDTH: usize = 80;

/// Whether and how to colour.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Style {
    /// Whether escape sequences are written.
    pub colour: bool,
}

/// A colour by its meaning.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tone {
    /// As it should be.
    Good,
    /// Under way or in doubt.
    Warn,
    /// Not as it should be.
    Bad,
    /// Of lesser weight.
    Dim,
}

impl Style {
    /// Colour on a terminal, unless `NO_COLOR` is set to something (no-color.org).
    #[must_use]
    pub fn from_env() -> Self {
        let refused = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        Self { colour: std::io::stdout().is_terminal() && !refused }
    }

    /// The text in a tone.
    #[must_use]
    pub fn paint(self, tone: Tone, text: &str) -> String {
        if !self.colour {
            return text.to_owned();
        }
        // SGR parameters of ECMA-48.
        let code = match tone {
            Tone::Good => 32,
            Tone::Warn => 33,
            Tone::Bad => 31,
            Tone::Dim => 2,
        };
        format!("\u{1b}[{code}m{text}\u{1b}[0m")
    }
}

impl From<PhaseState> for Tone {
    fn from(state: PhaseState) -> Self {
        match state {
            PhaseState::Done | PhaseState::Kept => Tone::Good,
            PhaseState::Running => Tone::Warn,
            PhaseState::Failed | PhaseState::Cut => Tone::Bad,
            PhaseState::Pending | PhaseState::Skipped => Tone::Dim,
        }
    }
}

impl From<ServiceState> for Tone {
    fn from(state: ServiceState) -> Self {
        match state {
            ServiceState::Up => Tone::Good,
            ServiceState::Degraded | ServiceState::Unwatched => Tone::Warn,
            ServiceState::Down => Tone::Bad,
            ServiceState::None => Tone::Dim,
        }
    }
}

/// The text in a tone, filled up with blanks to `width` columns.
pub(super) fn cell(style: Style, tone: Tone, text: &str, width: usize) -> String {
    let blanks = width.saturating_sub(text.chars().count());
    format!("{}{:blanks$}", style.paint(tone, text), "")
}

/// The text in lines of at most `width` characters, broken at blanks, and
/// within a word only where it is longer than a line.
#[must_use]
pub fn wrap(text: &str, width: usize) -> Vec<String> {
    let mut lines = vec![];
    let mut line = String::new();
    let mut used = 0;
    for word in text.split_whitespace() {
        let mut word: Vec<char> = word.chars().collect();
        if used > 0 && used + 1 + word.len() > width {
            lines.push(std::mem::take(&mut line));
            used = 0;
        }
        while word.len() > width {
            lines.push(word.drain(..width).collect());
        }
        if used > 0 {
            line.push(' ');
            used += 1;
        }
        used += word.len();
        line.extend(word);
    }
    if used > 0 {
        lines.push(line);
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_break_at_blanks_and_long_words_within() {
        assert_eq!(wrap("one two three", 7), ["one two", "three"]);
        assert_eq!(wrap("a 123456789", 4), ["a", "1234", "5678", "9"]);
        assert_eq!(wrap("  ", 4), Vec::<String>::new());
    }
}
