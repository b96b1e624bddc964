//! What reading a document brings up besides its values.

use std::cell::RefCell;
use std::path::PathBuf;

use super::error::Problem;
use super::yaml::Position;

/// What reading a document brought up besides its values.
#[derive(Default)]
pub(super) struct Findings {
    pub(super) problems: RefCell<Vec<Problem>>,
    pub(super) host_files: RefCell<Vec<HostFile>>,
}

/// A host file that a job mounts, with its place, for whoever may look at the disk.
pub(super) struct HostFile {
    pub(super) path: PathBuf,
    pub(super) field: String,
    pub(super) at: Position,
}
