//! The redactor: learns secrets, and masks them in any text.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::sync::{Arc, PoisonError, RwLock};

use super::encodings::{SHORTEST, encodings};
use super::plain::plain;
use super::search::Search;

/// What stands in a secret's place.
pub const MASK: &str = "[redacted]";

/// A set of secrets, shared by all clones.
#[derive(Clone, Default)]
pub struct Redactor {
    known: Arc<RwLock<Known>>,
}

/// What the redactor knows.
#[derive(Default)]
struct Known {
    /// Every encoding of every secret.
    needles: BTreeSet<String>,
    /// Made anew whenever a needle is added; `None` where that was not possible.
    search: Option<Search>,
}

impl Redactor {
    /// Learns a secret in all its encodings. Returns whether it is long enough
    /// to be masked; the caller warns where it is not.
    pub fn learn(&self, secret: &str) -> bool {
        if secret.chars().count() < SHORTEST {
            return secret.is_empty();
        }
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        let before = known.needles.len();
        known.needles.extend(encodings(secret));
        // As a program uses what it read from a file.
        if secret.trim().len() < secret.len() && secret.trim().chars().count() >= SHORTEST {
            known.needles.extend(encodings(secret.trim()));
        }
        // Without what could drive a terminal, since that is taken out of what is shown; and line by line,
        // as a secret of many lines (a key file) reaches line-wise logs.
        let shown = plain(secret);
        let lines = shown.split('\n').map(str::trim).filter(|line| line.chars().count() >= SHORTEST);
        known.needles.extend(lines.map(String::from));
        if known.needles.len() > before {
            known.search = Search::new(&known.needles).ok();
        }
        true
    }

    /// Learns a registry login: the password, and `user:password` as HTTP Basic sends it.
    pub fn learn_login(&self, user: &str, password: &str) -> bool {
        if !password.is_empty() {
            self.learn(&format!("{user}:{password}"));
            self.learn(&format!("{user}:{}", password.trim()));
        }
        self.learn(password)
    }

    /// The text with every known secret masked.
    #[must_use]
    pub fn apply<'a>(&self, text: &'a str) -> Cow<'a, str> {
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
        if known.needles.is_empty() {
            return Cow::Borrowed(text);
        }
        // What cannot be searched is not shown.
        let Some(search) = &known.search else { return Cow::Borrowed(MASK) };
        let covered = search.covered(text);
        if covered.is_empty() {
            return Cow::Borrowed(text);
        }
        let mut masked = String::with_capacity(text.len());
        let mut shown = 0;
        for range in covered {
            masked.push_str(&text[shown..range.start]);
            masked.push_str(MASK);
            shown = range.end;
        }
        masked.push_str(&text[shown..]);
        Cow::Owned(masked)
    }

    /// Length in bytes of the longest text that is masked; whoever cuts a text
    /// drops this much at the cut, since half a secret is not recognised.
    #[must_use]
    pub fn longest(&self) -> usize {
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
        known.needles.iter().map(String::len).max().unwrap_or(0)
    }
}

impl std::fmt::Debug for Redactor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Redactor").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use base64::Engine as _;
    use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
    use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
    use proptest::prelude::*;

    #[test]
    fn every_encoding_of_a_secret_is_masked() {
        let redactor = Redactor::default();
        let secret = "p@ss:w/rd?\"x\\y~z-1";
        assert!(redactor.learn_login("octocat", secret));
        for text in [
            secret.to_owned(),
            utf8_percent_encode(secret, NON_ALPHANUMERIC).to_string(),
            "p%40ss%3Aw%2Frd%3F%22x%5Cy~z-1".to_owned(),
            serde_json::to_string(secret).unwrap(),
            STANDARD.encode(secret),
            URL_SAFE_NO_PAD.encode(secret),
            STANDARD.encode(format!("octocat:{secret}")),
        ] {
            let line = format!("before {text} after");
            let masked = redactor.apply(&line);
            assert!(masked.contains(MASK), "{text} was left as it is");
            assert!(!masked.contains(text.trim_matches('"')));
        }
    }

    #[test]
    fn a_secret_with_control_characters_is_masked_where_they_are_taken_out() {
        let redactor = Redactor::default();
        assert!(redactor.learn("hunter\t2\u{1b}[31mhunter"));
        assert_eq!(redactor.apply(&plain("= hunter\t2\u{1b}[31mhunter =")), format!("= {MASK} ="));
    }

    #[test]
    fn the_line_break_that_ends_a_secret_in_its_file_hides_nothing() {
        let redactor = Redactor::default();
        redactor.learn_login("octocat", "hunter2-hunter2\n");
        for written in ["hunter2-hunter2", &STANDARD.encode("octocat:hunter2-hunter2"), "hunter2%2Dhunter2"] {
            assert_eq!(redactor.apply(written), MASK, "{written}");
        }
    }

    #[test]
    fn a_secret_quoted_in_json_and_again_in_json_is_masked_beyond_ascii_too() {
        let redactor = Redactor::default();
        let secret = "\"sée\\cret\"";
        redactor.learn(secret);
        let once = serde_json::to_string(secret).unwrap();
        let twice = serde_json::to_string(&once).unwrap();
        let python = once.replace('é', "\\u00e9");
        for text in [&once, &twice, &python, &serde_json::to_string(&python).unwrap()] {
            let masked = redactor.apply(text);
            assert!(masked.contains(MASK) && !masked.contains("cret"), "{text}: {masked}");
        }
    }

    #[test]
    fn a_short_secret_is_told_and_not_masked() {
        let redactor = Redactor::default();
        assert!(!redactor.learn("abc"));
        assert_eq!(redactor.apply("abcdef"), "abcdef");
    }

    #[test]
    fn an_empty_secret_changes_nothing() {
        let redactor = Redactor::default();
        assert!(redactor.learn(""));
        assert_eq!(redactor.apply("text"), "text");
    }

    #[test]
    fn a_secret_inside_another_leaves_no_rest() {
        let redactor = Redactor::default();
        redactor.learn("secret-one");
        redactor.learn("secret-one-and-two");
        assert_eq!(redactor.apply("=secret-one-and-two="), format!("={MASK}="));
    }

    #[test]
    fn of_secrets_that_overlap_nothing_is_left() {
        let redactor = Redactor::default();
        redactor.learn("hunter2-shared");
        redactor.learn("shared-tail-of-another");
        redactor.learn("tail-of-another-and-a-third");
        assert_eq!(redactor.apply("=hunter2-shared-tail-of-another="), format!("={MASK}="));
        assert_eq!(redactor.apply("=hunter2-shared-tail-of-another-and-a-third="), format!("={MASK}="));
        // A secret that overlaps itself.
        redactor.learn("ababab");
        assert_eq!(redactor.apply("=abababab="), format!("={MASK}="));
    }

    #[test]
    fn a_secret_as_large_as_a_value_may_be_is_masked_whole() {
        let redactor = Redactor::default();
        let secret: String = (0..8192).map(|n| format!("{n:08x}")).collect();
        redactor.learn(&secret);
        assert_eq!(redactor.apply(&format!("={secret}=")), format!("={MASK}="));
        let other = format!("{}x", &secret[..secret.len() - 1]);
        assert_eq!(redactor.apply(&other), other);
    }

    proptest! {
        #[test]
        fn every_character_of_two_secrets_that_may_overlap_is_masked(
            a in "[a-c]{6,9}", b in "[a-c]{6,9}", text in "[a-d]{0,40}",
        ) {
            let redactor = Redactor::default();
            redactor.learn(&a);
            redactor.learn(&b);
            let mut hidden = vec![false; text.len()];
            for secret in [&a, &b] {
                for at in (0..text.len()).filter(|at| text[*at..].starts_with(secret.as_str())) {
                    hidden[at..at + secret.len()].fill(true);
                }
            }
            let shown: String = text.chars().zip(&hidden).filter(|(_, hidden)| !**hidden).map(|(c, _)| c).collect();
            prop_assert_eq!(redactor.apply(&text).replace(MASK, ""), shown);
        }

        #[test]
        fn no_secret_survives(secret in "[ -~]{6,40}", before in "[a-z ]{0,10}", after in "[a-z ]{0,10}") {
            let redactor = Redactor::default();
            redactor.learn(&secret);
            let line = format!("{before}{secret}{after}");
            prop_assume!(!MASK.contains(&secret));
            let rest = redactor.apply(&line).replace(MASK, "\n");
            prop_assert!(!rest.contains(&secret));
        }
    }
}
