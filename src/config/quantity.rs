//! Durations and sizes as people write them.

use std::time::Duration;

/// The longest duration that makes sense for one boot: a day.
const LONGEST: Duration = Duration::from_secs(24 * 60 * 60);

/// A duration such as `20m`, `120s`, `1h30m` or `500ms`: above zero, a day at most.
///
/// # Errors
/// What was expected instead.
pub fn duration(text: &str) -> Result<Duration, &'static str> {
    const EXPECTED: &str = "expected a duration such as 20m, 120s, 1h30m or 500ms";
    let mut rest = text;
    let mut total = Duration::ZERO;
    let mut last_unit = u64::MAX;
    while !rest.is_empty() {
        let (count, tail) = number(rest).ok_or(EXPECTED)?;
        let unit = tail.len() - tail.trim_start_matches(|c: char| c.is_ascii_alphabetic()).len();
        let millis = match &tail[..unit] {
            "ms" => 1,
            "s" => 1_000,
            "m" => 60_000,
            "h" => 3_600_000,
            _ => return Err(EXPECTED),
        };
        // Largest unit first, each once: `30m1h` is more likely a slip.
        if millis >= last_unit {
            return Err(EXPECTED);
        }
        last_unit = millis;
        let part = count.checked_mul(millis).ok_or("expected a duration of at most 24h")?;
        total = total.saturating_add(Duration::from_millis(part));
        rest = &tail[unit..];
    }
    match total {
        _ if text.is_empty() => Err(EXPECTED),
        Duration::ZERO => Err("expected a duration above zero"),
        total if total > LONGEST => Err("expected a duration of at most 24h"),
        total => Ok(total),
    }
}

/// A size in bytes: `512m`, `1g`, `65536k` or plain bytes, units of 1024 like Docker's.
///
/// # Errors
/// What was expected instead.
pub fn size(text: &str) -> Result<u64, &'static str> {
    const EXPECTED: &str = "expected a size such as 512m or 1g";
    let (count, unit) = number(text).ok_or(EXPECTED)?;
    let factor = match unit.to_ascii_lowercase().as_str() {
        "" | "b" => 1,
        "k" | "kb" => 1 << 10,
        "m" | "mb" => 1 << 20,
        "g" | "gb" => 1 << 30,
        _ => return Err(EXPECTED),
    };
    // Docker takes a signed number of bytes.
    count.checked_mul(factor).filter(|bytes| i64::try_from(*bytes).is_ok()).ok_or("the size is out of range")
}

/// Leading digits and the rest.
fn number(text: &str) -> Option<(u64, &str)> {
    let digits = text.len() - text.trim_start_matches(|c: char| c.is_ascii_digit()).len();
    Some((text[..digits].parse().ok()?, &text[digits..]))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn durations_are_read_by_their_units() {
        for (text, millis) in
            [("20m", 1_200_000), ("120s", 120_000), ("1h30m", 5_400_000), ("500ms", 500), ("24h", 86_400_000)]
        {
            assert_eq!(duration(text), Ok(Duration::from_millis(millis)), "{text}");
        }
    }

    #[test]
    fn what_is_no_duration_is_refused() {
        for text in ["", "20", "m", "1.5h", "-1s", "20 m", "30m1h", "1m1m", "1d", "1hm", "０s"] {
            assert!(duration(text).unwrap_err().starts_with("expected a duration such as"), "{text}");
        }
        assert_eq!(duration("0s"), Err("expected a duration above zero"));
        for text in ["25h", "24h1ms", "18446744073709551615h"] {
            assert_eq!(duration(text), Err("expected a duration of at most 24h"), "{text}");
        }
    }

    #[test]
    fn sizes_count_in_1024() {
        for (text, bytes) in [
            ("512m", 512 << 20),
            ("1g", 1 << 30),
            ("1GB", 1 << 30),
            ("65536k", 64 << 20),
            ("7000000", 7_000_000),
        ] {
            assert_eq!(size(text), Ok(bytes), "{text}");
        }
        for text in ["", "m", "1.5g", "-1", "1 g", "1t", "1gib"] {
            assert!(size(text).is_err(), "{text}");
        }
        assert_eq!(size("9999999999g"), Err("the size is out of range"));
    }

    proptest! {
        #[test]
        fn no_text_panics(text in ".{0,30}") {
            duration(&text).ok();
            size(&text).ok();
        }
    }
}
