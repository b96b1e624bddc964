//! What is asked for, and how much of it at most.

use std::time::Duration;

use secrecy::SecretString;

use crate::retry::Policy;

/// What to build from.
#[derive(Debug, Clone)]
pub struct Request {
    /// API root, `https://api.github.com` or `https://HOST/api/v3`.
    pub api_url: String,
    /// `owner/name`.
    pub repository: String,
    /// Commit, tag or branch. A full commit id is held against the one that the archive names.
    pub reference: String,
    /// API token; `None` is anonymous.
    pub token: Option<SecretString>,
    /// Folder inside the repository, `.` for its root.
    pub context: String,
    /// Dockerfile, relative to the context.
    pub dockerfile: String,
}

/// How much and how long; the defaults are the policy.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Tries of the whole download with its check, and `total`, the caller's deadline.
    pub retry: Policy,
    /// Time for a TCP and TLS connection.
    pub connect: Duration,
    /// Longest time without a byte.
    pub stall: Duration,
    /// Bytes of the compressed archive.
    pub compressed: u64,
    /// Bytes of the archive once unpacked.
    pub unpacked: u64,
    /// Entries in the archive.
    pub entries: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            retry: Policy {
                tries: 3,
                first: Duration::from_secs(1),
                max: Duration::from_secs(30),
                total: Duration::from_secs(15 * 60),
            },
            connect: Duration::from_secs(10),
            stall: Duration::from_secs(60),
            // The spool shares an 8 GiB root volume, the instance default, with Docker's images.
            compressed: 512 << 20,
            unpacked: 4 << 30,
            // The Linux kernel has about 90,000 files.
            entries: 200_000,
        }
    }
}
