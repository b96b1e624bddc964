//! The packages for Debian and for Amazon Linux: what is in them, and what their hooks do to a system.
//!
//! They hold the static executable: `packaging/build-static ARCHITECTURE` makes it.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "helpers of tests")]

mod support;

use std::env::consts::ARCH;
use std::fs;
use std::ops::Deref;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use support::machine::Machine;

/// What an upgrade brings.
const NEWER: &str = "99.0.0";

/// Enough for the agent to start; it then finds no metadata service and says so.
const CONFIG: &str = "image: ghcr.io/acme/api:1\\ndatabase: off\\nmigrate: off\\n";

fn text(output: &Output) -> String {
    String::from_utf8_lossy(&[output.stdout.clone(), output.stderr.clone()].concat()).trim().to_owned()
}

/// The output of a command that has to work.
#[track_caller]
fn run(program: &str, args: &[&str]) -> String {
    let output =
        Command::new(program).args(args).output().unwrap_or_else(|error| panic!("{program}: {error}"));
    assert!(output.status.success(), "{program} {args:?}: {}", text(&output));
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

/// Runs a line of our scripts' own functions.
#[track_caller]
fn script(line: &str) -> String {
    let parts = "for part in common install static packages; do . scripts/lib/$part.sh; done";
    run("bash", &["-c", &format!("set -euo pipefail; cd '{}'; {parts}; {line}", env!("CARGO_MANIFEST_DIR"))])
}

/// The package of this kind and version, made in the folder.
fn package(kind: &str, version: &str, folder: &Path) -> PathBuf {
    let dist = script("echo $DIST");
    let agent = Path::new(&dist).join(format!("agent-{ARCH}"));
    assert!(agent.exists(), "no {}; run packaging/build-static {ARCH}", agent.display());
    let out = folder.join(version);
    fs::create_dir(&out).unwrap();
    script(&format!("install_package_tools; build_package {kind} {ARCH} {version} '{}'", out.display()));
    fs::read_dir(&out).unwrap().next().unwrap().unwrap().path()
}

fn current() -> &'static str {
    env!("CARGO_PKG_VERSION")
}

/// A Debian with systemd and an engine, and no network: nothing it asks leaves it.
struct Debian(Machine);

impl Debian {
    fn boot() -> Self {
        let machine = Self(Machine::create("bookworm", &["--network", "none"]));
        machine.start();
        machine.eventually("the engine answers", || machine.try_sh("docker version").0 == Some(0));
        machine
    }

    /// `systemctl is-enabled` and `is-active`.
    fn unit(&self) -> (String, String) {
        (
            self.try_sh("systemctl is-enabled preview-agent").1,
            self.try_sh("systemctl is-active preview-agent").1,
        )
    }

    fn pid(&self) -> String {
        self.sh("systemctl show --property MainPID --value preview-agent")
    }

    fn install(&self, deb: &Path) {
        self.copy(deb, "/var/lib/agent.deb");
        self.sh("DEBIAN_FRONTEND=noninteractive dpkg --install /var/lib/agent.deb");
    }
}

impl Deref for Debian {
    type Target = Machine;

    fn deref(&self) -> &Machine {
        &self.0
    }
}

impl Drop for Debian {
    fn drop(&mut self) {
        self.remove();
    }
}

fn states(enabled: &str, active: &str) -> (String, String) {
    (enabled.to_owned(), active.to_owned())
}

#[test]
fn a_deb_starts_nothing_unasked_restarts_what_runs_and_leaves_the_rest_to_a_purge() {
    let folder = tempfile::tempdir().unwrap();
    let (deb, newer) = (package("deb", current(), folder.path()), package("deb", NEWER, folder.path()));
    let machine = Debian::boot();

    machine.install(&deb);
    assert_eq!(
        machine.unit(),
        states("disabled", "inactive"),
        "nothing to do before there is a configuration"
    );
    assert_eq!(machine.sh("agent --version"), format!("agent {}", current()));
    machine.sh("test -d /etc/preview-agent && test -f /usr/share/bash-completion/completions/agent");

    machine.sh(&format!("printf '{CONFIG}' >/etc/preview-agent/config.yaml"));
    machine.sh("agent install");
    assert!(machine.status().is_some(), "the agent has told its status");
    assert_eq!(machine.unit(), states("enabled", "active"));
    machine.sh("test ! -e /etc/systemd/system/preview-agent.service");
    let changed = machine.try_sh("dpkg --verify preview-agent | grep -v /usr/share/").1;
    assert_eq!(changed, "", "`agent install` leaves the package's files alone");
    machine.sh("echo kept >/var/lib/preview-agent/kept");
    let pid = machine.pid();
    machine.install(&newer);
    assert_eq!(machine.unit(), states("enabled", "active"));
    assert_ne!(machine.pid(), pid, "the new executable runs");
    assert_eq!(machine.sh("dpkg-query --show --showformat '${Version}' preview-agent"), NEWER);
    machine.sh("test -s /var/lib/preview-agent/kept && test -s /etc/preview-agent/config.yaml");

    machine.sh("dpkg --remove preview-agent");
    assert_eq!(machine.unit().1, "inactive");
    machine.sh("test ! -e /usr/bin/agent && test ! -e /lib/systemd/system/preview-agent.service");
    machine.sh("test -s /var/lib/preview-agent/kept && test -s /etc/preview-agent/config.yaml");

    // Only now: the agent itself tidies up what no run of its own has left.
    machine.sh("tar -C / -chf - bin/sleep lib64/ld-linux-x86-64.so.2 lib/x86_64-linux-gnu/libc.so.6 | docker import - app");
    let container =
        "docker run --detach --network none --label preview-agent.role=app --label preview-agent.scope";
    machine.sh(&format!("{container}=/var/lib/preview-agent --name ours app /bin/sleep infinity"));
    machine.sh(&format!("{container}=/srv/another --name foreign app /bin/sleep infinity"));
    machine.sh("docker network create --label preview-agent.scope=/var/lib/preview-agent preview-agent-net");
    machine.sh("dpkg --purge preview-agent");
    machine.sh("test ! -e /var/lib/preview-agent && test ! -e /run/preview-agent");
    assert_eq!(machine.sh("docker ps --all --format '{{.Names}}'"), "foreign");
    assert_eq!(machine.sh("docker network ls --quiet --filter label=preview-agent.scope"), "");
    machine.sh("test -s /etc/preview-agent/config.yaml");
    assert_eq!(
        machine.sh("find /etc/systemd /var/lib/systemd -name '*preview-agent*'"),
        "",
        "no link is left"
    );

    // Removed, not purged, and then put there by hand: the purge has come too late.
    machine.install(&deb);
    machine.sh("cp /usr/bin/agent /var/tmp/agent && dpkg --remove preview-agent");
    machine
        .sh("cp /var/tmp/agent /usr/bin/agent && mkdir /var/lib/preview-agent && dpkg --purge preview-agent");
    machine.sh("test -d /var/lib/preview-agent && /usr/bin/agent --version");
}

/// A root folder with a shell, and in place of systemd's helper one that notes what it is asked for.
fn root_folder(folder: &Path) -> PathBuf {
    let root = folder.join("root");
    for below in ["bin", "usr/lib/systemd", "var/lib/rpm"] {
        fs::create_dir_all(root.join(below)).unwrap();
    }
    script("install_commands busybox:busybox-static");
    let busybox = run("sh", &["-c", "command -v busybox"]);
    fs::copy(busybox, root.join("bin/sh")).unwrap();
    let helper = root.join("usr/lib/systemd/systemd-update-helper");
    fs::write(&helper, "#!/bin/sh\necho \"$@\" >>/asked\n").unwrap();
    fs::set_permissions(&helper, fs::Permissions::from_mode(0o755)).unwrap();
    root
}

#[test]
fn an_rpm_asks_systemd_for_what_amazon_linux_expects() {
    let folder = tempfile::tempdir().unwrap();
    let (rpm, newer) = (package("rpm", current(), folder.path()), package("rpm", NEWER, folder.path()));
    let root = root_folder(folder.path());
    let root_text = root.to_str().unwrap();
    let asked = || fs::read_to_string(root.join("asked")).unwrap_or_default();

    let told = run("rpm", &["-qlp", "--scripts", rpm.to_str().unwrap()]);
    for path in [
        "/etc/preview-agent",
        "/usr/bin/agent",
        "/usr/lib/systemd/system/preview-agent.service",
        "/usr/share/bash-completion/completions/agent",
        "/usr/share/zsh/site-functions/_agent",
        "/usr/share/fish/vendor_completions.d/agent.fish",
        "/usr/share/man/man8/agent.8.gz",
        "/usr/share/doc/preview-agent/config.example.yaml",
        "/usr/share/licenses/preview-agent/LICENCES.txt",
    ] {
        assert!(told.lines().any(|line| line == path), "no {path} in {told}");
    }
    for hook in ["postinstall", "preuninstall", "postuninstall"] {
        assert!(told.contains(&format!("{hook} scriptlet (using /bin/sh):")), "{told}");
    }

    let rpm_in_root = |action: &str, what: &str| run("rpm", &["--root", root_text, "--nodeps", action, what]);
    rpm_in_root("--install", rpm.to_str().unwrap());
    assert_eq!(asked(), "install-system-units preview-agent.service\n");
    assert_eq!(run("chroot", &[root_text, "/usr/bin/agent", "--version"]), format!("agent {}", current()));
    let agent = fs::metadata(root.join("usr/bin/agent")).unwrap();
    assert_eq!((agent.mode() & 0o7777, agent.uid(), agent.gid()), (0o755, 0, 0));
    let unit = fs::read(root.join("usr/lib/systemd/system/preview-agent.service")).unwrap();
    let ours = Path::new(env!("CARGO_MANIFEST_DIR")).join("systemd/preview-agent.service");
    assert_eq!(unit, fs::read(ours).unwrap(), "the unit is the repository's");

    fs::write(root.join("etc/preview-agent/config.yaml"), "image: ghcr.io/acme/api:1\n").unwrap();
    rpm_in_root("--upgrade", newer.to_str().unwrap());
    assert!(asked().ends_with("\nmark-restart-system-units preview-agent.service\n"), "{}", asked());

    rpm_in_root("--erase", "preview-agent");
    assert!(asked().ends_with("\nremove-system-units preview-agent.service\n"), "{}", asked());
    assert_eq!(asked().lines().count(), 3, "{}", asked());
    assert!(!root.join("usr/bin/agent").exists());
    assert!(root.join("etc/preview-agent/config.yaml").exists(), "what somebody wrote stays");
}
