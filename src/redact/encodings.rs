//! The ways in which programs write a secret down.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE, URL_SAFE_NO_PAD};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

/// Secrets shorter than this many characters are not masked: masking `abc`
/// everywhere would destroy the text and tell the secret by its gaps.
pub const SHORTEST: usize = 6;

/// RFC 3986, section 2.3: `-`, `.`, `_` and `~` are usually left alone.
const UNRESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// What different libraries encode in a URL.
const PERCENT: [&AsciiSet; 5] = [
    NON_ALPHANUMERIC,
    UNRESERVED,
    // Python's `urllib.parse.quote`.
    &UNRESERVED.remove(b'/'),
    // SQLAlchemy's, for user and password.
    &UNRESERVED.remove(b' ').remove(b'+'),
    // JavaScript's `encodeURIComponent`.
    &UNRESERVED.remove(b'!').remove(b'\'').remove(b'(').remove(b')').remove(b'*'),
];

/// The secret as it is, percent-encoded, in a JSON string and in base64.
pub(super) fn encodings(secret: &str) -> Vec<String> {
    let mut all = vec![secret.to_owned()];
    for set in PERCENT {
        let percent = utf8_percent_encode(secret, set).to_string();
        all.extend([lower_hex(&percent), percent.replace("%20", "+"), percent]);
    }
    let json = serde_json::to_string(secret).unwrap_or_default();
    let json = inside(&json);
    // Python's `json.dumps` writes no other characters than ASCII, Go's none that HTML gives a meaning.
    let quoted = [ascii(json), html_safe(json), json.replace('/', r"\/"), json.to_owned()];
    // A log in JSON that quotes JSON.
    all.extend(quoted.iter().map(|once| inside(&serde_json::to_string(once).unwrap_or_default()).to_owned()));
    all.extend(quoted);
    for engine in [&STANDARD, &STANDARD_NO_PAD, &URL_SAFE, &URL_SAFE_NO_PAD] {
        all.push(engine.encode(secret));
    }
    all.retain(|needle| needle.len() >= SHORTEST);
    all
}

/// A JSON string without its quotes.
fn inside(json: &str) -> &str {
    json.get(1..json.len().saturating_sub(1)).unwrap_or_default()
}

/// `%2f` for `%2F`; the letters of the secret itself stay.
fn lower_hex(percent: &str) -> String {
    let mut pieces = percent.split('%');
    let mut lower = pieces.next().unwrap_or_default().to_owned();
    for piece in pieces {
        let (hex, rest) = piece.split_at_checked(2).unwrap_or((piece, ""));
        lower.push('%');
        lower.push_str(&hex.to_ascii_lowercase());
        lower.push_str(rest);
    }
    lower
}

fn ascii(json: &str) -> String {
    let mut text = String::with_capacity(json.len());
    for c in json.chars() {
        if c.is_ascii() {
            text.push(c);
        } else {
            text.extend(c.encode_utf16(&mut [0; 2]).iter().map(|unit| format!(r"\u{unit:04x}")));
        }
    }
    text
}

fn html_safe(json: &str) -> String {
    json.replace('&', r"\u0026").replace('<', r"\u003c").replace('>', r"\u003e")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_libraries_make_of_a_secret_is_among_them() {
        let all = encodings("P@s/w\u{f6}<&> \"1");
        for written in [
            "P%40s%2Fw%C3%B6%3C%26%3E%20%221",
            "P%40s%2fw%c3%b6%3c%26%3e%20%221",
            "P%40s/w%C3%B6%3C%26%3E%20%221",
            "P%40s%2Fw%C3%B6%3C%26%3E+%221",
            "P%40s%2Fw%C3%B6%3C%26%3E %221",
            r#"P@s/w\u00f6<&> \"1"#,
            "P@s/w\u{f6}\\u003c\\u0026\\u003e \\\"1",
            "P@s\\/w\u{f6}<&> \\\"1",
        ] {
            assert!(all.iter().any(|one| one == written), "{written}");
        }
    }

    #[test]
    fn a_character_beyond_the_first_plane_is_two_escapes() {
        assert_eq!(ascii("\u{1f511}"), r"\ud83d\udd11");
    }
}
