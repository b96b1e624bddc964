//! What reading a document brings up besides its values.

use std::cell::RefCell;
use std::path::PathBuf;

use super::error::Problem;
use super::yaml::Position;

/// What reading a document brought up besides its values.
#[derive(Default)]
pub struct Findings {
    pub(super) problems: RefCell<Vec<Problem>>,
    pub(super) host_files: RefCell<Vec<HostFile>>,
}

impl Findings {
    /// One more problem.
    pub fn add(&self, problem: Problem) {
        self.problems.borrow_mut().push(problem);
    }

    /// All problems.
    #[must_use]
    pub fn into_problems(self) -> Vec<Problem> {
        self.problems.into_inner()
    }
}

/// A host file that a job mounts, with its place, for whoever may look at the disk.
pub(super) struct HostFile {
    pub(super) path: PathBuf,
    pub(super) field: String,
    pub(super) at: Position,
}
