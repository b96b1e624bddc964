//! What a process uses, as the kernel tells it (`None` while it is on its way out), and its end with the test;
//! and where the pull request's side is.

use std::fs;
use std::ops::{Deref, DerefMut};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use super::wait::until;

/// Peak resident memory in KiB; it only ever rises.
pub fn high_water_mark(pid: u32) -> Option<u64> {
    memory(pid, "VmHWM:")
}

/// Runs a command to its end: its peak of resident memory in KiB, looked at after its work had begun.
pub fn peak(command: &mut Command, begun: impl Fn() -> bool) -> u64 {
    let mut process = Own(command.stderr(Stdio::null()).spawn().unwrap());
    let mut peak = None;
    while process.try_wait().unwrap().is_none() {
        // Asked first, so that what is seen then is of the work. What comes in the last moments is the exit.
        let begun = begun();
        peak = high_water_mark(process.id()).filter(|_| begun).or(peak);
        std::thread::sleep(Duration::from_millis(5));
    }
    let peak = peak.expect("its memory was never looked at during its work");
    assert!(peak > 2 * 1024, "{peak} KiB are less than the executable alone takes");
    peak
}

/// Resident memory in KiB.
pub fn resident(pid: u32) -> Option<u64> {
    memory(pid, "VmRSS:")
}

/// Open file descriptors.
pub fn descriptors(pid: u32) -> Option<usize> {
    Some(fs::read_dir(format!("/proc/{pid}/fd")).ok()?.count())
}

fn memory(pid: u32, field: &str) -> Option<u64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix(field))?;
    line.trim().trim_end_matches(" kB").parse().ok()
}

/// A process that ends with the test, however that ends.
pub struct Own(pub Child);

impl Own {
    /// Waits until it has ended by itself, or fails with these words.
    #[track_caller]
    pub fn ended(&mut self, words: impl Fn() -> String) -> ExitStatus {
        until(|| format!("it does not end: {}", words()), || self.0.try_wait().unwrap())
    }
}

/// Sends a signal, as in `HUP`.
pub fn signal(process: &Child, name: &str) {
    let sent = Command::new("kill").arg(format!("-{name}")).arg(process.id().to_string()).status();
    assert!(sent.unwrap().success());
}

impl Deref for Own {
    type Target = Child;

    fn deref(&self) -> &Child {
        &self.0
    }
}

impl DerefMut for Own {
    fn deref_mut(&mut self) -> &mut Child {
        &mut self.0
    }
}

impl Drop for Own {
    fn drop(&mut self) {
        self.kill().ok();
        self.wait().ok();
    }
}

/// `preview`, which the workspace's build has put beside this test.
pub fn preview() -> PathBuf {
    let path = Path::new(env!("CARGO_BIN_EXE_agent")).with_file_name("preview");
    assert!(path.exists(), "no {}; run cargo build -p preview, or scripts/acceptance", path.display());
    path
}
