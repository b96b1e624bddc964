//! On an instance with systemd and an engine of its own: what `ssm-user` can do
//! in a session, and the reload that Run Command asks for.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::Value;
use support::forwarder::Forwarder;
use support::machine::Machine;
use support::peers::{Peers, peers};
use support::wait::eventually;
use support::world::World;

/// Nothing here is to ask for metadata.
const DROP_IN: &str = "[Service]\nEnvironment=AWS_EC2_METADATA_DISABLED=true\n";

/// An instance on which the agent runs, reaching registry and database over the bridge.
struct Instance {
    machine: Machine,
    registry: Forwarder,
    world: World,
    given: tempfile::TempDir,
}

impl Instance {
    fn boot() -> Self {
        let peers = peers();
        let (world, given) = (World::new(), tempfile::tempdir().unwrap());
        let registry = Forwarder::between(&peers.postgres_host, &peers.registry);
        let write = |name: &str, text: &str| fs::write(given.path().join(name), text).unwrap();
        write("daemon.json", &format!("{{\"insecure-registries\": [\"{}\"]}}", registry.address()));
        write("test.conf", DROP_IN);
        write("registry-password", &peers.registry_password);
        write("database-password", &peers.postgres_password);
        let mount = |name: &str, place: &str| format!("{}:{place}", given.path().join(name).display());
        let mounts = [
            mount("daemon.json", "/etc/docker/daemon.json:ro"),
            mount("test.conf", "/etc/systemd/system/preview-agent.service.d/test.conf:ro"),
            mount("", "/etc/preview-agent"),
            format!("{}:/opt/agent:ro", env!("CARGO_BIN_EXE_agent")),
        ];
        let options: Vec<&str> = mounts.iter().flat_map(|mount| ["-v", mount.as_str()]).collect();
        let instance = Self { machine: Machine::create("bookworm", &options), registry, world, given };
        instance.configure("good");
        instance.machine.start();
        let engine = || instance.root(&["docker", "version"]).0 == Some(0);
        instance.machine.eventually("the engine answers", engine);
        instance
    }

    /// The sample application with this tag.
    fn configure(&self, tag: &str) {
        let Peers { registry_user, postgres_host, postgres_port, postgres_user, .. } = peers();
        let (registry, database) = (self.registry.address(), &self.world.database);
        let config = format!(
            "image: {registry}/acme/tasks-api:{tag}\n\
             registries:\n  \"{registry}\": {{ username: {registry_user}, password: {{ file: /etc/preview-agent/registry-password }} }}\n\
             database:\n  host: {postgres_host}\n  port: {postgres_port}\n  name: {database}\n  user: {postgres_user}\n  \
             password: {{ file: /etc/preview-agent/database-password }}\n\
             tries: {{ pull: 1 }}\n"
        );
        fs::write(self.given.path().join("config.yaml"), config).unwrap();
    }

    /// Exit code and output of a command of root's, without a terminal.
    fn root(&self, command: &[&str]) -> (Option<i32>, String) {
        let output =
            Command::new("docker").args(["exec", &self.machine.name]).args(command).output().unwrap();
        (output.status.code(), String::from_utf8([output.stdout, output.stderr].concat()).unwrap())
    }

    /// Exit code and output of a command in a session of Session Manager: `sh` on a terminal, as ssm-user.
    fn session(&self, command: &str) -> (Option<i32>, String) {
        let shell = format!("stty rows 24 cols 80; {command}");
        let output = Command::new("docker")
            .args(["exec", "-u", "ssm-user", "-w", "/home/ssm-user", &self.machine.name])
            .args(["env", "-i", "HOME=/home/ssm-user", "TERM=xterm-256color", "LANG=C.UTF-8"])
            .arg("PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin")
            .args(["script", "-qec", &shell, "/dev/null"])
            .output()
            .unwrap();
        (output.status.code(), String::from_utf8(output.stdout).unwrap().replace("\r\n", "\n"))
    }

    fn status(&self) -> Value {
        serde_json::from_str(&self.root(&["agent", "status", "--json"]).1).unwrap_or_default()
    }
}

impl Drop for Instance {
    fn drop(&mut self) {
        self.machine.remove();
    }
}

/// The script of the reload document, as the SSM Agent runs it.
fn reload(machine: &Instance, seconds: &str) -> (Option<i32>, String) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("packaging/ssm/reload.yaml");
    let document: Value = serde_saphyr::from_str(&fs::read_to_string(path).unwrap()).unwrap();
    let script = document["mainSteps"][0]["inputs"]["runCommand"][0].as_str().unwrap();
    fs::write(machine.given.path().join("_script.sh"), script).unwrap();
    machine.root(&["chmod", "0700", "/etc/preview-agent/_script.sh"]);
    let variable = format!("SSM_WaitSeconds={seconds}");
    let path = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin";
    let shown = machine.root(&["env", "-i", path, &variable, "sh", "-c", "/etc/preview-agent/_script.sh"]);
    assert!(shown.1.len() <= 2400, "{} bytes", shown.1.len());
    shown
}

#[test]
fn a_session_sees_all_and_a_reload_deploys_and_waits() {
    let machine = Instance::boot();

    // Before the agent is there, and before it runs.
    let (code, text) = reload(&machine, "5");
    assert_eq!((code, text.as_str()), (Some(4), "preview-agent is not installed: no /usr/bin/agent\n"));
    let (code, text) = machine.root(&["/opt/agent", "install", "--no-start"]);
    assert_eq!(code, Some(0), "{text}");
    let (code, text) = reload(&machine, "5");
    assert_eq!(code, Some(4), "{text}");
    assert!(text.contains("no status: ") && text.lines().count() == 1, "{text}");
    let (code, text) = machine.session("agent status");
    assert_eq!(code, Some(4), "{text}");

    let (code, text) = machine.root(&["/opt/agent", "install"]);
    assert_eq!(code, Some(0), "{text}");
    eventually("the deployment is ready", || machine.status()["run"]["outcome"] == "ready");

    // Without root: the state, in colour, within the terminal.
    let (code, text) = machine.session("agent status");
    assert_eq!(code, Some(0), "{text}");
    assert!(text.starts_with("\u{1b}[32mready: "), "{text}");
    let (code, text) = machine.session("NO_COLOR=1 agent status");
    assert_eq!(code, Some(0), "{text}");
    assert!(text.lines().all(|line| line.chars().count() <= 80) && !text.contains('\u{1b}'), "{text}");
    let (code, text) = machine.session("timeout --foreground -s INT 1 agent status --watch");
    assert_eq!(code, Some(124), "{text}");
    assert!(text.starts_with("\u{1b}[H\u{1b}[32mready: "), "{text}");
    assert!(text.lines().count() <= 24, "{text}");

    // What needs root says so, and sudo is all it takes.
    for (what, shows) in
        [("logs app", "Uvicorn running"), ("logs migrate", "Running upgrade"), ("logs agent", "ready: ")]
    {
        let (code, text) = machine.session(&format!("agent {what}"));
        assert_eq!(code, Some(77), "{what}: {text}");
        assert!(text.trim_end().ends_with("try with sudo"), "{what}: {text}");
        let (code, text) = machine.session(&format!("sudo agent {what} -n 50"));
        assert_eq!(code, Some(0), "{what}: {text}");
        assert!(text.contains(shows), "{what}: {text}");
    }
    let (code, text) = machine.session("agent reload");
    assert_eq!((code, text.trim_end()), (Some(77), "agent: a reload needs root; try with sudo"));

    // Nothing has changed: a run of its own, at once.
    let (code, text) = reload(&machine, "60");
    assert_eq!(code, Some(0), "{text}");
    assert!(text.starts_with("ready: ") && text.contains("number 2"), "{text}");
    // Another image that is not there.
    machine.configure("no-such-tag");
    let (code, text) = machine.session("sudo agent reload");
    assert_eq!(code, Some(1), "{text}");
    assert!(text.contains("image_not_found"), "{text}");
    // A wait that is too short.
    machine.configure("v2");
    let (code, text) = reload(&machine, "0");
    assert_eq!(code, Some(3), "{text}");
    eventually("the new image serves", || machine.status()["run"]["outcome"] == "ready");
    // A wrong configuration changes nothing.
    fs::write(machine.given.path().join("config.yaml"), "image: x\n").unwrap();
    let before = machine.status()["run"]["id"].clone();
    let (code, text) = reload(&machine, "60");
    assert_eq!(code, Some(78), "{text}");
    assert!(text.starts_with("nothing was reloaded") && text.contains("database"), "{text}");
    assert_eq!(machine.status()["run"]["id"], before);

    // Stopped: there is nobody to reload.
    machine.configure("good");
    assert_eq!(machine.root(&["systemctl", "stop", "preview-agent"]).0, Some(0));
    let (code, text) = reload(&machine, "5");
    assert_eq!(code, Some(4), "{text}");
    assert!(text.contains("nothing was reloaded"), "{text}");
}
