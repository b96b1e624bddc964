//! One pattern of an ignore file.
//!
//! Patterns are those of Go's `filepath.Match` plus `**`; one that matches a
//! folder matches everything below it. Matching runs all alternatives side by
//! side, so its time is bounded by pattern length times path length.

/// A pattern, ready to be matched.
#[derive(Debug)]
pub(super) struct Pattern(Vec<Token>);

impl Pattern {
    /// # Errors
    /// What is wrong with it.
    pub(super) fn compile(pattern: &str) -> Result<Self, &'static str> {
        compile(&clean(pattern)).map(Self)
    }

    /// Whether the pattern matches the path or a folder that it lies in.
    pub(super) fn matches_path_or_parent(&self, path: &[char]) -> bool {
        let tokens = self.0.as_slice();
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
