//! The state folder, root's alone: one agent at a time holds it, and its records
//! and its key survive a loss of power.

use std::fs::{DirBuilder, File, TryLockError};
use std::io;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};

use super::key::Key;
use super::private_file;
use super::records::State;
use crate::files;

const STATE: &str = "state.json";
const LOCK: &str = "lock";

/// A record is a few kilobytes; nothing near this is one.
const STATE_MAX: u64 = 1024 * 1024;

/// The state folder, locked by this process.
#[derive(Debug)]
pub struct Store {
    folder: PathBuf,
    key: Key,
    state: State,
    /// Held for as long as the process lives; the kernel releases it however it ends.
    _lock: File,
}

/// The state folder cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// Another agent holds the lock.
    #[error("another agent already runs with the state folder {}", .0.display())]
    Locked(PathBuf),
    /// The file system refused.
    #[error("cannot {what} {}: {error}", path.display())]
    Io {
        /// What was tried.
        what: &'static str,
        /// On what.
        path: PathBuf,
        /// The system's answer.
        error: io::Error,
    },
}

impl Store {
    /// Opens the folder, making it if need be, and locks it against a second agent.
    ///
    /// # Errors
    /// [`StoreError::Locked`], or what the file system says.
    pub fn open(folder: &Path) -> Result<Self, StoreError> {
        let wrap = |what, path: &Path| {
            let path = path.to_owned();
            move |error| StoreError::Io { what, path, error }
        };
        DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(wrap("create", folder))?;
        let path = folder.join(LOCK);
        let lock = match files::append(&path) {
            Ok(lock) => lock,
            // On a file system that became read-only, the first agent still holds it.
            Err(_) if is_held(&path) => return Err(StoreError::Locked(folder.to_owned())),
            Err(error) => return Err(wrap("open", &path)(error)),
        };
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(StoreError::Locked(folder.to_owned())),
            Err(TryLockError::Error(error)) => return Err(wrap("lock", &path)(error)),
        }
        let key = Key::read_or_make(folder).map_err(wrap("write", &Key::path(folder)))?;
        Ok(Self { folder: folder.to_owned(), key, state: state(folder), _lock: lock })
    }

    /// The folder itself.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The records.
    #[must_use]
    pub fn state(&self) -> &State {
        &self.state
    }

    /// Changes the records and writes them. A write that fails is logged: the
    /// deployment goes on and a later start repeats some work.
    pub fn update(&mut self, change: impl FnOnce(&mut State)) {
        change(&mut self.state);
        let written = serde_json::to_vec(&self.state)
            .map_err(io::Error::from)
            .and_then(|bytes| private_file::write(&self.folder, STATE, &bytes));
        if let Err(error) = written {
            tracing::warn!(%error, folder = %self.folder.display(), "the state could not be written");
        }
    }

    /// A keyed digest in hex: equal inputs are recognised, and nothing can be
    /// guessed from it without the key.
    #[must_use]
    pub fn digest(&self, bytes: &[u8]) -> String {
        self.key.digest(bytes)
    }
}

fn is_held(lock: &Path) -> bool {
    files::open(lock).is_ok_and(|lock| matches!(lock.try_lock_shared(), Err(TryLockError::WouldBlock)))
}

/// The records of the last life, as far as they can be read.
fn state(folder: &Path) -> State {
    let read = match files::read(&folder.join(STATE), STATE_MAX) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return State::default(),
        read => read.and_then(|bytes| serde_json::from_slice(&bytes).map_err(io::Error::from)),
    };
    read.inspect_err(|error| tracing::warn!(%error, "state.json cannot be used and is begun anew"))
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_agent_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let _first = Store::open(folder.path()).unwrap();
        assert!(matches!(Store::open(folder.path()), Err(StoreError::Locked(_))));
    }

    #[test]
    fn state_and_key_survive_a_restart() {
        let folder = tempfile::tempdir().unwrap();
        let digest = {
            let mut store = Store::open(folder.path()).unwrap();
            store.update(|state| state.sequence = 7);
            store.digest(b"spec")
        };
        let store = Store::open(folder.path()).unwrap();
        assert_eq!((store.state().sequence, store.digest(b"spec")), (7, digest));
    }

    #[test]
    fn torn_files_are_begun_anew() {
        let folder = tempfile::tempdir().unwrap();
        // The last two as file systems leave them after a loss of power: the length is right, the content gone.
        for garbage in [&b""[..], b"{\"seq", b"\x00\xff", &[0; 32], &[0; 1880]] {
            std::fs::write(folder.path().join(STATE), garbage).unwrap();
            std::fs::write(folder.path().join("spec.key"), garbage).unwrap();
            let store = Store::open(folder.path()).unwrap();
            assert_eq!(store.state(), &State::default());
            let key = std::fs::read(folder.path().join("spec.key")).unwrap();
            assert!(key.len() == 32 && key.iter().any(|byte| *byte != 0), "{garbage:?}");
        }
    }

    #[test]
    fn a_pipe_or_a_device_in_the_place_of_a_file_holds_nothing_up() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        for name in [STATE, "state.json.new", "spec.key.new"] {
            assert!(std::process::Command::new("mkfifo").arg(at(name)).status().unwrap().success());
        }
        std::os::unix::fs::symlink("/dev/zero", at("spec.key")).unwrap();
        let digest = {
            let mut store = Store::open(folder.path()).unwrap();
            assert_eq!(store.state(), &State::default());
            store.update(|state| state.sequence = 7);
            store.digest(b"spec")
        };
        let store = Store::open(folder.path()).unwrap();
        assert_eq!((store.state().sequence, store.digest(b"spec")), (7, digest));
        drop(store);
        std::fs::remove_file(at(LOCK)).unwrap();
        assert!(std::process::Command::new("mkfifo").arg(at(LOCK)).status().unwrap().success());
        assert!(matches!(Store::open(folder.path()), Err(StoreError::Io { what: "open", .. })));
    }

    #[test]
    fn a_link_where_the_next_state_is_written_is_not_followed() {
        let folder = tempfile::tempdir().unwrap();
        let elsewhere = folder.path().join("elsewhere");
        std::fs::write(&elsewhere, "somebody else's").unwrap();
        let mut store = Store::open(&folder.path().join("state")).unwrap();
        std::os::unix::fs::symlink(&elsewhere, folder.path().join("state/state.json.new")).unwrap();
        store.update(|state| state.sequence = 7);
        assert_eq!(std::fs::read(&elsewhere).unwrap(), b"somebody else's");
        assert!(folder.path().join("state/state.json").symlink_metadata().unwrap().is_file());
    }

    #[test]
    fn nobody_else_may_read_the_state() {
        use std::fs::Permissions;
        use std::os::unix::fs::PermissionsExt as _;
        let folder = tempfile::tempdir().unwrap();
        let inner = folder.path().join("state");
        DirBuilder::new().mode(0o700).create(&inner).unwrap();
        // As a crash may leave it, and whoever copied the folder.
        std::fs::write(inner.join("spec.key.new"), "half").unwrap();
        std::fs::set_permissions(inner.join("spec.key.new"), Permissions::from_mode(0o644)).unwrap();
        Store::open(&inner).unwrap().update(|state| state.sequence = 1);
        for path in [inner.clone(), inner.join(STATE), inner.join("spec.key")] {
            let mode = std::fs::metadata(&path).unwrap().permissions().mode();
            assert_eq!(mode & 0o077, 0, "{}", path.display());
        }
    }
}
