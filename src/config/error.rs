//! What can be wrong with a configuration, in a form that never repeats a
//! value: any value may be a secret.

use std::fmt;
use std::path::PathBuf;

/// A configuration that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No such file.
    #[error("{}: no such file", path.display())]
    NotFound {
        /// The file as named by the caller.
        path: PathBuf,
    },
    /// The file may not be read by this user.
    #[error("{}: permission denied", path.display())]
    Denied {
        /// The file as named by the caller.
        path: PathBuf,
    },
    /// Any other failure to read.
    #[error("{}: cannot be read: {source}", path.display())]
    Unreadable {
        /// The file as named by the caller.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// Larger than any configuration.
    #[error("{}: larger than {} KiB; this is hardly a configuration", path.display(), max / 1024)]
    TooLarge {
        /// The file as named by the caller.
        path: PathBuf,
        /// Largest number of bytes.
        max: u64,
    },
    /// Read and understood to be wrong.
    #[error("{}", lines(file, problems))]
    Invalid {
        /// The file's name for the messages.
        file: String,
        /// In the order of the file; at least one.
        problems: Vec<Problem>,
    },
}

/// One thing that is wrong in the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// Line, from 1.
    pub line: u64,
    /// Column in characters, from 1.
    pub column: u64,
    /// Path of the field, such as `app.port`; empty for the file as a whole.
    pub field: String,
    /// What was expected.
    pub message: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: ", self.line, self.column)?;
        if !self.field.is_empty() {
            write!(f, "{}: ", self.field)?;
        }
        f.write_str(&self.message)
    }
}

fn lines(file: &str, problems: &[Problem]) -> String {
    problems.iter().map(|problem| format!("{file}:{problem}")).collect::<Vec<_>>().join("\n")
}
