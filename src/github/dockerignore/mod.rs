//! The rules of an ignore file, as the Docker command line applies them.
//!
//! The engine does not read `.dockerignore` from a tar body, so the sender must.
//! The last pattern that matches wins.

mod pattern;

use pattern::Pattern;

/// A parsed ignore file.
#[derive(Debug, Default)]
pub(super) struct Rules(Vec<Rule>);

#[derive(Debug)]
struct Rule {
    /// A leading `!`: what matches is kept after all.
    keep: bool,
    pattern: Pattern,
}

impl Rules {
    /// Parses an ignore file.
    ///
    /// # Errors
    /// The line number and what is wrong with its pattern.
    pub(super) fn parse(text: &str) -> Result<Self, (usize, &'static str)> {
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        let mut rules = Vec::new();
        for (index, line) in text.lines().enumerate() {
            if line.starts_with('#') {
                continue;
            }
            let line = line.trim();
            let (keep, pattern) = match line.strip_prefix('!') {
                Some(pattern) => (true, pattern.trim_start()),
                None => (false, line),
            };
            if pattern.is_empty() {
                if keep {
                    return Err((index + 1, "`!` without a pattern"));
                }
                continue;
            }
            let pattern = Pattern::compile(pattern).map_err(|reason| (index + 1, reason))?;
            rules.push(Rule { keep, pattern });
        }
        Ok(Self(rules))
    }

    /// Whether a path, relative to the context and without a leading or trailing slash, is left out.
    pub(super) fn ignores(&self, path: &[u8]) -> bool {
        if self.0.is_empty() {
            return false;
        }
        let path: Vec<char> = String::from_utf8_lossy(path).chars().collect();
        let mut ignored = false;
        for rule in &self.0 {
            // A rule that would change nothing need not be asked.
            if rule.keep == ignored && rule.pattern.matches_path_or_parent(&path) {
                ignored = !rule.keep;
            }
        }
        ignored
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn ignores(file: &str, path: &str) -> bool {
        Rules::parse(file).unwrap().ignores(path.as_bytes())
    }

    #[test]
    fn the_documented_patterns_hold() {
        for (pattern, ignored, kept) in [
            (
                "*/temp*",
                &["somedir/temporary.txt", "somedir/temp", "somedir/temp/x"][..],
                &["temp", "a/b/temp"][..],
            ),
            ("*/*/temp*", &["somedir/subdir/temporary.txt"], &["somedir/temporary.txt"]),
            ("temp?", &["tempa", "tempb", "tempa/x"], &["temp", "tempab", "temp/"]),
            ("**/*.go", &["a.go", "x/a.go", "x/y/z/a.go"], &["a.gop", "go"]),
            ("/foo/bar", &["foo/bar", "foo/bar/x"], &["bar", "x/foo/bar"]),
            ("foo/bar/", &["foo/bar", "foo/bar/x"], &["foo/barx"]),
            ("*.md", &["README.md"], &["docs/README.md"]),
            ("docs/**", &["docs/a", "docs/a/b"], &["docs", "docsx"]),
            ("**", &["a", "a/b"], &[]),
            ("**/foo", &["foo", "a/foo", "a/b/foo/c"], &["afoo", "foob"]),
            ("**foo", &["foo", "afoo", "a/bfoo"], &["foob"]),
            ("a/**/b", &["a/b", "a/x/b", "a/x/y/b/c"], &["ab", "a/xb"]),
            ("a/**/*.txt", &["a/x.txt", "a/b/c/x.txt"], &["x.txt", "a/x.md"]),
            ("[a-c]x", &["ax", "cx"], &["dx", "x"]),
            ("[^a-c]x", &["dx"], &["ax"]),
            (r"a\*b", &["a*b"], &["axb"]),
            (r"[\]]", &["]"], &["["]),
            ("./foo/../bar", &["bar"], &["foo"]),
            ("/../up", &["up"], &["../up"]),
            ("a.b", &["a.b"], &["axb"]),
            ("??", &["äö"], &["ä"]),
            (" spaced  ", &["spaced"], &[]),
            (".", &[], &["a", "a/b"]),
            ("/", &[], &["a", "a/b"]),
        ] {
            for path in ignored {
                assert!(ignores(pattern, path), "{pattern} must ignore {path}");
            }
            for path in kept {
                assert!(!ignores(pattern, path), "{pattern} must keep {path}");
            }
        }
    }

    #[test]
    fn the_last_match_wins() {
        let file = "*.md\n!README*.md\nREADME-secret.md\n";
        assert!(ignores(file, "other.md"));
        assert!(!ignores(file, "README.md"));
        assert!(!ignores(file, "README-long.md"));
        assert!(ignores(file, "README-secret.md"));
        assert!(!ignores("*.md\nREADME-secret.md\n!README*.md\n", "README-secret.md"));
    }

    #[test]
    fn everything_but_one_folder_can_be_left_out() {
        let file = "**\n!app\n!requirements.txt\napp/**/__pycache__\n";
        assert!(ignores(file, "tests/test.py"));
        assert!(!ignores(file, "app/main.py"));
        assert!(!ignores(file, "requirements.txt"));
        assert!(ignores(file, "app/db/__pycache__/x.pyc"));
    }

    #[test]
    fn comments_blank_lines_and_a_byte_order_mark_are_no_patterns() {
        let file = "\u{feff}# all\r\n\r\n   \r\n*.pyc\r\n #literal\r\n";
        assert!(ignores(file, "x.pyc"));
        assert!(!ignores(file, "# all"));
        assert!(ignores(file, "#literal"));
    }

    #[test]
    fn a_malformed_pattern_is_named_by_its_line() {
        for pattern in ["[", "[a", "[]", "[z-a]", "[a-]", "[-a]", "a\\", "!"] {
            assert_eq!(Rules::parse(&format!("ok\n{pattern}\n")).unwrap_err().0, 2, "{pattern}");
        }
    }

    #[test]
    fn a_name_that_is_not_utf8_can_be_matched() {
        assert!(Rules::parse("caf?.txt").unwrap().ignores(b"caf\xe9.txt"));
    }

    #[test]
    fn wildcards_cost_no_more_than_pattern_times_path() {
        // Exponential for a matcher that backtracks: 2^30 paths through this pattern.
        for piece in ["*a", "**/a", "a**"] {
            let rules = Rules::parse(&format!("{}c", piece.repeat(30))).unwrap();
            assert!(!rules.ignores(format!("{}b", "a".repeat(4000)).as_bytes()));
        }
    }

    proptest! {
        #[test]
        fn no_input_panics(file in "[\\[\\]!*?#/\\\\.a-c^ \n-]{0,60}", path in "[a-c/.*\\[\\\\-]{0,40}") {
            if let Ok(rules) = Rules::parse(&file) {
                rules.ignores(path.as_bytes());
            }
        }

        #[test]
        fn a_plain_pattern_ignores_exactly_its_path_and_what_lies_below(
            pattern in "[a-c]{1,3}(/[a-c]{1,3}){0,2}", path in "[a-c]{1,3}(/[a-c]{1,3}){0,3}",
        ) {
            let expected = path == pattern || path.starts_with(&format!("{pattern}/"));
            prop_assert_eq!(ignores(&pattern, &path), expected);
        }
    }
}
