//! What a process uses, as the kernel tells it (`None` while it is on its way out), and its end with the test.

use std::fs;
use std::ops::{Deref, DerefMut};
use std::process::Child;

/// Peak resident memory in KiB; it only ever rises.
pub fn high_water_mark(pid: u32) -> Option<u64> {
    memory(pid, "VmHWM:")
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
