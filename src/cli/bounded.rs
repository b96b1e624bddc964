//! Output within a number of bytes, for readers that show no more: the console
//! of Run Command ends at 2,500 characters.

use std::collections::VecDeque;
use std::io::{self, Write};

/// Stands where something was left out.
const MARK: &str = "…";

/// Reads `--bytes`: in fewer than a hundred there is no room for a sentence.
///
/// # Errors
/// What was expected.
pub fn bytes(text: &str) -> Result<usize, &'static str> {
    text.parse().ok().filter(|bytes| *bytes >= 100).ok_or("expected a number of bytes, 100 or more")
}

/// The first whole lines of a text within `max` bytes, and how many are left out.
#[must_use]
pub fn first(text: &str, max: usize) -> String {
    if text.len() <= max {
        return text.to_owned();
    }
    let all = text.lines().count();
    let last = |left_out: usize| format!("{MARK} {left_out} more lines\n");
    let room = max.saturating_sub(last(all).len());
    let mut kept = String::new();
    let mut lines = 0;
    for line in text.lines().take_while(|line| {
        lines += line.len() + 1;
        lines <= room
    }) {
        kept.push_str(line);
        kept.push('\n');
    }
    match kept.lines().count() {
        0 => cut(text.lines().next().unwrap_or_default(), max.saturating_sub(1)) + "\n",
        shown => kept + &last(all - shown),
    }
}

/// Takes all that is written and keeps the newest lines within `max` bytes. No
/// line takes more than a quarter of that: one long line must not hide the others.
#[derive(Debug)]
pub struct Newest {
    max: usize,
    partial: Vec<u8>,
    lines: VecDeque<String>,
    bytes: usize,
    left_out: bool,
}

impl Newest {
    /// Nothing yet, and room for `max` bytes.
    #[must_use]
    pub fn new(max: usize) -> Self {
        Self { max, partial: Vec::new(), lines: VecDeque::new(), bytes: 0, left_out: false }
    }

    /// What is kept, each line with its line break, behind a mark where older lines are left out.
    #[must_use]
    pub fn finish(mut self) -> String {
        if !self.partial.is_empty() {
            self.end_line();
        }
        let mark = if self.left_out { format!("{MARK}\n") } else { String::new() };
        self.lines.iter().fold(mark, |text, line| text + line + "\n")
    }

    fn end_line(&mut self) {
        let bytes = std::mem::take(&mut self.partial);
        let line = String::from_utf8_lossy(&bytes);
        let line = cut(line.trim_end_matches('\r'), self.max / 4);
        self.bytes += line.len() + 1;
        self.lines.push_back(line);
        while self.bytes + MARK.len() + 1 > self.max {
            let Some(oldest) = self.lines.pop_front() else { break };
            self.bytes -= oldest.len() + 1;
            self.left_out = true;
        }
    }
}

impl Write for Newest {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        for piece in bytes.split_inclusive(|byte| *byte == b'\n') {
            let text = piece.strip_suffix(b"\n").unwrap_or(piece);
            // More than this is never shown, and a line may be without end.
            let room = self.max.saturating_sub(self.partial.len());
            self.partial.extend_from_slice(&text[..text.len().min(room)]);
            if text.len() < piece.len() {
                self.end_line();
            }
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The beginning of a line within `max` bytes, whole characters only, with a mark where it is cut.
fn cut(line: &str, max: usize) -> String {
    if line.len() <= max {
        return line.to_owned();
    }
    let end = line.floor_char_boundary(max.saturating_sub(MARK.len()));
    format!("{}{MARK}", &line[..end])
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn newest(text: &[u8], max: usize) -> String {
        let mut newest = Newest::new(max);
        newest.write_all(text).unwrap();
        newest.finish()
    }

    #[test]
    fn the_newest_lines_are_kept_and_a_mark_tells_of_the_others() {
        assert_eq!(newest(b"one\ntwo\nthree", 40), "one\ntwo\nthree\n");
        assert_eq!(newest(b"one\ntwo\nthree\nfour\nfive\n", 20), "…\nthree\nfour\nfive\n");
        assert_eq!(newest(b"", 20), "");
    }

    #[test]
    fn a_long_line_does_not_hide_the_others() {
        let text = format!("before\n{}\nafter\n", "ä".repeat(4096));
        assert_eq!(newest(text.as_bytes(), 60), format!("before\n{}…\nafter\n", "ä".repeat(6)));
    }

    #[test]
    fn the_first_lines_are_kept_and_the_others_counted() {
        assert_eq!(first("one\ntwo\n", 8), "one\ntwo\n");
        assert_eq!(first("one\ntwo\nthree\nfour\nfive\nsix\n", 26), "one\ntwo\n… 4 more lines\n");
        assert_eq!(first(&"é".repeat(99), 10), "ééé…\n");
    }

    proptest! {
        #[test]
        fn nothing_exceeds_its_bytes(
            lines in proptest::collection::vec("[a-zß-ü€\u{1f600}]{0,60}", 0..30), max in 24_usize..400,
        ) {
            let text = lines.join("\n");
            prop_assert!(first(&text, max).len() <= max);
            let shown = newest(text.as_bytes(), max);
            prop_assert!(shown.len() <= max, "{} {shown}", shown.len());
        }

        #[test]
        fn borders_of_writes_do_not_matter(text in "[a-c\n]{0,80}", at in 0_usize..80) {
            let (a, b) = text.as_bytes().split_at(at.min(text.len()));
            let mut parts = Newest::new(30);
            parts.write_all(a).unwrap();
            parts.write_all(b).unwrap();
            prop_assert_eq!(parts.finish(), newest(text.as_bytes(), 30));
        }
    }
}
