//! What `packaging/user-data.sh` and `packaging/cloud-config.yaml` promise short of a boot: both hold
//! the same script, it is small, and each way to fail is told in one line and one valid document.
//!
//! The script runs in a container of the instance image without Docker, as root and with commands
//! on its PATH that stand for what a Debian container has not: dnf, systemd, a release.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "helpers of tests")]
#![allow(clippy::print_stdout, reason = "figures for the docs")]

mod support;

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::process::Command;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use flate2::Compression;
use flate2::write::GzEncoder;
use preview_agent::status::Code;
use serde::Deserialize;
use serde_json::Value;
use support::aws_client::{AwsClient, aws_client};
use support::documents::schema_errors;
use support::machine::image;
use support::ssm::FakeSsm;

const SCRIPT: &str = include_str!("../packaging/user-data.sh");
const CLOUD_CONFIG: &str = include_str!("../packaging/cloud-config.yaml");

/// Where the settings end.
const LOGIC: &str = "# Nothing to edit from here on.\n";

/// What EC2 takes, before base64.
const EC2_LIMIT: usize = 16 * 1024;

/// What a parameter of CloudFormation takes; a configuration has to fit in as well.
const CLOUDFORMATION_LIMIT: usize = 4096;

#[derive(Deserialize)]
struct CloudConfig {
    write_files: Vec<WrittenFile>,
    runcmd: Vec<Vec<String>>,
}

#[derive(Deserialize)]
struct WrittenFile {
    path: String,
    permissions: String,
    content: String,
}

/// The script's configuration, and its settings without it.
fn parts() -> (String, String) {
    let (settings, _) = SCRIPT.split_once(LOGIC).unwrap();
    let (before, rest) = settings.split_once("CONFIG=$(cat <<'YAML'\n").unwrap();
    let (config, after) = rest.split_once("YAML\n)\n").unwrap();
    (config.to_owned(), format!("{before}{after}"))
}

#[test]
fn user_data_is_short_and_far_below_the_limit() {
    assert!(SCRIPT.lines().count() < 40);
    for text in [SCRIPT, CLOUD_CONFIG] {
        assert!(text.len() < EC2_LIMIT / 4, "{} bytes", text.len());
        let mut gzip = GzEncoder::new(Vec::new(), Compression::best());
        gzip.write_all(text.as_bytes()).unwrap();
        assert!(STANDARD.encode(gzip.finish().unwrap()).len() < CLOUDFORMATION_LIMIT * 3 / 4);
    }
    println!("user-data.sh: {} bytes, cloud-config.yaml: {} bytes", SCRIPT.len(), CLOUD_CONFIG.len());
}

#[test]
fn the_cloud_config_holds_the_same_script_and_the_same_configuration() {
    assert!(CLOUD_CONFIG.starts_with("#cloud-config\n"), "cloud-init knows it by its first line");
    let cloud: CloudConfig = serde_saphyr::from_str(CLOUD_CONFIG).unwrap();
    let [config, script] = cloud.write_files.as_slice() else { panic!("two files") };
    let (wanted_config, wanted_settings) = parts();
    assert_eq!((config.path.as_str(), &config.content), ("/etc/preview-agent/config.yaml", &wanted_config));
    assert_eq!(config.permissions, "0644");
    let (settings, logic) = script.content.split_once(LOGIC).unwrap();
    let wanted: Vec<&str> = wanted_settings.lines().filter(|line| !line.starts_with('#')).collect();
    assert_eq!(settings.lines().collect::<Vec<_>>(), wanted);
    assert_eq!(logic, SCRIPT.split_once(LOGIC).unwrap().1);
    assert_eq!(cloud.runcmd, [["bash", script.path.as_str()]]);
}

#[test]
fn the_document_and_its_hint_are_those_of_the_closed_list() {
    let code = Code::BootstrapFailed;
    assert!(SCRIPT.contains(&format!(r#""code":"{code}","class":"{}""#, code.class())));
    assert!(SCRIPT.contains(&format!("json=${{json//<hint>/{}}}", code.hint())));
    assert!(SCRIPT.contains(&format!(r#""retryable":{}"#, code.retryable())));
}

/// A container in which the script runs; what its commands were called with is in `calls`.
struct Bench {
    folder: tempfile::TempDir,
    ssm: FakeSsm,
    aws: AwsClient,
}

struct Ended {
    code: Option<i32>,
    stderr: String,
    calls: String,
}

impl Ended {
    /// Whether `LEFT` has found anything.
    fn left(&self) -> bool {
        self.calls.lines().any(|line| line.starts_with('/'))
    }

    /// The lines that say why, of which there is one.
    fn line(&self) -> &str {
        let lines: Vec<&str> = self.stderr.lines().filter(|l| l.starts_with("preview-agent: ")).collect();
        match lines.as_slice() {
            [line] => line,
            _ => panic!("{}", self.stderr),
        }
    }
}

impl Bench {
    fn new() -> Self {
        let ssm = FakeSsm::start();
        let aws = aws_client(&ssm.endpoint());
        let bench = Self { folder: tempfile::tempdir().unwrap(), ssm, aws };
        fs::set_permissions(bench.folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
        fs::write(bench.path("calls"), "").unwrap();
        fs::create_dir(bench.path("bin")).unwrap();
        bench.command("sleep", "");
        bench.command("systemctl", "");
        bench.command("aws", &format!("exec {} \"$@\"", AwsClient::INSIDE));
        bench
    }

    fn path(&self, name: &str) -> std::path::PathBuf {
        self.folder.path().join(name)
    }

    /// A command that writes down its call and then does this.
    fn command(&self, name: &str, body: &str) {
        let path = self.path("bin").join(name);
        fs::write(&path, format!("#!/bin/sh\necho \"{name} $*\" >>/bench/calls\n{body}\n")).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    }

    /// Makes `agent-x86_64` and returns its sum.
    fn release(&self, body: &str) -> String {
        let path = self.path(&format!("agent-{}", std::env::consts::ARCH));
        fs::write(&path, format!("#!/bin/sh\necho \"agent $*\" >>/bench/calls\n{body}\n")).unwrap();
        let sum = Command::new("sha256sum").arg(&path).output().unwrap().stdout;
        String::from_utf8(sum).unwrap()[..64].to_owned()
    }

    /// Runs the script to its end, and then `after` to look at what it left.
    fn run(&self, script: &str, after: &str) -> Ended {
        fs::write(self.path("user-data"), script).unwrap();
        let inside = format!("bash /bench/user-data; code=$?; ({after}) >>/bench/calls; exit $code");
        let output = Command::new("docker")
            .args(["run", "--rm", "-v"])
            .arg(format!("{}:/bench", self.folder.path().display()))
            .args(self.aws.run_options())
            .args(["-e", "PATH=/bench/bin:/usr/sbin:/usr/bin:/sbin:/bin"])
            .args([&image("bare"), "sh", "-c", &inside])
            .output()
            .unwrap();
        Ended {
            code: output.status.code(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
            calls: fs::read_to_string(self.path("calls")).unwrap(),
        }
    }

    /// The parameter, held against the schema.
    fn told(&self) -> Value {
        let text = self.ssm.value("/pr-preview/42/status").expect("the parameter was written");
        let document: Value = serde_json::from_str(&text).unwrap();
        assert_eq!(schema_errors(&document), Vec::<String>::new(), "{text}");
        assert!(text.len() <= 2300);
        document
    }
}

/// A `timeout` that waits for one second and not as long as it was told.
const IMPATIENT: &str = "shift 3; exec /usr/bin/timeout -k 1 1 \"$@\"";

/// The script with its settings filled in.
fn filled(url: &str, sum: &str) -> String {
    SCRIPT
        .replace("@RELEASE_URL@", url)
        .replace("@SHA256_X86_64@", sum)
        .replace("@SHA256_AARCH64@", sum)
        .replace("@REPORT@", "/pr-preview/42/status")
        .replace("@IMAGE@", "ghcr.io/acme/api:3f2a9c1")
        .replace("@DATABASE_URL@", "/pr-preview/database-url")
}

/// Everything that an installation would leave.
const LEFT: &str = "ls -d /usr/bin/agent /etc/preview-agent /etc/systemd/system/preview-agent* /var/lib/tmp.* 2>&1 | grep -v 'No such'";

#[test]
fn dnf_is_tried_again_while_something_else_holds_its_lock() {
    let bench = Bench::new();
    let locked = "RPM: error: can't create transaction lock on /var/lib/rpm/.rpm.lock (Resource temporarily unavailable)";
    bench.command(
        "dnf",
        &format!(
            "if [ $(grep -c ^dnf /bench/calls) -lt 3 ]; then echo \"{locked}\" >&2; exit 1; fi\n\
             cp /bin/true /usr/bin/dockerd"
        ),
    );
    let sum = bench.release("");
    let ran = bench.run(&filled("file:///bench", &sum), "cat /etc/preview-agent/config.yaml");
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    let calls: Vec<&str> = ran.calls.lines().collect();
    let wanted = [
        "dnf -yq install docker",
        "sleep 6",
        "dnf -yq install docker",
        "sleep 6",
        "dnf -yq install docker",
        "systemctl enable --now docker",
        "agent install --report /pr-preview/42/status",
        "image: ghcr.io/acme/api:3f2a9c1",
        "database: { url: { ssm: /pr-preview/database-url } }",
        "report: { parameter: /pr-preview/42/status }",
    ];
    assert_eq!(calls, wanted);
    assert_eq!(bench.ssm.value("/pr-preview/42/status"), None, "the agent tells the rest");
}

#[test]
fn a_package_manager_that_hangs_is_ended_and_tried_again() {
    let bench = Bench::new();
    bench.command("timeout", IMPATIENT);
    bench.command(
        "dnf",
        "if [ $(grep -c ^dnf /bench/calls) = 1 ]; then trap '' TERM; /bin/sleep 600; fi; cp /bin/true /usr/bin/dockerd",
    );
    let sum = bench.release("");
    let ran = bench.run(&filled("file:///bench", &sum), "true");
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    let dnf: Vec<&str> = ran.calls.lines().filter(|call| call.contains("dnf")).collect();
    let try_ = ["timeout -k 9 300 dnf -yq install docker", "dnf -yq install docker"];
    assert_eq!(dnf, [try_, try_].concat());
}

#[test]
fn apt_has_the_same_time_limit_and_mends_what_an_ended_try_has_left() {
    let bench = Bench::new();
    bench.command("timeout", IMPATIENT);
    bench.command("dpkg", "exit 2");
    bench.command("apt-get", "case \"$*\" in *install*) cp /bin/true /usr/bin/dockerd;; esac");
    let sum = bench.release("");
    let ran = bench.run(&filled("file:///bench", &sum), "true");
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    let calls: Vec<&str> = ran.calls.lines().collect();
    assert_eq!(calls.first(), Some(&"timeout -k 9 300 bash -c dpkg --configure -a"));
    let wanted = [
        "dpkg --configure -a",
        "apt-get -q update",
        "apt-get -yq -o DPkg::Lock::Timeout=120 --no-install-recommends install docker.io",
        "systemctl enable --now docker",
        "agent install --report /pr-preview/42/status",
    ];
    assert_eq!(calls.get(2..), Some(wanted.as_slice()));
}

#[test]
fn no_further_try_begins_after_twenty_minutes() {
    let bench = Bench::new();
    bench.command("dnf", "/bin/sleep 1; exit 1");
    bench.command("systemctl", "exit 5");
    let sum = bench.release("");
    let ran = bench.run(&format!("SECONDS=1195\n{}", filled("file:///bench", &sum)), LEFT);
    assert_eq!(ran.code, Some(1));
    assert!(ran.calls.lines().filter(|call| call.starts_with("dnf")).count() < 7, "{}", ran.calls);
    assert!(ran.line().contains("Docker was not installed"), "{}", ran.stderr);
    // Neither agent nor configuration where Docker is what is missing.
    assert!(!ran.left(), "{}", ran.calls);
}

#[test]
fn a_docker_that_cannot_be_installed_ends_it_after_twenty_tries() {
    let bench = Bench::new();
    bench.command("dnf", "exit 1");
    bench.command("systemctl", "exit 5");
    let sum = bench.release("");
    let ran = bench.run(&filled("file:///bench", &sum), "true");
    assert_eq!(ran.code, Some(1));
    assert_eq!(ran.calls.lines().filter(|call| call.starts_with("dnf")).count(), 20);
    assert!(!ran.calls.contains("agent install"));
    assert!(ran.line().contains("Docker was not installed"), "{}", ran.stderr);
    assert_eq!(bench.told()["fault"]["code"], "bootstrap_failed");
}

#[test]
fn a_file_that_nobody_has_edited_says_so_and_touches_nothing() {
    let bench = Bench::new();
    let ran = bench.run(SCRIPT, LEFT);
    assert_eq!(ran.code, Some(1));
    assert!(ran.line().contains("an @WORD@ of the User Data is not replaced"), "{}", ran.stderr);
    assert!(!ran.left(), "{}", ran.calls);

    // The parameter is told where that much was filled in.
    let ran = bench.run(&SCRIPT.replace("@REPORT@", "/pr-preview/42/status"), LEFT);
    assert_eq!(ran.code, Some(1));
    assert_eq!(bench.told()["run"]["outcome"], "failed");
}

#[test]
fn settings_that_cannot_be_used_say_so_and_touch_nothing() {
    let sum = "0".repeat(64);
    let good = filled("file:///root/with space", &sum);
    let report = |name: &str| good.replace("REPORT='/pr-preview/42/status'", name);
    let unusable = "unusable settings: RELEASE_URL='";
    for (script, words) in [
        // A blank is kept, and what curl makes of it is told.
        (good.clone(), "cannot download file:///root/with space/agent-"),
        // Without the quotes, or without the line, the variable is not set.
        (good.replace("'file:///root/with space'", "file:///root/with space"), unusable),
        (good.replace("RELEASE_URL='file:///root/with space'", ""), unusable),
        (good.replace(&sum, ""), unusable),
        (
            good.lines().filter(|l| !l.starts_with("declare -A SHA256=(")).collect::<Vec<_>>().join("\n"),
            unusable,
        ),
        (report("REPORT=''"), "REPORT=''"),
        (report(""), "REPORT=''"),
        (report("REPORT='/pr preview'"), "REPORT='/pr preview'"),
        (report("REPORT='--name'"), "REPORT='--name'"),
    ] {
        let bench = Bench::new();
        let without_quotes = script.contains("RELEASE_URL=file:");
        if !without_quotes {
            bench.command("aws", "exit 255");
        }
        let ran = bench.run(&script, LEFT);
        assert_eq!(ran.code, Some(1), "{}", ran.stderr);
        assert!(
            ran.line().starts_with("preview-agent: failed: ") && ran.line().contains(words),
            "{}",
            ran.stderr
        );
        assert!(!ran.left(), "{}", ran.calls);
        if without_quotes {
            assert_eq!(bench.told()["fault"]["code"], "bootstrap_failed");
        }
    }
}

#[test]
fn what_nobody_has_foreseen_is_one_line_too() {
    let bench = Bench::new();
    bench.command("mktemp", "exit 1");
    let script = filled("file:///bench", &"0".repeat(64));
    let ran = bench.run(&script.replace("REPORT='/pr-preview/42/status'", ""), LEFT);
    assert_eq!(ran.code, Some(1));
    assert!(ran.line().contains("tmp=$(mktemp -d -p /var/lib)"), "{}", ran.stderr);
}

#[test]
fn an_instance_id_is_told_only_if_there_is_one_and_cannot_break_the_document() {
    let download = "echo 404 >&2; exit 22";
    for (id, wanted) in [
        (None, None),
        (Some(""), None),
        (Some("i-0abc123def4567890\n"), Some("i-0abc123def4567890")),
        (Some("i-\"0&<text>\\abc\n\n"), Some("i-0textabc")),
        (Some("i-0123456789012345678901234567890"), Some("i-0123456789012345678901")),
    ] {
        let bench = Bench::new();
        let mut prepare = String::new();
        if let Some(id) = id {
            fs::write(bench.path("id"), id).unwrap();
            prepare = "mkdir -p /var/lib/cloud/data; cp /bench/id /var/lib/cloud/data/instance-id".to_owned();
        }
        bench.command("curl", &format!("{prepare}\n{download}"));
        let ran = bench.run(&filled("https://releases.example.com", &"0".repeat(64)), LEFT);
        assert_eq!(ran.code, Some(1));
        let document = bench.told();
        assert_eq!(document.get("instance").map(|i| i["id"].as_str().unwrap()), wanted, "{id:?}");
    }
}

#[test]
fn a_client_that_hangs_or_says_nothing_is_no_answer() {
    for body in ["trap '' TERM; /bin/sleep 600", "exit 255"] {
        let bench = Bench::new();
        bench.command("timeout", IMPATIENT);
        bench.command("aws", body);
        bench.command("curl", "echo 404 >&2; exit 22");
        let ran = bench.run(&filled("https://releases.example.com", &"0".repeat(64)), LEFT);
        assert_eq!(ran.code, Some(1));
        assert!(ran.line().ends_with("(/pr-preview/42/status: no answer)"), "{}", ran.stderr);
        assert!(ran.calls.contains("timeout -k 5 30 aws ssm put-parameter --name /pr-preview/42/status "));
        assert!(!ran.left(), "{}", ran.calls);
    }
}

#[test]
fn the_document_is_valid_whatever_the_message_holds() {
    let bench = Bench::new();
    let nasty = "\\\"}{{ nested }}\\u0000 \ttab größe 𝄞 <text> <hint> & \\1 $(id) `id` %s\r";
    for nasty in [nasty, &"x\"".repeat(400)] {
        fs::write(bench.path("nasty"), nasty).unwrap();
        bench.command("curl", "cat /bench/nasty >&2; exit 22");
        let ran = bench.run(&filled("https://releases.example.com/v1", &"0".repeat(64)), LEFT);
        assert_eq!(ran.code, Some(1), "{nasty}");
        let message = bench.told()["fault"]["message"].as_str().unwrap().to_owned();
        assert!(message.starts_with("cannot download https://releases.example.com/v1/agent-"), "{message}");
        bench.ssm.remove("/pr-preview/42/status");
    }
}

#[test]
fn a_failing_installation_passes_its_exit_code_on() {
    // What the agent reports of itself is left alone.
    for (code, wanted, told) in [(1, 1, true), (75, 75, false), (78, 78, false)] {
        let bench = Bench::new();
        bench.command("dockerd", "");
        let sum = bench.release(&format!("exit {code}"));
        let ran = bench.run(&filled("file:///bench", &sum), LEFT);
        assert_eq!(ran.code, Some(wanted), "{}", ran.stderr);
        // The configuration stays for whoever looks for the cause.
        let left: Vec<&str> = ran.calls.lines().filter(|line| line.starts_with('/')).collect();
        assert_eq!(left, ["/etc/preview-agent"]);
        assert_eq!(bench.ssm.value("/pr-preview/42/status").is_some(), told);
    }
}

#[test]
fn without_an_aws_client_the_line_is_all_there_is() {
    let bench = Bench::new();
    fs::remove_file(bench.path("bin").join("aws")).unwrap();
    bench.command("curl", "echo 'curl: (22) The requested URL returned error: 404' >&2; exit 22");
    let ran = bench.run(&filled("https://releases.example.com", &"0".repeat(64)), LEFT);
    assert_eq!(ran.code, Some(1));
    assert!(ran.line().contains("curl: (22) The requested URL returned error: 404"), "{}", ran.stderr);
    assert!(!ran.left(), "{}", ran.calls);
}
