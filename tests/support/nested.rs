//! A Docker Engine of a test's own, in a container, to be killed, stopped and started at will.
//!
//! The test stays on this machine and the agent enters the container's network, where the
//! engine publishes ports; what the agent needs of this machine is carried to the same
//! addresses there. What the container needs is in scripts/lib/engines.sh.

use std::path::Path;
use std::process::{Command, Stdio};

use super::engine::{docker, docker_try, inspect};
use super::peers::peers;
use super::process::Own;
use super::wait::eventually;
use super::world::World;

/// Made by `scripts/machines up bookworm`.
const IMAGE: &str = "preview-agent-machine:bookworm";

const CAPABILITIES: &str = "SYS_ADMIN NET_ADMIN NET_RAW SYS_PTRACE SYS_NICE MKNOD SETFCAP AUDIT_WRITE \
     DAC_READ_SEARCH IPC_LOCK IPC_OWNER LINUX_IMMUTABLE MAC_ADMIN SYS_CHROOT SYSLOG";

const UNCONFINED: &str = "--security-opt=seccomp=unconfined --security-opt=apparmor=unconfined \
     --security-opt=systempaths=unconfined";

/// PID 1 of the container reaps what an engine that was killed leaves to it.
const REAPER: &str = "trap 'exit 0' TERM; while :; do sleep 1 & wait $!; done";

/// The engine; its container is removed on drop.
pub struct Nested {
    name: String,
    folder: tempfile::TempDir,
    carrier: Option<Own>,
}

impl Nested {
    /// An engine that answers, with an empty disk.
    pub fn start() -> Self {
        let engine = Self::asleep(&["--volume", "/var/lib/docker"]);
        engine.resume();
        engine
    }

    /// An engine with so many megabytes for all that it keeps.
    pub fn with_disk(megabytes: u32) -> Self {
        let engine = Self::asleep(&["--tmpfs", &format!("/var/lib/docker:size={megabytes}m,exec")]);
        engine.resume();
        engine
    }

    /// One that has yet to be started.
    pub fn late() -> Self {
        Self::asleep(&["--volume", "/var/lib/docker"])
    }

    fn asleep(disk: &[&str]) -> Self {
        assert!(!docker(&["images", "-q", IMAGE]).is_empty(), "run scripts/machines up bookworm");
        let folder = tempfile::Builder::new().prefix("preview-agent-engine-").tempdir().unwrap();
        let name = format!("preview-agent-engine-{:08x}", fastrand::u32(..));
        let engine = Self { name, folder, carrier: None };
        let shared = engine.folder.path().display().to_string();
        let mut run =
            ["run", "--detach", "--stop-timeout", "60", "--cgroupns=host", "--tmpfs", "/run"].to_vec();
        run.extend(["--volume", "/sys/fs/cgroup:/sys/fs/cgroup:rw", "--name", &engine.name]);
        run.extend(CAPABILITIES.split(' ').flat_map(|capability| ["--cap-add", capability]));
        run.extend(UNCONFINED.split(' '));
        let shared = format!("{shared}:{shared}");
        run.extend(["--volume", &shared].iter().chain(disk).chain(&[IMAGE, "bash", "-c", REAPER]));
        docker(&run);
        engine
    }

    /// Starts the engine and waits until it answers.
    pub fn resume(&self) {
        self.begin();
        eventually("an engine that answers", || self.answers());
    }

    /// Starts the engine.
    pub fn begin(&self) {
        let (host, group) = (self.host(), format!("/{}", self.name));
        let dockerd = ["exec", "-d", &self.name, "dockerd", "--host", &host, "--cgroup-parent", &group];
        docker(&[dockerd.as_slice(), &["--pidfile", "/run/test-docker.pid"]].concat());
    }

    /// The engine ends as a service that is stopped does, and its containers before it.
    pub fn stop(&self) {
        self.signal("TERM");
    }

    /// The engine ends on the spot.
    pub fn kill(&self) {
        self.signal("KILL");
    }

    fn signal(&self, signal: &str) {
        let script = format!(
            "pid=$(cat /run/test-docker.pid); kill -{signal} $pid; while kill -0 $pid 2>/dev/null; do sleep 0.1; done; \
             rm -f /run/test-docker.pid"
        );
        docker(&["exec", &self.name, "bash", "-c", &script]);
    }

    /// What `DOCKER_HOST` takes.
    pub fn host(&self) -> String {
        format!("unix://{}", self.folder.path().join("docker.sock").display())
    }

    /// Whether the engine answers.
    pub fn answers(&self) -> bool {
        // The client says that there is none in words of its own, which are no failure here.
        let mut asked = Command::new("docker");
        asked.args(["--host", &self.host(), "version"]).output().unwrap().status.success()
    }

    /// Its network, as nsenter takes it.
    pub fn network(&self) -> String {
        format!("--net={}", self.namespace())
    }

    fn namespace(&self) -> String {
        format!("/proc/{}/ns/net", inspect(&self.name, "{{.State.Pid}}"))
    }

    /// From now on these addresses of this machine (`127.0.0.1:port`) are reached there as well.
    fn carry(&mut self, addresses: &[&str]) {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts/lib/forward.py");
        let mut carrier = Command::new("python3");
        carrier.arg(script).arg(self.namespace());
        carrier.args(addresses.iter().map(|address| format!("{address}={address}")));
        let log = self.folder.path().join("carrier");
        let out = std::fs::File::create(&log).unwrap();
        let errors = out.try_clone().unwrap();
        self.carrier = Some(Own(carrier.stdin(Stdio::null()).stdout(out).stderr(errors).spawn().unwrap()));
        eventually("carried addresses", || std::fs::read_to_string(&log).unwrap().contains("ready"));
    }
}

impl World {
    /// From now on the agent lives beside this engine, to which its world, and these addresses of this
    /// machine, are carried.
    pub fn beside_engine(&mut self, engine: &mut Nested, also: &[&str]) {
        let fakes = [self.ssm.endpoint(), self.imds.endpoint()];
        let fakes = fakes.iter().map(|url| url.trim_start_matches("http://").trim_end_matches('/'));
        let carried: Vec<&str> =
            fakes.chain([peers().registry.as_str()]).chain(also.iter().copied()).collect();
        engine.carry(&carried);
        self.beside(&engine.host(), &["nsenter", &engine.network(), "--"]);
    }
}

impl Drop for Nested {
    fn drop(&mut self) {
        self.carrier = None;
        // An engine that is stopped ends its containers, and with them their control groups.
        docker_try(&["exec", &self.name, "bash", "-c", "kill $(cat /run/test-docker.pid) && sleep 1"]).ok();
        docker_try(&["rm", "--force", "--volumes", &self.name]).ok();
        let groups =
            format!("find /sys/fs/cgroup -depth -type d -path '*/{}*' -exec rmdir {{}} +", self.name);
        Command::new("sh").args(["-c", &groups]).stderr(Stdio::null()).status().ok();
    }
}
