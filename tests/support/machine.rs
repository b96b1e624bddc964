//! EC2 instances in containers, and the cloud around them: systemd as PID 1, cloud-init with User
//! Data from a seed, an engine of their own, and the metadata service at its real address with a hop
//! limit of one.
//!
//! The metadata service sits alone with the instances on a network of its own, in which the host has
//! no address: nothing on the host is led to it.

use std::fs::{self, File};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::{Duration, Instant};

use serde_json::Value;

use super::documents::schema_errors;
use super::engine::{docker, docker_try, remove_all};
use super::forwarder::Forwarder;
use super::imds::FakeImds;
use super::peers::{Peers, peers};
use super::postgres::Database;
use super::releases::Releases;
use super::ssm::FakeSsm;

/// On everything of an instance in the host's engine.
const LABEL: &str = "preview-agent.test-machine";

/// The network on which 169.254.169.254 is ours.
const LINK_LOCAL: &str = "preview-agent-test-link-local";

/// The parameter that instances report to.
pub const REPORT: &str = "/pr-preview/42/status";

/// What systemd and an engine need in a container; CAP_SYS_RESOURCE, and with it `--privileged`, is
/// not to be had everywhere.
const CAPABILITIES: &str = "SYS_ADMIN NET_ADMIN NET_RAW SYS_PTRACE SYS_NICE SYS_TIME SYS_BOOT MKNOD SETFCAP \
     AUDIT_WRITE AUDIT_CONTROL DAC_READ_SEARCH IPC_LOCK IPC_OWNER LEASE LINUX_IMMUTABLE MAC_ADMIN SYS_CHROOT \
     SYSLOG SYS_TTY_CONFIG WAKE_ALARM BLOCK_SUSPEND";

/// Carries the metadata service to its real address. What it answers does not survive a hop, as on an
/// instance with a hop limit of one.
const METADATA: &str = "
import socket, sys, threading
def pump(source, sink):
    while data := source.recv(65536):
        sink.sendall(data)
    sink.shutdown(socket.SHUT_WR)
server = socket.create_server(('169.254.169.254', 80))
server.setsockopt(socket.IPPROTO_IP, socket.IP_TTL, 1)
while True:
    client = server.accept()[0]
    behind = socket.create_connection((sys.argv[1], int(sys.argv[2])))
    for pair in (client, behind), (behind, client):
        threading.Thread(target=pump, args=pair, daemon=True).start()
";

/// The image of an instance; panics with what to do where it is missing.
pub fn image(name: &str) -> String {
    let image = format!("preview-agent-machine:{name}");
    assert!(
        !docker(&["images", "-q", &image]).is_empty(),
        "no image {image}; run scripts/machines up {name}"
    );
    image
}

/// The `aws` client of the peers, for the Python of a container, with our parameter store as its SSM.
pub struct AwsClient {
    ssm: Forwarder,
    modules: PathBuf,
}

pub fn aws_client(ssm: &FakeSsm) -> AwsClient {
    let venv = Path::new(&peers().python).ancestors().nth(2).unwrap().join("lib");
    let mut found = fs::read_dir(&venv).unwrap().map(|entry| entry.unwrap().path().join("site-packages"));
    let modules =
        found.find(|path| path.join("awscli").exists()).expect("the peers' venv has the aws client");
    AwsClient { ssm: reachable(&ssm.endpoint()), modules }
}

impl AwsClient {
    /// What `aws` is inside.
    pub const INSIDE: &str = "env PYTHONPATH=/opt/aws-client python3 -m awscli";

    fn endpoint(&self) -> String {
        format!("http://{}", self.ssm.address())
    }

    fn mount(&self) -> String {
        format!("{}:/opt/aws-client:ro", self.modules.display())
    }

    /// Options of `docker run` for a container without a metadata service.
    pub fn run_options(&self) -> Vec<String> {
        let environment = [
            format!("AWS_ENDPOINT_URL_SSM={}", self.endpoint()),
            "AWS_DEFAULT_REGION=eu-central-1".to_owned(),
            "AWS_ACCESS_KEY_ID=test".to_owned(),
            "AWS_SECRET_ACCESS_KEY=test".to_owned(),
        ];
        let variables = environment.into_iter().flat_map(|variable| ["-e".to_owned(), variable]);
        ["-v".to_owned(), self.mount()].into_iter().chain(variables).collect()
    }

    /// The command of an instance. Version 2, which Amazon Linux has, asks the metadata service for
    /// its region; this is version 1.
    fn command(&self) -> String {
        format!(
            "#!/bin/sh\nAWS_ENDPOINT_URL_SSM={} AWS_DEFAULT_REGION=eu-central-1 exec {} \"$@\"\n",
            self.endpoint(),
            Self::INSIDE
        )
    }
}

/// A server of this test, on the address that containers reach.
fn reachable(url: &str) -> Forwarder {
    Forwarder::between(&peers().postgres_host, url.trim_start_matches("http://"))
}

/// What instances find around them. One at a time on a host: a second network of these addresses is
/// not possible.
pub struct Cloud {
    pub imds: FakeImds,
    pub ssm: FakeSsm,
    pub releases: Releases,
    pub database: Database,
    aws: AwsClient,
    registry: Forwarder,
    releases_front: Forwarder,
    _imds_front: Forwarder,
    _alone: File,
}

impl Cloud {
    pub fn new() -> Self {
        let lock = Path::new(env!("CARGO_MANIFEST_DIR")).join(".cache/machine-tests.lock");
        let alone = File::create(lock).unwrap();
        alone.lock().unwrap();
        // What a killed run has left.
        sweep();
        let (imds, ssm, releases) = (FakeImds::start(), FakeSsm::start(), Releases::start());
        let imds_front = reachable(&imds.endpoint());
        let releases_front = reachable(&releases.url());
        let aws = aws_client(&ssm);
        let registry = reachable(&peers().registry);
        let cloud = Self {
            imds,
            ssm,
            releases,
            database: Database::new(),
            aws,
            registry,
            releases_front,
            _imds_front: imds_front,
            _alone: alone,
        };
        cloud.metadata_service();
        cloud.ssm.set("/pr-preview/registry-password", &peers().registry_password);
        cloud.ssm.set("/pr-preview/database-url", &cloud.database_url());
        cloud
    }

    fn metadata_service(&self) {
        let option = "com.docker.network.bridge.inhibit_ipv4=true";
        docker(
            &["network", "create", "--label", LABEL, "--subnet", "169.254.169.0/24"]
                .into_iter()
                .chain(["--gateway", "169.254.169.1", "-o", option, LINK_LOCAL])
                .collect::<Vec<_>>(),
        );
        let (host, port) = self._imds_front.address().split_once(':').unwrap();
        let name = format!("{LINK_LOCAL}-metadata");
        let image = image("bare");
        let create = ["create", "--name", &name, "--label", LABEL, &image];
        docker(&[create.as_slice(), &["python3", "-c", METADATA, host, port]].concat());
        docker(&["network", "connect", "--ip", "169.254.169.254", LINK_LOCAL, &name]);
        docker(&["start", &name]);
    }

    fn database_url(&self) -> String {
        let Peers { postgres_host, postgres_port, postgres_user, postgres_password, .. } = peers();
        let encode = |text| percent_encoding::utf8_percent_encode(text, percent_encoding::NON_ALPHANUMERIC);
        format!(
            "postgresql://{}:{}@{postgres_host}:{postgres_port}/{}",
            encode(postgres_user),
            encode(postgres_password),
            self.database
        )
    }

    /// Where releases are fetched from.
    pub fn release_url(&self) -> String {
        format!("http://{}", self.releases_front.address())
    }

    /// User Data (either form) for a release with this checksum, its settings filled in: the sample
    /// application from the private registry.
    pub fn user_data(&self, template: &str, release_url: &str, sum: &str) -> String {
        let registry = self.registry.address();
        let user = &peers().registry_user;
        let line = template.lines().find(|line| line.ends_with("image: @IMAGE@")).unwrap();
        let indent = " ".repeat(line.len() - line.trim_start().len());
        let image = format!(
            "image: {registry}/acme/tasks-api:good\n\
             {indent}deployment: {{ id: pr-42 }}\n\
             {indent}registries:\n\
             {indent}  {registry}: {{ username: {user}, password: {{ ssm: /pr-preview/registry-password }} }}"
        );
        template
            .replace("image: @IMAGE@", &image)
            .replace("@DATABASE_URL@", "/pr-preview/database-url")
            .replace("@REPORT@", REPORT)
            .replace("@RELEASE_URL@", release_url)
            .replace("@SHA256_X86_64@", sum)
            .replace("@SHA256_AARCH64@", sum)
    }

    /// What this parameter says, held against the schema.
    pub fn told(&self, parameter: &str) -> Option<Value> {
        let text = self.ssm.value(parameter)?;
        let document = serde_json::from_str(&text).unwrap();
        assert_eq!(schema_errors(&document), Vec::<String>::new(), "{text}");
        Some(document)
    }

    /// Starts an instance of this image with this User Data; `network: false` leaves it nothing but
    /// its metadata service.
    pub fn launch(&self, image_name: &str, user_data: &str, network: bool) -> Machine {
        let mount = self.aws.mount();
        let mut options = vec!["--label", LABEL, "-v", &mount];
        if !network {
            options.extend(["--network", LINK_LOCAL]);
        }
        let machine = Machine::create(image_name, &options);
        if network {
            docker(&["network", "connect", LINK_LOCAL, &machine.name]);
        }
        machine.put(&[
            ("var/lib/cloud/seed/nocloud/meta-data", 0o644, "instance-id: i-0abc123def4567890\n"),
            ("var/lib/cloud/seed/nocloud/user-data", 0o644, user_data),
            ("usr/local/bin/aws", 0o755, &self.aws.command()),
            // The registry has no TLS, and the parameter store is not AWS's.
            (
                "etc/docker/daemon.json",
                0o644,
                &format!("{{\"insecure-registries\": [\"{}\"]}}", self.registry.address()),
            ),
            (
                "etc/systemd/system/preview-agent.service.d/endpoint.conf",
                0o644,
                &format!("[Service]\nEnvironment=AWS_ENDPOINT_URL_SSM={}\n", self.aws.endpoint()),
            ),
        ]);
        machine.start();
        if !network {
            // Docker gives a route to everybody, long before User Data is read.
            machine.sh("ip route del default");
        }
        machine
    }

    /// Bytes that instances have got from the registry so far.
    pub fn pulled(&self) -> u64 {
        self.registry.sent()
    }
}

impl Drop for Cloud {
    fn drop(&mut self) {
        sweep();
    }
}

fn sweep() {
    remove_all(&format!("label={LABEL}"), &[("ps -aq", "rm -f -v"), ("network ls -q", "network rm")]);
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

    /// Files by their path below the root.
    fn put(&self, files: &[(&str, u32, &str)]) {
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
