//! What a container or a build prints, made fit to keep: cut into lines,
//! stripped of terminal control, redacted, and bounded.

use std::collections::VecDeque;

use super::plain::plain;
use super::redactor::Redactor;

/// A line longer than this many bytes is cut.
const LINE_MAX: usize = 8 * 1024;

/// Splits a byte stream into clean, redacted lines, whatever the borders of its chunks.
#[derive(Debug)]
pub struct Lines {
    redactor: Redactor,
    partial: Vec<u8>,
    /// The rest of an overlong line is being dropped.
    cut: bool,
}

impl Lines {
    /// A splitter that masks what `redactor` knows.
    #[must_use]
    pub fn new(redactor: Redactor) -> Self {
        Self { redactor, partial: Vec::new(), cut: false }
    }

    /// Takes a chunk and returns the lines it completes.
    pub fn push(&mut self, chunk: &[u8]) -> Vec<String> {
        let mut lines = Vec::new();
        for piece in chunk.split_inclusive(|byte| *byte == b'\n') {
            let room = LINE_MAX.saturating_sub(self.partial.len());
            let taken = piece.len().min(room);
            self.partial.extend_from_slice(&piece[..taken]);
            self.cut |= taken < piece.len() && piece[taken..] != *b"\n";
            if piece.ends_with(b"\n") {
                lines.extend(self.finish());
            }
        }
        lines
    }

    /// The last line, if the stream ended without a line break.
    pub fn finish(&mut self) -> Option<String> {
        if self.partial.is_empty() {
            return None;
        }
        let bytes = std::mem::take(&mut self.partial);
        let text = String::from_utf8_lossy(&bytes);
        // Before, since an escape sequence may swallow a secret's beginning; after, since one may part it.
        let masked = self.redactor.apply(text.trim_end_matches(['\n', '\r']));
        let mut line = self.redactor.apply(&plain(&masked)).into_owned();
        if std::mem::take(&mut self.cut) {
            // Half a secret at the cut would not be recognised: drop as much as one could span.
            let mut end = line.len().saturating_sub(self.redactor.longest());
            while !line.is_char_boundary(end) {
                end -= 1;
            }
            line.truncate(end);
            line.push_str(" [line cut]");
        }
        Some(line)
    }
}

/// Which of a process's two outputs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stream {
    /// Standard output.
    Out,
    /// Standard error.
    Err,
}

/// The lines of both outputs of a process. Their chunks interleave, so each has its own borders: a line
/// of one between two chunks of the other must not part a secret.
#[derive(Debug)]
pub struct Outputs([Lines; 2]);

impl Outputs {
    /// A splitter that masks what `redactor` knows.
    #[must_use]
    pub fn new(redactor: &Redactor) -> Self {
        Self([Lines::new(redactor.clone()), Lines::new(redactor.clone())])
    }

    /// Takes a chunk and returns the lines it completes.
    pub fn push(&mut self, stream: Stream, chunk: &[u8]) -> Vec<String> {
        let [out, err] = &mut self.0;
        match stream {
            Stream::Out => out.push(chunk),
            Stream::Err => err.push(chunk),
        }
    }

    /// The last lines, where an output ended without a line break.
    pub fn finish(&mut self) -> impl Iterator<Item = String> {
        self.0.iter_mut().filter_map(Lines::finish)
    }
}

/// The last lines of an output, bounded in bytes.
#[derive(Debug, Default)]
pub struct Tail {
    lines: VecDeque<String>,
    bytes: usize,
}

impl Tail {
    /// Bytes kept: far more than the status holds, enough to classify a failure by.
    const MAX: usize = 16 * 1024;

    /// Adds a line and forgets the oldest beyond the bound.
    pub fn push(&mut self, line: impl Into<String>) {
        let line = line.into();
        self.bytes += line.len() + 1;
        self.lines.push_back(line);
        while self.bytes > Self::MAX && self.lines.len() > 1 {
            self.bytes -= self.lines.pop_front().map_or(0, |old| old.len() + 1);
        }
    }

    /// The lines, oldest first.
    pub fn lines(&self) -> impl DoubleEndedIterator<Item = &str> {
        self.lines.iter().map(String::as_str)
    }

    /// The lines as one text, without empty ones at its end.
    #[must_use]
    pub fn text(&self) -> String {
        let lines: Vec<&str> = self.lines().collect();
        lines.join("\n").trim_end().to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn lines_of(redactor: &Redactor, chunks: &[&[u8]]) -> Vec<String> {
        let mut lines = Lines::new(redactor.clone());
        let mut all: Vec<String> = chunks.iter().flat_map(|chunk| lines.push(chunk)).collect();
        all.extend(lines.finish());
        all
    }

    #[test]
    fn a_secret_split_across_chunks_is_masked() {
        let redactor = Redactor::default();
        redactor.learn("hunter2-hunter2");
        for cut in 1..15 {
            let (a, b) = b"hunter2-hunter2\n".split_at(cut);
            assert_eq!(lines_of(&redactor, &[a, b]), [crate::redact::MASK]);
        }
    }

    #[test]
    fn a_secret_at_the_cut_of_an_overlong_line_leaves_no_half() {
        let redactor = Redactor::default();
        redactor.learn("hunter2-hunter2");
        let mut long = vec![b'x'; LINE_MAX - 7];
        long.extend_from_slice(b"hunter2-hunter2 and more\nnext\n");
        let lines = lines_of(&redactor, &[&long]);
        assert!(!lines[0].contains("hunter2"), "half of it is left");
        assert_eq!(lines[1], "next");
    }

    #[test]
    fn an_escape_sequence_cannot_swallow_the_beginning_of_a_secret() {
        let redactor = Redactor::default();
        redactor.learn("hunter2-hunter2");
        for before in ["\u{1b}[", "\u{1b}]", "\u{1b}P0;", "\u{1b}[3"] {
            let line = format!("{before}hunter2-hunter2 end\n");
            assert!(!lines_of(&redactor, &[line.as_bytes()])[0].contains("unter2"), "{before:?}");
        }
    }

    #[test]
    fn a_line_of_one_output_does_not_part_a_secret_of_the_other() {
        let redactor = Redactor::default();
        redactor.learn("hunter2-hunter2");
        let mut outputs = Outputs::new(&redactor);
        assert!(outputs.push(Stream::Out, b"token hunter2-").is_empty());
        assert_eq!(outputs.push(Stream::Err, b"a warning\n"), ["a warning"]);
        assert_eq!(outputs.push(Stream::Out, b"hunter2\n"), ["token [redacted]"]);
        assert!(outputs.push(Stream::Err, b"the rest").is_empty());
        assert_eq!(outputs.finish().collect::<Vec<_>>(), ["the rest"]);
    }

    #[test]
    fn a_tail_is_bounded_and_keeps_the_end() {
        let mut tail = Tail::default();
        for n in 0..100_000 {
            tail.push(format!("line {n}"));
        }
        assert!(tail.text().len() <= Tail::MAX);
        assert!(tail.text().ends_with("line 99999"));
    }

    proptest! {
        #[test]
        fn lines_do_not_depend_on_chunk_borders(bytes in proptest::collection::vec(any::<u8>(), 0..200), cut in 0_usize..200) {
            let (a, b) = bytes.split_at(cut.min(bytes.len()));
            let redactor = Redactor::default();
            prop_assert_eq!(lines_of(&redactor, &[a, b]), lines_of(&redactor, &[&bytes]));
        }
    }
}
