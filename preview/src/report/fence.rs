//! Untrusted text in Markdown.

/// The text inside a code fence that it cannot close. Of a longer text the last `most` bytes are kept.
#[must_use]
pub fn fenced(text: &str, most: usize) -> String {
    let text = text.trim_end();
    let start = text.ceil_char_boundary(text.len().saturating_sub(most));
    let (cut, text) = if start > 0 { ("(the end of it)\n", &text[start..]) } else { ("", text) };
    let text: String = text.chars().filter(|c| !c.is_control() || matches!(c, '\n' | '\t')).collect();
    let longest = text.split(|c| c != '`').map(str::len).max().unwrap_or_default();
    let fence = "`".repeat(longest.max(2) + 1);
    format!("{fence}text\n{cut}{text}\n{fence}\n")
}

#[cfg(test)]
mod tests {
    use super::fenced;

    #[test]
    fn a_text_does_not_leave_its_fence() {
        let evil = "```\n# free\n````` <img> @everyone\u{1b}[2J";
        let fenced = fenced(evil, 1000);
        assert!(fenced.starts_with("``````text\n") && fenced.ends_with("\n``````\n"), "{fenced}");
        assert!(!fenced.contains('\u{1b}'));
    }

    #[test]
    fn the_end_is_kept_at_a_whole_character() {
        let text = "ä".repeat(100);
        assert_eq!(fenced(&text, 11), "```text\n(the end of it)\näääää\n```\n");
    }
}
