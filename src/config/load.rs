//! From a file to a configuration, or to everything that is wrong with it.

use std::fmt;
use std::io;
use std::path::Path;

use super::error::{Error, Problem};
use super::field::Field;
use super::findings::Findings;
use super::model::Config;
use super::{schema, yaml};
use crate::files;

/// Where the configuration is, unless told otherwise.
pub const DEFAULT_PATH: &str = "/etc/preview-agent/config.yaml";

/// Largest file that is read. The fullest honest configuration stays far below.
const MAX_BYTES: u64 = 256 * 1024;

/// A configuration with the bytes it was read from.
pub struct Loaded {
    /// What the file means.
    pub config: Config,
    /// The file as it was; may hold secrets.
    pub bytes: Vec<u8>,
}

impl fmt::Debug for Loaded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Loaded").field("config", &self.config).finish_non_exhaustive()
    }
}

/// Reads and checks a file, the existence of the host files that jobs mount included.
///
/// # Errors
/// Why it cannot be read, or everything that is wrong with it.
pub fn load(path: &Path) -> Result<Loaded, Error> {
    let (file, bytes) = (path.display().to_string(), read(path)?);
    let (config, findings) = check(utf8(&file, &bytes)?);
    let mut problems = findings.problems.into_inner();
    for host_file in findings.host_files.into_inner() {
        if let Some(trouble) = unfit(&host_file.path) {
            let hint = service_hint(&host_file.path, io::ErrorKind::NotFound);
            problems.push(Problem {
                line: host_file.at.line,
                column: host_file.at.column,
                field: host_file.field,
                message: format!("{trouble}: {}{hint}", host_file.path.display()),
            });
        }
    }
    finish(file, config, problems).map(|config| Loaded { config, bytes })
}

/// Reads and checks a file that is meant for another host: what jobs mount need not be here.
///
/// # Errors
/// As [`load`].
pub fn load_for_another_host(path: &Path) -> Result<Config, Error> {
    let (file, bytes) = (path.display().to_string(), read(path)?);
    let (config, findings) = check(utf8(&file, &bytes)?);
    finish(file, config, findings.problems.into_inner())
}

/// Checks a text without looking at the disk.
///
/// # Errors
/// Everything that is wrong with it, under the name `config.yaml`.
pub fn parse(text: &str) -> Result<Config, Error> {
    let (config, findings) = check(text);
    finish("config.yaml".to_owned(), config, findings.problems.into_inner())
}

/// Checks a configuration that is a part of another document; what is wrong is in the field's findings.
pub fn read_field(field: &Field<'_>) -> Option<Config> {
    schema::config(field)
}

fn check(text: &str) -> (Option<Config>, Findings) {
    let findings = Findings::default();
    let config = match yaml::read(text) {
        Ok(root) if root.is_empty() => Field::root(&root, &findings)
            .fail("the file is empty; `image` and `database` are the least it says"),
        Ok(root) => schema::config(&Field::root(&root, &findings)),
        Err(problem) => {
            findings.problems.borrow_mut().push(problem);
            None
        }
    };
    (config, findings)
}

/// The configuration, if there is one and nothing is wrong with it.
fn finish(file: String, config: Option<Config>, mut problems: Vec<Problem>) -> Result<Config, Error> {
    problems.sort_by_key(|problem| (problem.line, problem.column));
    match config {
        Some(config) if problems.is_empty() => Ok(config),
        _ => Err(Error::Invalid { file, problems }),
    }
}

fn read(path: &Path) -> Result<Vec<u8>, Error> {
    let unreadable = |source: io::Error| match source.kind() {
        io::ErrorKind::NotFound => Error::NotFound { path: path.to_owned() },
        io::ErrorKind::PermissionDenied => Error::Denied { path: path.to_owned() },
        io::ErrorKind::FileTooLarge => Error::TooLarge { path: path.to_owned(), max: MAX_BYTES },
        _ => Error::Unreadable { path: path.to_owned(), source },
    };
    files::read(path, MAX_BYTES).map_err(unreadable)
}

fn utf8<'a>(file: &str, bytes: &'a [u8]) -> Result<&'a str, Error> {
    std::str::from_utf8(bytes).map_err(|error| not_utf8(file.to_owned(), &bytes[..error.valid_up_to()]))
}

fn not_utf8(file: String, before: &[u8]) -> Error {
    let before = String::from_utf8_lossy(before);
    let (line, start) =
        (before.matches('\n').count() as u64 + 1, before.rfind('\n').map_or(0, |newline| newline + 1));
    let column = before[start..].chars().count() as u64 + 1;
    let message = "not UTF-8 text".to_owned();
    Error::Invalid { file, problems: vec![Problem { line, column, field: String::new(), message }] }
}

/// What to add where a file is said to be missing or denied: the unit hides
/// some folders (`ProtectHome=`, `PrivateTmp=`) and leaves root no right to what
/// belongs to others (`CapabilityBoundingSet=`), which nobody expects of root.
#[must_use]
pub fn service_hint(path: &Path, kind: io::ErrorKind) -> &'static str {
    const HIDDEN: [&str; 5] = ["/home", "/root", "/run/user", "/tmp", "/var/tmp"];
    match kind {
        io::ErrorKind::NotFound | io::ErrorKind::PermissionDenied
            if HIDDEN.iter().any(|folder| path.starts_with(folder)) =>
        {
            " (as a service the agent sees neither /home nor /root and has a /tmp of its own; keep the file below \
             /etc/preview-agent)"
        }
        io::ErrorKind::PermissionDenied => {
            " (as a service the agent reads what belongs to root or is open to all)"
        }
        _ => "",
    }
}

/// Why a path cannot be mounted as a file; one that this user may not look at is not judged.
fn unfit(path: &Path) -> Option<&'static str> {
    match path.metadata() {
        Ok(metadata) if metadata.is_dir() => Some("this is a folder, and only files are mounted"),
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
            Some("no such file on this host")
        }
        _ => None,
    }
}
