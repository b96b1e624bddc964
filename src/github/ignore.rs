//! The rules of an ignore file, as the Docker command line applies them.
//!
//! The engine does not read `.dockerignore` from a tar body, so the sender must.
//! Patterns are those of Go's `filepath.Match` plus `**`; a pattern that matches
//! a folder matches everything below it; the last pattern that matches wins.
//! Matching runs all alternatives side by side, so its time is bounded by
//! pattern length times path length.

/// A parsed ignore file.
#[derive(Debug, Default)]
pub(super) struct Rules(Vec<Rule>);

#[derive(Debug)]
struct Rule {
    /// A leading `!`: what matches is kept after all.
    keep: bool,
    tokens: Vec<Token>,
}

#[derive(Debug)]
enum Token {
    Char(char),
    /// `?`
    AnyInName,
    /// `*`
    RestOfName,
    /// `**` at the end: everything.
    Rest,
    /// `**/`: any number of whole folders, or none. Always followed by `Folders`.
    MaybeFolders,
    /// Inside those folders, waiting for the slash that ends them.
    Folders,
    /// `[...]`
    Class {
        negated: bool,
        ranges: Vec<(char, char)>,
    },
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
            let tokens = compile(&clean(pattern)).map_err(|reason| (index + 1, reason))?;
            rules.push(Rule { keep, tokens });
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
            if rule.keep == ignored && matches_path_or_parent(&rule.tokens, &path) {
                ignored = !rule.keep;
            }
        }
        ignored
    }
}

/// The shortest form of a path: no empty or `.` component, `..` resolved where
/// it can be, no leading slash.
fn clean(pattern: &str) -> String {
    let mut parts: Vec<&str> = Vec::new();
    for part in pattern.split('/') {
        match part {
            "" | "." => {}
            ".." if parts.last().is_some_and(|last| *last != "..") => {
                parts.pop();
            }
            ".." if pattern.starts_with('/') => {}
            part => parts.push(part),
        }
    }
    if parts.is_empty() { ".".to_owned() } else { parts.join("/") }
}

fn compile(pattern: &str) -> Result<Vec<Token>, &'static str> {
    let mut tokens = Vec::new();
    let mut chars = pattern.chars().peekable();
    // `**name` is a plain suffix for Docker, unless other wildcards follow.
    let bare_suffix = pattern.strip_prefix("**").is_some_and(|rest| {
        !rest.is_empty() && !rest.starts_with('/') && !rest.contains(['*', '?', '[', ']', '\\'])
    });
    while let Some(char) = chars.next() {
        match char {
            '*' if chars.next_if_eq(&'*').is_some() => {
                let _slash = chars.next_if_eq(&'/');
                if chars.peek().is_none() || bare_suffix {
                    tokens.push(Token::Rest);
                } else {
                    tokens.extend([Token::MaybeFolders, Token::Folders]);
                }
            }
            '*' => tokens.push(Token::RestOfName),
            '?' => tokens.push(Token::AnyInName),
            '[' => tokens.push(class(&mut chars)?),
            '\\' => tokens.push(Token::Char(chars.next().ok_or("a pattern cannot end in `\\`")?)),
            char => tokens.push(Token::Char(char)),
        }
    }
    Ok(tokens)
}

/// The inside of `[...]`, its opening bracket already taken.
fn class(chars: &mut std::iter::Peekable<std::str::Chars<'_>>) -> Result<Token, &'static str> {
    const OPEN: &str = "`[` without its `]`";
    let one = |chars: &mut std::iter::Peekable<std::str::Chars<'_>>| match chars.next().ok_or(OPEN)? {
        '-' | ']' => Err("`[...]` is empty or has a half-open range"),
        '\\' => chars.next().ok_or(OPEN),
        char => Ok(char),
    };
    let negated = chars.next_if_eq(&'^').is_some();
    let mut ranges = Vec::new();
    while ranges.is_empty() || chars.next_if_eq(&']').is_none() {
        let low = one(chars)?;
        let high = if chars.next_if_eq(&'-').is_some() { one(chars)? } else { low };
        if high < low {
            return Err("a range in `[...]` runs backwards");
        }
        ranges.push((low, high));
    }
    Ok(Token::Class { negated, ranges })
}

/// Whether the pattern matches the path or a folder that it lies in.
fn matches_path_or_parent(tokens: &[Token], path: &[char]) -> bool {
    let end = tokens.len();
    let mut here = vec![false; end + 1];
    let mut next = vec![false; end + 1];
    enter(tokens, &mut here, 0);
    for char in path {
        if *char == '/' && here[end] {
            return true;
        }
        next.fill(false);
        for (at, token) in tokens.iter().enumerate().filter(|(at, _)| here[*at]) {
            match token {
                Token::Char(own) if own == char => enter(tokens, &mut next, at + 1),
                Token::AnyInName if *char != '/' => enter(tokens, &mut next, at + 1),
                Token::RestOfName if *char != '/' => enter(tokens, &mut next, at),
                Token::Rest => enter(tokens, &mut next, at),
                Token::Folders => {
                    enter(tokens, &mut next, at);
                    if *char == '/' {
                        enter(tokens, &mut next, at + 1);
                    }
                }
                Token::Class { negated, ranges }
                    if ranges.iter().any(|(low, high)| (low..=high).contains(&char)) != *negated =>
                {
                    enter(tokens, &mut next, at + 1);
                }
                _ => {}
            }
        }
        std::mem::swap(&mut here, &mut next);
        if !here.contains(&true) {
            return false;
        }
    }
    here[end]
}

/// Marks a state and those reached from it without a character.
fn enter(tokens: &[Token], states: &mut [bool], mut at: usize) {
    while !states[at] {
        states[at] = true;
        at += match tokens.get(at) {
            Some(Token::RestOfName | Token::Rest) => 1,
            Some(Token::MaybeFolders) => {
                states[at + 1] = true;
                2
            }
            _ => return,
        };
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
