//! The unit: what systemd makes of it, and what it shares with the code.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "helpers of tests")]

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Command, Output};

use preview_agent::cli::exit;
use preview_agent::install::UNIT_TEXT;

/// The values of a key, in the order of the file.
fn values(key: &str) -> Vec<&'static str> {
    UNIT_TEXT.lines().filter_map(|line| line.strip_prefix(key)?.strip_prefix('=')).collect()
}

fn systemd_analyze(arguments: &[&str]) -> Output {
    Command::new("systemd-analyze").args(arguments).output().expect("systemd-analyze, of the package systemd")
}

/// A root folder with the unit where it is installed, and the programs that it names.
fn root() -> tempfile::TempDir {
    let root = tempfile::tempdir().unwrap();
    let write = |path: &str, text: &str| {
        let path = root.path().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, text).unwrap();
        let mode = if path.ends_with("agent") || path.ends_with("kill") { 0o755 } else { 0o644 };
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
    };
    write("etc/systemd/system/preview-agent.service", UNIT_TEXT);
    write("usr/bin/agent", "");
    write("bin/kill", "");
    for unit in ["docker.service", "network-online.target", "sysinit.target", "basic.target"] {
        let service = if unit.ends_with("service") { "[Service]\nExecStart=/bin/kill\n" } else { "" };
        write(&format!("usr/lib/systemd/system/{unit}"), &format!("[Unit]\nDescription={unit}\n{service}"));
    }
    root
}

#[test]
fn systemd_finds_no_fault_with_the_unit() {
    let root = root();
    let unit = "preview-agent.service";
    let output = systemd_analyze(&["verify", &format!("--root={}", root.path().display()), unit]);
    let words = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && words.trim().is_empty(), "{words}");
}

#[test]
fn systemd_sees_a_fault_in_a_unit_where_there_is_one() {
    let root = root();
    let broken = UNIT_TEXT.replace("RestartSec=15s", "RestartSecs=15s");
    std::fs::write(root.path().join("etc/systemd/system/preview-agent.service"), broken).unwrap();
    let root = format!("--root={}", root.path().display());
    let output = systemd_analyze(&["verify", &root, "preview-agent.service"]);
    assert!(String::from_utf8_lossy(&output.stderr).contains("RestartSecs"));
}

#[test]
fn the_exposure_of_the_unit_is_at_most_1_8() {
    let unit = Path::new(env!("CARGO_MANIFEST_DIR")).join("systemd/preview-agent.service");
    let options = ["security", "--offline=yes", "--threshold=18", "--no-pager"];
    let output = systemd_analyze(&[options.as_slice(), &[unit.to_str().unwrap()]].concat());
    let table = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{table}{}", String::from_utf8_lossy(&output.stderr));
    assert!(table.contains("Overall exposure level for preview-agent.service: 1."), "{table}");
}

#[test]
fn what_no_restart_can_mend_is_not_restarted_and_the_rest_is() {
    let listed: Vec<u8> =
        values("RestartPreventExitStatus")[0].split(' ').map(|code| code.parse().unwrap()).collect();
    assert_eq!(listed, [exit::USAGE, exit::NO_PERMISSION, exit::CONFIG]);
    assert!(!listed.contains(&exit::TEMPORARY));
    assert_eq!(values("Restart"), ["on-failure"]);
}

#[test]
fn the_unit_never_waits_for_user_data_and_never_needs_the_engine() {
    assert!(values("After").iter().all(|after| !after.contains("cloud-")));
    let engine = ["Requires", "BindsTo", "PartOf", "Requisite"];
    assert!(engine.iter().all(|key| values(key).is_empty()));
    assert!(values("Wants").contains(&"docker.service") && values("After").contains(&"docker.service"));
}

/// Directives that came after systemd 252, which Amazon Linux 2023 has.
#[test]
fn the_unit_has_nothing_that_systemd_252_does_not_know() {
    for newer in
        ["ImportCredential", "RestartSteps", "RestartMaxDelaySec", "RestartMode", "MemoryPressureWatch"]
    {
        assert!(values(newer).is_empty(), "{newer}");
    }
    assert_eq!(values("Type"), ["notify"]);
}
