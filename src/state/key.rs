//! The key under which specs are kept: equal ones are recognised, and nothing can be guessed from them.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use ring::hmac;

use super::private_file;
use crate::files;

const NAME: &str = "spec.key";
const BYTES: usize = 32;

/// A key of this instance's own.
#[derive(Debug)]
pub(super) struct Key(hmac::Key);

impl Key {
    /// Where it lies.
    pub(super) fn path(folder: &Path) -> PathBuf {
        folder.join(NAME)
    }

    /// The key of this folder, made at the first start. A damaged one is replaced, which
    /// makes every spec look new: one redeployment, nothing worse.
    ///
    /// # Errors
    /// It can neither be read nor made.
    pub(super) fn read_or_make(folder: &Path) -> io::Result<Self> {
        let bytes = match files::read(&Self::path(folder), BYTES as u64) {
            // A loss of power may leave a file of the right length with nothing in it.
            Ok(bytes) if bytes.len() == BYTES && bytes.iter().any(|byte| *byte != 0) => bytes,
            _ => {
                let mut bytes = vec![0; BYTES];
                io::Read::read_exact(&mut File::open("/dev/urandom")?, &mut bytes)?;
                private_file::write(folder, NAME, &bytes)?;
                bytes
            }
        };
        Ok(Self(hmac::Key::new(hmac::HMAC_SHA256, &bytes)))
    }

    /// The HMAC of these bytes, in hex.
    pub(super) fn digest(&self, bytes: &[u8]) -> String {
        let tag = hmac::sign(&self.0, bytes);
        tag.as_ref().iter().fold(String::with_capacity(64), |text, byte| format!("{text}{byte:02x}"))
    }
}
