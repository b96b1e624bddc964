//! The user's repository: the sample application, as somebody has it in a repository of their own.

use std::fs;
use std::path::Path;
use std::process::Command;

use crate::support::peers::peers;

pub struct Repository {
    folder: tempfile::TempDir,
}

impl Repository {
    /// With the sample's files as its first commit.
    pub fn new() -> Self {
        let repository = Self { folder: tempfile::tempdir().unwrap() };
        let sample = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/tasks-api");
        let copied = Command::new("cp").arg("-R").arg(sample.join(".")).arg(repository.path()).status();
        assert!(copied.unwrap().success());
        // Docker Hub does not answer here.
        let dockerfile = repository.path().join("Dockerfile");
        let text = fs::read_to_string(&dockerfile).unwrap();
        let base = format!("ARG BASE={}", peers().platform_base);
        fs::write(&dockerfile, text.replace("ARG BASE=python:3-slim", &base)).unwrap();
        repository.git(&["init", "-q", "-b", "main"]);
        repository.all("the sample");
        repository
    }

    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    /// One more commit, with this file; its id.
    pub fn commit(&self, file: &str, text: &str) -> String {
        fs::write(self.path().join(file), text).unwrap();
        self.all(file);
        self.head()
    }

    /// The newest commit.
    pub fn head(&self) -> String {
        self.git(&["rev-parse", "HEAD"])
    }

    fn all(&self, message: &str) {
        self.git(&["add", "-A"]);
        self.git(&[
            "-c",
            "user.name=acme",
            "-c",
            "user.email=acme@example.com",
            "commit",
            "-q",
            "-m",
            message,
        ]);
    }

    fn git(&self, arguments: &[&str]) -> String {
        let output = Command::new("git").arg("-C").arg(self.path()).args(arguments).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    }
}
