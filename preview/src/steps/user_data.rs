//! The User Data of an instance: the project's own script with a pull request's configuration.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::path::Path;

use base64::Engine as _;
use flate2::Compression;
use flate2::write::GzEncoder;

/// The script that people use by hand.
const SCRIPT: &str = include_str!("../../../packaging/user-data.sh");
/// Most bytes that EC2 takes, before encoding.
const MOST: usize = 16_384;

/// The agent's release that an instance downloads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Release {
    /// The folder of `agent-x86_64` and `agent-aarch64`.
    pub url: String,
    /// Their SHA-256 in hexadecimal, by file name.
    sums: BTreeMap<String, String>,
}

/// Why there is no release, or no User Data for it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ReleaseError {
    /// No option and no variable names one.
    #[error(
        "no release of the agent is known: set PREVIEW_AGENT_RELEASE (its folder's URL) and PREVIEW_AGENT_SUMS (its SHA256SUMS)"
    )]
    Unknown,
    /// The list of sums cannot be read, or lacks one.
    #[error("PREVIEW_AGENT_SUMS, {file}: {reason}")]
    Sums {
        /// The file.
        file: String,
        /// What is wrong.
        reason: String,
    },
    /// A URL with characters that the script cannot hold.
    #[error("PREVIEW_AGENT_RELEASE is not a plain http or https URL")]
    Url,
    /// The User Data is larger than EC2 takes.
    #[error(
        "the agent's configuration is too large for User Data: {bytes} bytes with the script, compressed, and EC2 takes {MOST}"
    )]
    TooLarge {
        /// Its size.
        bytes: usize,
    },
}

impl Release {
    /// The release in this folder, with the sums of this file.
    ///
    /// # Errors
    /// See [`ReleaseError`].
    pub fn new(url: Option<&str>, sums: Option<&Path>) -> Result<Self, ReleaseError> {
        let (Some(url), Some(path)) = (url, sums) else { return Err(ReleaseError::Unknown) };
        let plain = |b: u8| b.is_ascii_alphanumeric() || b"-._~:/%+".contains(&b);
        if !(url.starts_with("https://") || url.starts_with("http://")) || !url.bytes().all(plain) {
            return Err(ReleaseError::Url);
        }
        let wrong = |reason: String| ReleaseError::Sums { file: path.display().to_string(), reason };
        let text = std::fs::read_to_string(path).map_err(|error| wrong(error.to_string()))?;
        let sums: BTreeMap<String, String> = text
            .lines()
            .filter_map(|line| line.split_once("  "))
            .map(|(sum, name)| (name.trim().to_owned(), sum.trim().to_lowercase()))
            .collect();
        for name in ["agent-x86_64", "agent-aarch64"] {
            let sum = sums.get(name).ok_or_else(|| wrong(format!("no sum of {name}")))?;
            if sum.len() != 64 || !sum.bytes().all(|b| b.is_ascii_hexdigit()) {
                return Err(wrong(format!("the sum of {name} is not SHA-256 in hexadecimal")));
            }
        }
        Ok(Self { url: url.trim_end_matches('/').to_owned(), sums })
    }

    /// The script for this configuration, encoded in base64.
    ///
    /// # Errors
    /// It is larger than EC2 takes.
    pub fn user_data(&self, config: &str, report: &str) -> Result<String, ReleaseError> {
        let (before, rest) = SCRIPT.split_once("<<'YAML'\n").unwrap_or_default();
        let (_, after) = rest.split_once("\nYAML\n").unwrap_or_default();
        let script = format!("{before}<<'YAML'\n{config}\nYAML\n{after}");
        let sum = |name: &str| self.sums.get(name).map_or("", String::as_str);
        let script = script
            .replacen("@RELEASE_URL@", &self.url, 1)
            .replacen("@SHA256_X86_64@", sum("agent-x86_64"), 1)
            .replacen("@SHA256_AARCH64@", sum("agent-aarch64"), 1)
            .replacen("@REPORT@", report, 1);
        let mut bytes = script.into_bytes();
        if bytes.len() > MOST {
            // cloud-init unpacks it.
            let mut gzip = GzEncoder::new(Vec::new(), Compression::best());
            bytes = gzip.write_all(&bytes).and_then(|()| gzip.finish()).unwrap_or_default();
        }
        if bytes.is_empty() || bytes.len() > MOST {
            return Err(ReleaseError::TooLarge { bytes: bytes.len() });
        }
        Ok(base64::engine::general_purpose::STANDARD.encode(bytes))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn release() -> Release {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("SHA256SUMS");
        std::fs::write(
            &path,
            format!("{}  agent-x86_64\n{}  agent-aarch64\n", "a".repeat(64), "b".repeat(64)),
        )
        .unwrap();
        Release::new(Some("https://example.org/v1/"), Some(&path)).unwrap()
    }

    fn decoded(text: &str) -> Vec<u8> {
        base64::engine::general_purpose::STANDARD.decode(text).unwrap()
    }

    #[test]
    fn every_word_of_the_script_is_replaced() {
        let bytes = decoded(&release().user_data("{\"image\":\"a\"}", "/pr-preview/7/status").unwrap());
        let script = String::from_utf8(bytes).unwrap();
        for line in [
            "RELEASE_URL='https://example.org/v1' #",
            "REPORT='/pr-preview/7/status' #",
            "<<'YAML'\n{\"image\":\"a\"}\nYAML\n)",
            &format!("[x86_64]='{}'", "a".repeat(64)),
        ] {
            assert!(script.contains(line), "{line}: {script}");
        }
        let head = script.split("# Nothing to edit").next().unwrap();
        assert!(!head.replace("@WORD@", "").contains('@'), "{head}");
    }

    #[test]
    fn what_is_too_large_is_compressed_and_then_refused() {
        let large = format!("{{\"a\":\"{}\"}}", "x".repeat(20_000));
        assert_eq!(decoded(&release().user_data(&large, "/a").unwrap())[..2], [0x1f, 0x8b]);
        let noise: String = std::iter::repeat_with(fastrand::alphanumeric).take(40_000).collect();
        assert!(matches!(release().user_data(&noise, "/a"), Err(ReleaseError::TooLarge { .. })));
    }

    #[test]
    fn a_release_without_sums_is_none() {
        assert_eq!(Release::new(Some("https://a"), None), Err(ReleaseError::Unknown));
        let file = tempfile::NamedTempFile::new().unwrap();
        assert!(matches!(Release::new(Some("https://a"), Some(file.path())), Err(ReleaseError::Sums { .. })));
        assert_eq!(Release::new(Some("https://a'; rm"), Some(file.path())), Err(ReleaseError::Url));
    }
}
