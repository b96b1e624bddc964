//! Foreign text made harmless and short.

use std::borrow::Cow;

/// Stands where text was left out; three bytes.
const ELLIPSIS: char = '…';

/// The text in one line: line breaks and runs of blanks become one space.
#[must_use]
pub fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Bytes a text takes between the quotes of a JSON string in the status
/// document, where `{{` is written `{\u007b`.
#[must_use]
pub fn json_len(text: &str) -> usize {
    let mut scan = Scan::default();
    text.chars().map(|c| scan.len(c)).sum()
}

/// The longest beginning of the text within `max` bytes of JSON, marked with
/// an ellipsis where something was left out.
#[must_use]
pub fn keep_start(text: &str, max: usize) -> Cow<'_, str> {
    if json_len(text) <= max {
        return Cow::Borrowed(text);
    }
    let mut scan = Scan::default();
    let mut used = ELLIPSIS.len_utf8();
    let mut kept = String::new();
    for c in text.chars() {
        used += scan.len(c);
        if used > max {
            break;
        }
        kept.push(c);
    }
    if max >= ELLIPSIS.len_utf8() {
        kept.push(ELLIPSIS);
    }
    Cow::Owned(kept)
}

/// The longest end of the text within `max` bytes of JSON, marked with an
/// ellipsis where something was left out. The end of an output is where its
/// error stands.
#[must_use]
pub fn keep_end(text: &str, max: usize) -> Cow<'_, str> {
    if json_len(text) <= max {
        return Cow::Borrowed(text);
    }
    let mut scan = Scan::default();
    let mut used = ELLIPSIS.len_utf8();
    let mut start = text.len();
    // Which brace of a run is escaped depends on the side one counts from; how many are does not.
    for (at, c) in text.char_indices().rev() {
        used += scan.len(c);
        if used > max {
            break;
        }
        start = at;
    }
    if max < ELLIPSIS.len_utf8() {
        return Cow::Borrowed("");
    }
    Cow::Owned(format!("{ELLIPSIS}{}", &text[start..]))
}

/// Counts the JSON bytes of a text character by character.
#[derive(Default)]
struct Scan {
    after_open_brace: bool,
}

impl Scan {
    fn len(&mut self, c: char) -> usize {
        let second = c == '{' && self.after_open_brace;
        self.after_open_brace = c == '{' && !second;
        match c {
            '{' if second => r"\u007b".len(),
            '"' | '\\' | '\n' | '\t' | '\r' | '\u{8}' | '\u{c}' => 2,
            '\0'..='\u{1f}' => r"\u0000".len(),
            c => c.len_utf8(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_cut_keeps_the_named_side_and_whole_characters() {
        assert_eq!(keep_start("ääääää", 9), "äää…");
        assert_eq!(keep_end("ääääää", 9), "…äää");
        assert_eq!(keep_end("short", 9), "short");
        assert_eq!(keep_start("long", 2), "");
    }

    proptest! {
        #[test]
        fn the_length_is_what_the_document_will_take(text in any::<String>()) {
            let json = serde_json::to_string(&text).unwrap().replace("{{", "{\\u007b");
            prop_assert_eq!(json_len(&text), json.len() - 2);
        }

        #[test]
        fn a_cut_text_fits(text in "(\\PC|[{\"\n])*", max in 0_usize..60) {
            prop_assert!(json_len(&keep_start(&text, max)) <= max);
            prop_assert!(json_len(&keep_end(&text, max)) <= max);
        }
    }
}
