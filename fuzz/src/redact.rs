//! Masking: a secret that was learned never shows in the lines of a stream, in
//! none of its encodings, wherever the stream is cut into chunks.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE, URL_SAFE_NO_PAD};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use preview_agent::redact::output::Lines;
use preview_agent::redact::{MASK, Redactor, SHORTEST, plain};

/// A line is cut at 8 KiB as it comes; bytes that are no text and masks take more room than what they stand for.
const LINE_MAX: usize = 3 * 8 * 1024;

const UNRESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// Python's `quote`; SQLAlchemy's for a URL; JavaScript's `encodeURIComponent`.
const PYTHON: &AsciiSet = &UNRESERVED.remove(b'/');
const SQLALCHEMY: &AsciiSet = &UNRESERVED.remove(b' ').remove(b'+');
const JAVASCRIPT: &AsciiSet = &UNRESERVED.remove(b'!').remove(b'\'').remove(b'(').remove(b')').remove(b'*');

/// Bytes: the encoding, the size of the chunks, the length of the secret, the
/// secret, and what stands before and after it, in halves.
pub fn check(data: &[u8]) {
    let [encoding, chunk, length, rest @ ..] = data else { return };
    let (secret, around) = rest.split_at(usize::from(*length % 64).min(rest.len()));
    let secret = String::from_utf8_lossy(secret).into_owned();
    // What such a secret looks like once sequences are taken out depends on what stands around it.
    if secret.contains(|c: char| c.is_control() && !"\t\r\n".contains(c)) {
        return;
    }
    let redactor = Redactor::default();
    let known = redactor.learn_login("octocat", &secret);
    if secret.chars().count() < SHORTEST {
        assert_eq!(known, secret.is_empty());
        return;
    }
    assert!(known);
    let shown = encoded(&secret, *encoding);
    let (before, after) = around.split_at(around.len() / 2);
    let text = [before, shown.as_bytes(), after].concat();

    let mut lines = Lines::new(redactor);
    let mut told = Vec::new();
    for piece in text.chunks(usize::from(*chunk % 32) + 1) {
        told.extend(lines.push(piece));
    }
    told.extend(lines.finish());
    for line in &told {
        assert!(line.len() <= LINE_MAX && !line.contains(char::is_control), "{line:?}");
        let line = line.replace(MASK, "\n");
        for needle in pieces(&shown) {
            // Half of the mask may be half of a strange secret.
            assert!(!line.contains(&needle) || MASK.contains(&needle), "{needle:?} is left in {line:?}");
        }
    }
}

/// The secret in one of the ways in which programs write it.
fn encoded(secret: &str, encoding: u8) -> String {
    let percent = |set| utf8_percent_encode(secret, set).to_string();
    let login = format!("octocat:{secret}");
    match encoding % 14 {
        0 => secret.to_owned(),
        1 => percent(NON_ALPHANUMERIC),
        2 => percent(UNRESERVED),
        3 => lower_hex(&percent(UNRESERVED)),
        4 => percent(UNRESERVED).replace("%20", "+"),
        5 => percent(PYTHON),
        6 => percent(SQLALCHEMY),
        7 => percent(JAVASCRIPT),
        8 => inside(&serde_json::to_string(secret).unwrap()),
        // Python's `json.dumps`.
        9 => inside(&ascii(&serde_json::to_string(secret).unwrap())),
        10 => STANDARD.encode(secret),
        11 => STANDARD_NO_PAD.encode(&login),
        12 => URL_SAFE.encode(&login),
        _ => URL_SAFE_NO_PAD.encode(secret),
    }
}

/// A JSON string without its quotes.
fn inside(json: &str) -> String {
    json[1..json.len() - 1].to_owned()
}

fn lower_hex(percent: &str) -> String {
    let mut lower = String::new();
    let mut chars = percent.chars();
    while let Some(c) = chars.next() {
        lower.push(c);
        if c == '%' {
            lower.extend(chars.by_ref().take(2).map(|c| c.to_ascii_lowercase()));
        }
    }
    lower
}

fn ascii(json: &str) -> String {
    let mut text = String::new();
    for c in json.chars() {
        if c.is_ascii() {
            text.push(c);
        } else {
            text.extend(c.encode_utf16(&mut [0; 2]).iter().map(|unit| format!("\\u{unit:04x}")));
        }
    }
    text
}

/// What of it could stand in a line: lines are told one by one and without
/// control characters.
fn pieces(shown: &str) -> Vec<String> {
    let lines = shown.split('\n').map(|line| plain(line.trim()).trim().to_owned());
    lines.filter(|line| line.chars().count() >= SHORTEST).collect()
}
