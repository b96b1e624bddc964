//! Instances whose User Data cannot do its work: booted for real, each ends with one line on its
//! console, a failed document where the parameter store can be reached, and nothing installed.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

mod support;

use support::cloud::{Cloud, REPORT};
use support::machine::Machine;

const SCRIPT: &str = include_str!("../packaging/user-data.sh");

/// The one line that says why, after cloud-init has noticed the failure and nothing is left.
fn failed(machine: &Machine) -> String {
    let (code, errors) = machine.cloud_init();
    assert_eq!(code, Some(1), "{}", machine.account());
    assert!(errors.to_string().contains("part-001"), "{errors}");
    let left = machine
        .sh("ls -d /usr/bin/agent /etc/preview-agent /etc/systemd/system/preview-agent.service \
         /etc/systemd/system/*/preview-agent.service /var/lib/tmp.* /usr/sbin/dockerd 2>/dev/null || true");
    assert_eq!(left, "", "half-installed");
    let console = machine.console();
    let lines: Vec<&str> = console.lines().filter(|line| line.contains("preview-agent: failed: ")).collect();
    assert_eq!(lines.len(), 1, "{console}");
    lines[0].to_owned()
}

#[test]
fn each_failure_is_one_line_and_one_document_and_leaves_nothing() {
    let cloud = Cloud::new();
    let sum = "0".repeat(64);
    let boot = |release: &str, report: &str, network| {
        let user_data = cloud.user_data(SCRIPT, release, &sum).replace(REPORT, report);
        cloud.launch("bare", &user_data, network)
    };
    cloud.releases.publish(std::path::Path::new("/bin/true"));
    let good = cloud.release_url();
    // All at once: most of a boot is waiting.
    let forged = boot(&good, "/pr-preview/forged", true);
    let missing = boot(&format!("{good}/v0"), "/pr-preview/missing", true);
    let unknown_host = boot("http://releases.invalid", "/pr-preview/unknown-host", true);
    let cut_off = boot(&good, "/pr-preview/cut-off", false);

    let arch = std::env::consts::ARCH;
    for (machine, parameter, words) in [
        (&forged, "/pr-preview/forged", format!("the SHA-256 of {good}/agent-{arch} is not {sum}")),
        (
            &missing,
            "/pr-preview/missing",
            format!(
                "cannot download {good}/v0/agent-{arch}: curl: (22) The requested URL returned error: 404"
            ),
        ),
        (
            &unknown_host,
            "/pr-preview/unknown-host",
            format!(
                "cannot download http://releases.invalid/agent-{arch}: curl: (6) Could not resolve host: releases.invalid"
            ),
        ),
    ] {
        let line = failed(machine);
        assert!(line.contains(&words) && line.ends_with(&format!("({parameter}: told)")), "{line}");
        let document = cloud.told(parameter).expect("the parameter was written");
        assert_eq!(document["run"]["outcome"], "failed");
        assert_eq!(document["fault"]["code"], "bootstrap_failed");
        assert_eq!(document["fault"]["message"].as_str(), words.get(..words.len().min(160)));
        assert_eq!(document["instance"]["id"], "i-0abc123def4567890");
    }
    // Nobody can be told where there is no network; the console still says why.
    let line = failed(&cut_off);
    assert!(line.contains(&format!("cannot download {good}/agent-{arch}: curl: (7) ")), "{line}");
    assert!(!line.ends_with("told)") && cloud.told("/pr-preview/cut-off").is_none(), "{line}");
}
