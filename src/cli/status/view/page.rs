//! Lines of at most [`WIDTH`] columns: names on the left, their values beside them.

use super::super::super::style::{Style, Tone, WIDTH, wrap};

/// Columns of the names on the left.
const NAME: usize = 11;

/// A page that is being written.
pub(super) struct Page {
    pub(super) lines: Vec<String>,
    pub(super) style: Style,
}

impl Page {
    /// An empty page.
    pub(super) fn new(style: Style) -> Self {
        Self { lines: Vec::new(), style }
    }

    /// The page so far.
    pub(super) fn text(&self) -> String {
        self.lines.join("\n").trim_end().to_owned() + "\n"
    }

    /// A paragraph over the whole width.
    pub(super) fn wrapped(&mut self, tone: Tone, text: &str) {
        let lines = wrap(text, WIDTH);
        self.lines.extend(lines.iter().map(|line| self.style.paint(tone, line)));
    }

    /// The text as it is, cut only where a line is full; every piece behind `prefix`.
    pub(super) fn pieces(&mut self, prefix: &str, text: &str) {
        let chars: Vec<char> = text.chars().map(|c| if c == '\n' { ' ' } else { c }).collect();
        let pieces = chars.chunks(WIDTH - prefix.len());
        self.lines.extend(pieces.map(|piece| format!("{prefix}{}", piece.iter().collect::<String>())));
    }

    /// The name of what comes next.
    pub(super) fn heading(&mut self, name: &str) {
        self.lines.push(String::new());
        self.lines.push(name.to_owned());
    }

    /// A field, if it has a value.
    pub(super) fn optional_field(&mut self, name: &str, value: Option<&str>) {
        if let Some(value) = value {
            self.field(name, value);
        }
    }

    /// A name and its value.
    pub(super) fn field(&mut self, name: &str, value: &str) {
        self.push(name, value, |line| line.to_owned());
    }

    /// A name and its value, which has a tone.
    pub(super) fn painted(&mut self, name: &str, tone: Tone, value: &str) {
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
