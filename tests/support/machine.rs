//! An EC2 instance in a container: systemd as PID 1, cloud-init with User Data from a seed, an engine of its
//! own.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Command, Output};
use std::time::{Duration, Instant};

use serde_json::Value;

use super::engine::{docker, docker_try};

/// What systemd and an engine need in a container; CAP_SYS_RESOURCE, and with it `--privileged`, is
/// not to be had everywhere.
const CAPABILITIES: &str = "SYS_ADMIN NET_ADMIN NET_RAW SYS_PTRACE SYS_NICE SYS_TIME SYS_BOOT MKNOD SETFCAP \
     AUDIT_WRITE AUDIT_CONTROL DAC_READ_SEARCH IPC_LOCK IPC_OWNER LEASE LINUX_IMMUTABLE MAC_ADMIN SYS_CHROOT \
     SYSLOG SYS_TTY_CONFIG WAKE_ALARM BLOCK_SUSPEND";

/// The image of an instance; panics with what to do where it is missing.
pub fn image(name: &str) -> String {
    let image = format!("preview-agent-machine:{name}");
    assert!(
        !docker(&["images", "-q", &image]).is_empty(),
        "no image {image}; run scripts/machines up {name}"
    );
    image
}

/// One instance. It is removed with its cloud.
pub struct Machine {
    pub name: String,
}

impl Machine {
    /// A container in which systemd and an engine can run, not yet started.
    pub fn create(image_name: &str, options: &[&str]) -> Self {
        let machine = Self { name: format!("preview-agent-test-{:08x}", fastrand::u32(..)) };
        let mut args = vec!["create", "--name", &machine.name, "--cgroupns=host"];
        args.extend(["--tmpfs", "/run", "--tmpfs", "/tmp", "-v", "/var/lib/docker"]);
        args.extend(["-v", "/sys/fs/cgroup:/sys/fs/cgroup:rw", "--security-opt", "seccomp=unconfined"]);
        args.extend(["--security-opt", "apparmor=unconfined", "--security-opt", "systempaths=unconfined"]);
        args.extend(CAPABILITIES.split_whitespace().flat_map(|capability| ["--cap-add", capability]));
        args.extend(options);
        let image = image(image_name);
        args.push(&image);
        docker(&args);
        machine
    }

    pub fn start(&self) {
        docker(&["start", &self.name]);
    }

    pub fn remove(&self) {
        docker_try(&["rm", "--force", "--volumes", &self.name]).ok();
    }

    /// Files by their path below the root, with mode and content.
    pub fn put(&self, files: &[(&str, u32, &[u8])]) {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().join("root");
        for (path, mode, content) in files {
            let path = root.join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(&path, content).unwrap();
            fs::set_permissions(path, fs::Permissions::from_mode(*mode)).unwrap();
        }
        self.copy(&root.join("."), "/");
    }

    /// Copies a file or folder of the host into it.
    pub fn copy(&self, from: &Path, to: &str) {
        docker(&["cp", from.to_str().unwrap(), &format!("{}:{to}", self.name)]);
    }

    fn exec(&self, options: &[&str], script: &str) -> Output {
        let mut command = Command::new("docker");
        command.arg("exec").args(options).arg(&self.name).args(["timeout", "240", "sh", "-c", script]);
        command.output().unwrap()
    }

    /// Exit code and output of a script that root runs in it.
    pub fn try_sh(&self, script: &str) -> (Option<i32>, String) {
        let output = self.exec(&[], script);
        let text = [output.stdout, output.stderr].concat();
        (output.status.code(), String::from_utf8_lossy(&text).trim().to_owned())
    }

    /// The output of a script that has to work.
    #[track_caller]
    pub fn sh(&self, script: &str) -> String {
        let output = self.exec(&[], script);
        let text = String::from_utf8_lossy(&output.stdout).trim().to_owned();
        assert!(output.status.success(), "{script}: {text}{}", String::from_utf8_lossy(&output.stderr));
        text
    }

    /// The same as another user, at a terminal.
    #[track_caller]
    pub fn sh_as(&self, user: &str, script: &str) -> String {
        let output = self.exec(&["-t", "-u", user], script);
        let text = String::from_utf8_lossy(&output.stdout).trim().to_owned();
        assert!(output.status.success(), "{user}: {script}: {text}");
        text
    }

    /// Waits for the end of cloud-init and returns its exit code and its errors.
    pub fn cloud_init(&self) -> (Option<i32>, Value) {
        let (code, _) = self.try_sh("cloud-init status --wait");
        let result: Value = serde_json::from_str(&self.sh("cat /run/cloud-init/result.json")).unwrap();
        (code, result["v1"]["errors"].clone())
    }

    /// What User Data has printed.
    pub fn console(&self) -> String {
        self.sh("cat /var/log/cloud-init-output.log")
    }

    /// The status file.
    pub fn status(&self) -> Option<Value> {
        let (code, text) = self.try_sh("cat /run/preview-agent/status.json");
        (code == Some(0)).then(|| serde_json::from_str(&text).unwrap())
    }

    /// Waits until it holds; shows what the machine says of itself if it never does.
    #[track_caller]
    pub fn eventually(&self, what: &str, holds: impl Fn() -> bool) {
        let end = Instant::now() + Duration::from_secs(120);
        while !holds() {
            assert!(Instant::now() < end, "never: {what}\n{}", self.account());
            std::thread::sleep(Duration::from_millis(100));
        }
    }

    /// What it says of itself.
    pub fn account(&self) -> String {
        let script = "cat /var/log/cloud-init-output.log; systemctl --no-pager status preview-agent docker; \
                      journalctl --no-pager -n 60; cat /run/preview-agent/status.json";
        self.try_sh(script).1
    }

    /// Down and up again, with its disks.
    pub fn reboot(&self) {
        docker(&["restart", "--time", "60", &self.name]);
    }

    /// Its address as the host sees it.
    pub fn address(&self) -> String {
        docker(&["inspect", "--format", "{{.NetworkSettings.Networks.bridge.IPAddress}}", &self.name])
    }
}
