//! The value-aware redactor in front of every sink.
//!
//! It knows the secrets themselves, not their names, so that a value is masked
//! wherever it turns up: raw, percent-encoded, JSON-escaped, or in base64 and
//! base64url, padded or not.

mod encodings;
pub mod output;
mod plain;

use std::borrow::Cow;
use std::sync::{Arc, PoisonError, RwLock};

pub use plain::plain;

use encodings::encodings;

/// What stands in a secret's place.
pub const MASK: &str = "[redacted]";

/// Secrets shorter than this many characters are not masked: masking `abc`
/// everywhere would destroy the text and tell the secret by its gaps.
pub const SHORTEST: usize = 6;

/// A set of secrets, shared by all clones.
#[derive(Clone, Default)]
pub struct Redactor {
    /// Every encoding of every secret, longest first so that a secret that
    /// contains another is masked whole.
    needles: Arc<RwLock<Vec<String>>>,
}

impl Redactor {
    /// Learns a secret in all its encodings. Returns whether it is long enough
    /// to be masked; the caller warns where it is not.
    pub fn learn(&self, secret: &str) -> bool {
        if secret.chars().count() < SHORTEST {
            return secret.is_empty();
        }
        let mut needles = self.needles.write().unwrap_or_else(PoisonError::into_inner);
        needles.extend(encodings(secret));
        // As a program uses what it read from a file.
        if secret.trim().len() < secret.len() && secret.trim().chars().count() >= SHORTEST {
            needles.extend(encodings(secret.trim()));
        }
        // Without what could drive a terminal, since that is taken out of what is shown; and line by line,
        // as a secret of many lines (a key file) reaches line-wise logs.
        let shown = plain(secret);
        needles.extend(
            shown.split('\n').map(str::trim).filter(|l| l.chars().count() >= SHORTEST).map(String::from),
        );
        needles.sort_unstable_by(|a, b| b.len().cmp(&a.len()).then_with(|| a.cmp(b)));
        needles.dedup();
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
        let needles = self.needles.read().unwrap_or_else(PoisonError::into_inner);
        let mut text = Cow::Borrowed(text);
        for needle in needles.iter() {
            if text.contains(needle.as_str()) {
                text = Cow::Owned(text.replace(needle.as_str(), MASK));
            }
        }
        text
    }

    /// Length in bytes of the longest text that is masked; whoever cuts a text
    /// drops this much at the cut, since half a secret is not recognised.
    #[must_use]
    pub fn longest(&self) -> usize {
        let needles = self.needles.read().unwrap_or_else(PoisonError::into_inner);
        needles.first().map_or(0, String::len)
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

    proptest! {
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
