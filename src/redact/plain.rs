//! Foreign text that cannot drive a terminal.

use std::borrow::Cow;

/// The text without what could drive a terminal: escape sequences, control
/// characters, marks that turn the direction of writing. Line breaks stay, a
/// tab becomes a space.
#[must_use]
pub fn plain(text: &str) -> Cow<'_, str> {
    if !text.contains(|c: char| c != '\n' && is_control(c)) {
        return Cow::Borrowed(text);
    }
    let mut plain = String::with_capacity(text.len());
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        match c {
            '\n' => plain.push('\n'),
            '\t' => plain.push(' '),
            '\u{1b}' => skip_escape(&mut chars),
            c if is_control(c) => {}
            c => plain.push(c),
        }
    }
    Cow::Owned(plain)
}

fn is_control(c: char) -> bool {
    c.is_control() || matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// Drops the rest of an escape sequence (ECMA-48): a control sequence runs to
/// its final byte, a command string to its terminator; of any other only the
/// escape character itself goes. A sequence that never ends must not swallow
/// the text, so a line break ends it too.
fn skip_escape(chars: &mut std::str::Chars<'_>) {
    let mut ahead = chars.clone();
    let ends: fn(char) -> bool = match ahead.next() {
        Some('[') => |c| matches!(c, '\u{40}'..='\u{7e}'),
        Some(']' | 'P' | 'X' | '^' | '_') => |c| matches!(c, '\u{7}' | '\u{9c}' | '\\'),
        _ => return,
    };
    for c in ahead.by_ref() {
        if c == '\n' {
            return;
        }
        if ends(c) {
            break;
        }
    }
    *chars = ahead;
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn nothing_that_drives_a_terminal_is_left() {
        assert_eq!(plain("\u{1b}[31mred\u{1b}[0m \u{7}bell\tx\ny"), "red bell x\ny");
        assert_eq!(plain("\u{1b}]0;title\u{7}text\u{9b}2J"), "text2J");
        assert_eq!(plain("a\u{202e}b\r\n"), "ab\n");
        assert_eq!(plain("\u{1b}[12\nnext line"), "12\nnext line".replacen("12", "[12", 1));
    }

    proptest! {
        #[test]
        fn plain_text_has_no_control_character(text in any::<String>()) {
            prop_assert!(!plain(&text).contains(|c: char| c != '\n' && c.is_control()));
        }
    }
}
