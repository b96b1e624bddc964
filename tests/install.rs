//! `agent install` and `agent uninstall` as far as they go without systemd as
//! PID 1: what is refused, what is written, what is removed. The service itself
//! is tested by the instances that are booted.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "helpers of tests")]

mod support;

use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use preview_agent::install::{Error, Layout, Removal, purge};
use support::engine::{docker, lines};
use support::wait::block_on;
use support::world::World;

/// A machine's root folder with an executable to install on it.
struct Machine {
    folder: tempfile::TempDir,
}

impl Machine {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        // As it is on every machine before us.
        for path in ["usr/bin", "etc/systemd/system"] {
            fs::create_dir_all(folder.path().join(path)).unwrap();
        }
        let machine = Self { folder };
        machine.write("download", "the agent");
        machine
    }

    fn path(&self, path: &str) -> PathBuf {
        self.folder.path().join(path)
    }

    fn write(&self, path: &str, text: &str) {
        fs::create_dir_all(self.path(path).parent().unwrap()).unwrap();
        fs::write(self.path(path), text).unwrap();
    }

    fn layout(&self) -> Layout {
        Layout::new(self.folder.path())
    }

    fn install(&self, report: Option<&str>) -> Vec<PathBuf> {
        self.layout().install(&self.path("download"), report).unwrap()
    }

    /// Removes what was installed, which nothing stands in the way of.
    fn uninstall(&self) -> Vec<PathBuf> {
        done(self.layout().uninstall().unwrap())
    }

    fn mode(&self, path: &str) -> u32 {
        fs::metadata(self.path(path)).unwrap().mode() & 0o7777
    }

    /// Every file and folder, sorted.
    fn everything(&self) -> Vec<String> {
        let mut found = Vec::new();
        let mut folders = vec![self.folder.path().to_owned()];
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                found.push(path.strip_prefix(self.folder.path()).unwrap().display().to_string());
                if path.is_dir() {
                    folders.push(path);
                }
            }
        }
        found.sort();
        found
    }
}

fn done(removal: Removal) -> Vec<PathBuf> {
    assert!(removal.errors.is_empty(), "{:?}", removal.errors);
    removal.removed
}

const BINARY: &str = "usr/bin/agent";
const UNIT: &str = "etc/systemd/system/preview-agent.service";
const DROP_IN: &str = "etc/systemd/system/preview-agent.service.d/report.conf";

#[test]
fn an_installation_is_the_executable_the_repository_s_unit_and_the_drop_in() {
    let machine = Machine::new();
    let changed = machine.install(Some("/pr-preview/42/status"));
    assert_eq!(changed, [BINARY, UNIT, DROP_IN, "etc/preview-agent"].map(|path| machine.path(path)));
    assert_eq!(fs::read(machine.path(BINARY)).unwrap(), b"the agent");
    let unit = Path::new(env!("CARGO_MANIFEST_DIR")).join("systemd/preview-agent.service");
    assert_eq!(fs::read(machine.path(UNIT)).unwrap(), fs::read(unit).unwrap());
    let drop_in = "# Written by `agent install --report`.\n[Service]\n\
                   Environment=PREVIEW_AGENT_REPORT=/pr-preview/42/status\n";
    assert_eq!(fs::read_to_string(machine.path(DROP_IN)).unwrap(), drop_in);
    assert_eq!([BINARY, UNIT, DROP_IN].map(|path| machine.mode(path)), [0o755, 0o644, 0o644]);
    assert_eq!(machine.mode("etc/preview-agent"), 0o755);
}

#[test]
fn a_second_installation_changes_only_what_differs() {
    let machine = Machine::new();
    machine.install(Some("/a"));
    assert_eq!(machine.install(Some("/a")), Vec::<PathBuf>::new());
    // Without a name the one that was given stays.
    assert_eq!(machine.install(None), Vec::<PathBuf>::new());
    assert_eq!(machine.install(Some("/b")), [machine.path(DROP_IN)]);
    machine.write(UNIT, "[Service]\n");
    fs::set_permissions(machine.path(BINARY), Permissions::from_mode(0o700)).unwrap();
    assert_eq!(machine.install(None), [BINARY, UNIT].map(|path| machine.path(path)));
    assert_eq!(machine.mode(BINARY), 0o755);
}

#[test]
fn an_upgrade_replaces_the_binary_and_leaves_the_old_one_to_who_runs_it() {
    let machine = Machine::new();
    machine.install(None);
    let running = fs::File::open(machine.path(BINARY)).unwrap();
    machine.write("download", "a newer agent");
    assert_eq!(machine.install(None), [machine.path(BINARY)]);
    assert_eq!(fs::read(machine.path(BINARY)).unwrap(), b"a newer agent");
    assert_eq!(std::io::read_to_string(running).unwrap(), "the agent");
}

#[test]
fn an_installation_that_was_killed_halfway_is_mended_by_the_next_and_removed_by_the_last() {
    let machine = Machine::new();
    let before = machine.everything();
    let half = || machine.write("usr/bin/.agent.new", "the ag");
    half();
    machine.write(UNIT, "[Uni");
    machine.install(None);
    assert_eq!(fs::read(machine.path(BINARY)).unwrap(), b"the agent");
    assert!(!machine.path("usr/bin/.agent.new").exists());
    half();
    machine.uninstall();
    done(machine.layout().forget());
    assert_eq!(machine.everything(), before);
}

#[test]
fn the_installed_binary_can_install_itself() {
    let machine = Machine::new();
    machine.install(None);
    fs::remove_file(machine.path(UNIT)).unwrap();
    assert_eq!(machine.layout().install(&machine.path(BINARY), None).unwrap(), [machine.path(UNIT)]);
    assert_eq!(fs::read(machine.path(BINARY)).unwrap(), b"the agent");
}

#[test]
fn what_a_package_owns_is_left_alone() {
    for folder in ["usr/lib/systemd/system", "lib/systemd/system"] {
        let machine = Machine::new();
        machine.write(&format!("{folder}/preview-agent.service"), "the package's unit");
        machine.write(BINARY, "the package's agent");
        let before = machine.everything();
        let layout = machine.layout();
        for refused in
            [layout.install(&machine.path("download"), Some("/a")), layout.uninstall().map(|it| it.removed)]
        {
            let error = refused.unwrap_err();
            assert!(matches!(error, Error::Packaged { .. }), "{error}");
            assert!(error.to_string().contains("belongs to a package"), "{error}");
        }
        assert_eq!(machine.everything(), before);
        // The package's own binary does what a package leaves to the administrator.
        let changed = layout.install(&machine.path(BINARY), Some("/a")).unwrap();
        assert_eq!(changed, [DROP_IN, "etc/preview-agent"].map(|path| machine.path(path)));
    }
}

#[test]
fn a_removal_leaves_state_configuration_and_the_drop_ins_of_others() {
    let machine = Machine::new();
    machine.install(Some("/a"));
    machine.write("etc/preview-agent/config.yaml", "image: x");
    machine.write("var/lib/preview-agent/state.json", "{}");
    machine.write("run/preview-agent/status.json", "{}");
    let theirs = "etc/systemd/system/preview-agent.service.d/proxy.conf";
    machine.write(theirs, "[Service]\n");
    let removed = machine.uninstall();
    assert_eq!(removed, [UNIT, DROP_IN, "run/preview-agent", BINARY].map(|path| machine.path(path)));
    assert!(machine.path(theirs).exists());
    assert!(machine.path("var/lib/preview-agent/state.json").exists());
    assert_eq!(machine.uninstall(), Vec::<PathBuf>::new());
    // A purge takes the state, and not what somebody wrote.
    assert_eq!(done(machine.layout().forget()), [machine.path("var/lib/preview-agent")]);
    assert!(machine.path("etc/preview-agent/config.yaml").exists());
}

#[test]
fn a_folder_where_a_file_should_be_stays_is_named_and_stops_nothing_else() {
    for theirs in [BINARY, "usr/bin/.agent.new", UNIT, DROP_IN] {
        let machine = Machine::new();
        machine.install(Some("/a"));
        machine.write("run/preview-agent/status.json", "{}");
        fs::remove_file(machine.path(theirs)).ok();
        machine.write(&format!("{theirs}/precious"), "somebody's");
        let removal = machine.layout().uninstall().unwrap();
        let words: Vec<_> = removal.errors.iter().map(Error::to_string).collect();
        let named = format!("cannot remove {}: ", machine.path(theirs).display());
        assert!(words.len() == 1 && words[0].starts_with(&named), "{words:?}");
        assert!(machine.path(theirs).join("precious").exists());
        for path in [BINARY, UNIT, DROP_IN, "run/preview-agent"] {
            let is_kept = path == theirs || (path == BINARY && theirs.contains(".agent.new"));
            assert_eq!(machine.path(path).exists(), is_kept, "{path} beside {theirs}");
        }
    }
}

#[test]
fn a_file_where_a_folder_should_be_means_that_nothing_is_there() {
    let machine = Machine::new();
    machine.write("etc/systemd/system/preview-agent.service.d", "no folder");
    machine.write("etc/preview-agent", "no folder");
    let before = machine.everything();
    assert_eq!(machine.uninstall(), Vec::<PathBuf>::new());
    assert_eq!(done(machine.layout().forget()), Vec::<PathBuf>::new());
    assert_eq!(machine.everything(), before);
}

/// A mount that ends with the test.
struct Mount(PathBuf);

impl Drop for Mount {
    fn drop(&mut self) {
        Command::new("umount").arg(&self.0).status().ok();
    }
}

#[test]
fn a_state_folder_that_is_a_mount_point_is_emptied() {
    let machine = Machine::new();
    let state = machine.path("var/lib/preview-agent");
    fs::create_dir_all(&state).unwrap();
    let mounted = Command::new("mount").args(["-t", "tmpfs", "none"]).arg(&state).output();
    // Not everybody may mount.
    if !mounted.is_ok_and(|output| output.status.success()) {
        return;
    }
    let _mount = Mount(state.clone());
    machine.write("var/lib/preview-agent/spool/layer", "bytes");
    assert_eq!(done(machine.layout().forget()), std::slice::from_ref(&state));
    assert_eq!(fs::read_dir(&state).unwrap().count(), 0);
    assert_eq!(done(machine.layout().forget()), Vec::<PathBuf>::new());
}

#[test]
fn a_link_in_a_file_s_place_is_replaced_and_what_it_leads_to_is_left() {
    let machine = Machine::new();
    machine.write("opt/agent", "an older agent");
    for target in ["opt/agent", "download"] {
        let before = fs::read(machine.path(target)).unwrap();
        fs::remove_file(machine.path(BINARY)).ok();
        symlink(machine.path(target), machine.path(BINARY)).unwrap();
        assert!(machine.install(None).contains(&machine.path(BINARY)));
        assert!(fs::symlink_metadata(machine.path(BINARY)).unwrap().is_file());
        assert_eq!(fs::read(machine.path(BINARY)).unwrap(), b"the agent");
        assert_eq!(fs::read(machine.path(target)).unwrap(), before);
    }
}

#[test]
fn an_installation_that_failed_leaves_no_temporary_file() {
    let machine = Machine::new();
    machine.write("usr/bin/agent/precious", "somebody's");
    let before = machine.everything();
    let error = machine.layout().install(&machine.path("download"), None).unwrap_err();
    assert!(
        error.to_string().contains(&format!("cannot write {}", machine.path(BINARY).display())),
        "{error}"
    );
    assert_eq!(machine.everything(), before);
}

#[test]
fn a_masked_unit_is_refused_before_anything_is_touched() {
    let runtime = "run/systemd/system/preview-agent.service";
    for (path, command) in [(UNIT, "unmask preview-agent"), (runtime, "unmask --runtime preview-agent")] {
        let machine = Machine::new();
        fs::create_dir_all(machine.path(path).parent().unwrap()).unwrap();
        symlink("/dev/null", machine.path(path)).unwrap();
        let before = machine.everything();
        let error = machine.layout().install(&machine.path("download"), Some("/a")).unwrap_err();
        assert_eq!(error.to_string(), format!("preview-agent.service is masked: systemctl {command}"));
        assert_eq!(machine.everything(), before);
    }
}

#[test]
fn a_package_s_binary_removes_the_unit_from_before_the_package_and_no_other() {
    let machine = Machine::new();
    machine.install(None);
    let ours = fs::read_to_string(machine.path(UNIT)).unwrap();
    machine.write("usr/lib/systemd/system/preview-agent.service", "the package's unit");
    // Also one of another version.
    machine.write(UNIT, &ours.replace("MemoryMax=256M", "MemoryMax=128M"));
    let error = machine.layout().uninstall().unwrap_err();
    assert!(error.to_string().contains("run its `/usr/bin/agent install`"), "{error}");
    let layout = machine.layout();
    assert_eq!(layout.install(&machine.path(BINARY), None).unwrap(), [machine.path(UNIT)]);
    assert!(!machine.path(UNIT).exists());
    machine.write(UNIT, "[Service]\n");
    assert_eq!(layout.install(&machine.path(BINARY), None).unwrap(), Vec::<PathBuf>::new());
    assert!(machine.path(UNIT).exists());
}

#[test]
fn two_installations_at_once_are_refused() {
    let machine = Machine::new();
    let first = machine.layout().lock().unwrap();
    assert!(matches!(machine.layout().lock(), Err(Error::Busy)));
    drop(first);
    machine.layout().lock().unwrap();
}

#[test]
fn a_purge_removes_this_agent_s_containers_and_network_and_nobody_else_s() {
    let world = World::new();
    let other = World::new();
    world.run_once(&world.config("good", "")).is_ready();
    other.run_once(&other.config("good", "")).is_ready();
    let (app, others) = (world.app_container(), other.in_docker());
    let purge = || block_on(purge::docker_objects(&world.path("state"))).unwrap();
    let removed = purge();
    assert_eq!(removed.len(), 2, "{removed:?}");
    assert!(removed[0].starts_with("container ") && removed[1].starts_with("network "), "{removed:?}");
    assert_eq!(world.in_docker(), Vec::<String>::new());
    assert!(!lines(&docker(&["ps", "-aq", "--no-trunc"])).contains(&app));
    assert_eq!(other.in_docker(), others);
    assert_eq!(purge(), Vec::<String>::new());
}

/// Our binary where no systemctl is found, so that it cannot change this machine.
fn agent(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_agent"));
    command.args(arguments).env("PATH", "/nowhere");
    command
}

fn ended(output: &Output) -> (Option<i32>, String) {
    (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
}

#[test]
fn a_name_that_is_no_parameter_s_is_refused_before_anything_is_looked_at() {
    for name in
        ["", "a b", "a\"b", "a'b", "a\nUser=x", "/a%b", "/a$b", "/a\\b", "/a=b", "/a;b", "/a/", "/aws/a", "ä"]
    {
        let (code, words) = ended(&agent(&["install", "--report", name]).output().unwrap());
        assert_eq!(code, Some(2), "{name:?}: {words}");
        assert!(words.contains("--report"), "{words}");
    }
}

#[test]
fn neither_command_is_for_others_than_root() {
    let folder = tempfile::tempdir().unwrap();
    let copy = folder.path().join("agent");
    fs::copy(env!("CARGO_BIN_EXE_agent"), &copy).unwrap();
    for path in [folder.path(), &copy] {
        fs::set_permissions(path, Permissions::from_mode(0o755)).unwrap();
    }
    for command in ["install", "uninstall"] {
        let mut agent = Command::new(&copy);
        agent.arg(command).env("PATH", "/nowhere");
        if rustix::process::geteuid().is_root() {
            agent.uid(65534);
        }
        let (code, words) = ended(&agent.output().unwrap());
        assert_eq!(code, Some(77), "{words}");
        assert!(words.contains("for root; try with sudo"), "{words}");
    }
}

#[test]
fn without_systemctl_both_commands_say_so_and_touch_nothing() {
    if !rustix::process::geteuid().is_root() {
        return;
    }
    for command in ["install", "uninstall"] {
        let (code, words) = ended(&agent(&[command]).output().unwrap());
        assert_eq!(code, Some(1), "{words}");
        assert!(words.contains("cannot start systemctl"), "{words}");
    }
    assert!(!Path::new("/etc/systemd/system/preview-agent.service").exists());
}
