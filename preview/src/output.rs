//! All output: lines for people, values for the next step, a summary for the run's page.

use std::fs::OpenOptions;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use preview_agent::cli::exit;
use preview_agent::redact::{Redactor, plain};

/// GitHub drops a step's summary above 1 MiB.
const SUMMARY: usize = 512 * 1024;

/// Where a command writes to.
#[derive(Debug, Clone)]
pub struct Output {
    /// Write progress to standard error, so that standard output is one JSON document.
    pub json: bool,
    /// Whether a runner reads the output: it obeys lines that begin with `::`.
    runner: bool,
    values: Option<PathBuf>,
    summary: Option<PathBuf>,
    redactor: Redactor,
    /// The first failed write to standard output.
    failed: Arc<OnceLock<io::Error>>,
}

impl Output {
    /// From the environment.
    #[must_use]
    pub fn from_env(json: bool, redactor: Redactor) -> Self {
        let path = |name: &str| std::env::var_os(name).filter(|path| !path.is_empty()).map(PathBuf::from);
        Self {
            json,
            runner: std::env::var_os("GITHUB_ACTIONS").is_some_and(|value| value == "true"),
            values: path("GITHUB_OUTPUT"),
            summary: path("GITHUB_STEP_SUMMARY"),
            redactor,
            failed: Arc::default(),
        }
    }

    /// Writes a command for the runner, which reads both streams.
    fn command(&self, command: &str) {
        self.progress(&format!("::{command}"));
    }

    /// Writes a line to standard output, or with `--json` to standard error.
    fn progress(&self, line: &str) {
        if self.json {
            writeln!(io::stderr(), "{line}").ok();
        } else {
            self.write(line);
        }
    }

    /// Writes a line to standard output. A failure ends no command that is at work: see [`Self::end`].
    fn write(&self, line: &str) {
        if let Err(error) = writeln!(io::stdout(), "{line}") {
            self.failed.set(error).ok();
        }
    }

    /// The exit code of a command that has ended with this one. A reader that has seen enough (`| head`) is no
    /// failure; a full disk behind `>` is.
    #[must_use]
    pub fn end(&self, code: u8) -> u8 {
        match self.failed.get() {
            Some(error) if error.kind() != io::ErrorKind::BrokenPipe => {
                writeln!(io::stderr(), "preview: cannot show all of it: {error}").ok();
                if code == exit::OK { exit::FAILED } else { code }
            }
            _ => code,
        }
    }

    /// Writes one line of our own; quoted text in it is made harmless.
    pub fn say(&self, line: &str) {
        self.progress(&self.harmless(line));
    }

    /// Writes a warning, which a runner shows on the run's page.
    pub fn warn(&self, line: &str) {
        if self.runner {
            let line = self.harmless(line).replace('%', "%25");
            self.command(&format!("warning::{line}"));
        } else {
            self.say(&format!("warning: {line}"));
        }
    }

    /// Writes an error.
    pub fn complain(&self, line: &str) {
        if self.runner {
            let line = self.harmless(line).replace('%', "%25");
            self.command(&format!("error::{line}"));
        } else {
            writeln!(io::stderr(), "preview: {}", self.harmless(line)).ok();
        }
    }

    /// Writes untrusted text line by line, and keeps the runner from obeying commands in it.
    pub fn quote(&self, text: &str) {
        let token = format!("{:032x}", fastrand::u128(..));
        if self.runner {
            self.command(&format!("stop-commands::{token}"));
        }
        for line in text.lines() {
            self.say(&format!("| {line}"));
        }
        if self.runner {
            self.command(&format!("{token}::"));
        }
    }

    /// Makes the runner mask each line of this value: it masks whole secrets by itself, and no parts of them.
    pub fn mask(&self, value: &str) {
        if self.runner {
            for line in value.lines().filter(|line| !line.trim().is_empty()) {
                self.command(&format!("add-mask::{}", line.replace('%', "%25")));
            }
        }
    }

    /// Writes a document to standard output.
    pub fn print(&self, text: &str) {
        self.write(&self.redactor.apply(text));
    }

    /// Sets outputs for the next steps.
    pub fn values(&self, values: &[(&str, &str)]) {
        let Some(path) = &self.values else { return };
        let mut text = String::new();
        for (name, value) in values {
            let end = format!("{:032x}", fastrand::u128(..));
            text += &format!("{name}<<{end}\n{value}\n{end}\n");
        }
        self.append(path, &text);
    }

    /// Adds to the summary on the run's page.
    pub fn summary(&self, text: &str) {
        let Some(path) = &self.summary else { return };
        let text = self.redactor.apply(text);
        self.append(path, &format!("{}\n", &text[..text.floor_char_boundary(SUMMARY)]));
    }

    fn append(&self, path: &Path, text: &str) {
        let written = OpenOptions::new()
            .create(true)
            .append(true)
            .open(path)
            .and_then(|mut f| f.write_all(text.as_bytes()));
        if let Err(error) = written {
            self.warn(&format!("{}: {error}", path.display()));
        }
    }

    /// One line without secrets and escapes. A runner obeys `##[` anywhere and `::` at the start, so both are broken up.
    fn harmless(&self, line: &str) -> String {
        let line = self.redactor.apply(line);
        let line = plain(&line).replace(['\n', '\r'], " ").replace("##[", "# # [");
        if line.trim_start().starts_with("::") { format!("| {line}") } else { line }
    }
}
