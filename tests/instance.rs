//! From a bare instance to a running deployment: an instance that knows nothing but its User Data,
//! booted, rebooted, upgraded and cleaned.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "helpers of tests")]
#![allow(clippy::print_stdout, reason = "figures for the docs")]

mod support;

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::Path;
use std::time::Instant;

use serde_json::Value;
use support::cloud::{Cloud, REPORT};
use support::machine::Machine;
use support::releases::static_agent;

const SCRIPT: &str = include_str!("../packaging/user-data.sh");
const CLOUD_CONFIG: &str = include_str!("../packaging/cloud-config.yaml");

/// An instance with this User Data, from its start to the first run's end.
fn boot(cloud: &Cloud, image: &str, template: &str) -> Machine {
    let begun = Instant::now();
    let sum = cloud.releases.publish(&static_agent());
    let user_data = cloud.user_data(template, &cloud.release_url(), &sum);
    let machine = cloud.launch(image, &user_data, true);
    let (code, errors) = machine.cloud_init();
    assert_eq!((code, errors), (Some(0), Value::Array(vec![])), "{}", machine.account());
    println!("{image}: cloud-init done after {:.1} s", begun.elapsed().as_secs_f32());
    is_ready(cloud, &machine);
    println!("{image}: ready after {:.1} s", begun.elapsed().as_secs_f32());
    machine
}

/// Waits until the run of this boot is ready, and the parameter says so in the words of the file.
fn is_ready(cloud: &Cloud, machine: &Machine) -> Value {
    machine.eventually("a ready run", || {
        let Some(status) = machine.status() else { return false };
        assert_ne!(status["run"]["outcome"], "failed", "{}", machine.account());
        status["run"]["outcome"] == "ready"
            && status["service"]["state"] == "up"
            && cloud.told(REPORT).as_ref() == Some(&status)
    });
    let status = machine.status().unwrap();
    assert_eq!(status["instance"]["id"], "i-0abc123def4567890", "asked at 169.254.169.254");
    assert_eq!(status["run"]["deployment"], "pr-42");
    assert_eq!(machine.sh("systemctl is-active preview-agent"), "active");
    status
}

/// Status of a GET to the application, from outside the instance.
fn get(machine: &Machine, path: &str) -> String {
    let mut stream = TcpStream::connect((machine.address(), 8000)).unwrap();
    write!(stream, "GET {path} HTTP/1.0\r\nHost: preview\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer.lines().next().unwrap_or_default().to_owned()
}

/// Id and start time of the application's container.
fn app(machine: &Machine) -> String {
    machine.sh("docker ps -q --no-trunc --filter label=preview-agent.role=app | \
         xargs docker inspect --format '{{.Id}} {{.State.StartedAt}}'")
}

/// How many containers for the migration were made since the engine was started.
fn migrations(machine: &Machine) -> usize {
    let script = "docker events --since 1 --until $(date +%s) --filter type=container --filter event=create \
                  --filter label=preview-agent.role=migrate --format '{{.Action}}'";
    machine.sh(script).lines().count()
}

/// The release's binary and nothing else was fetched, and once.
fn one_download(cloud: &Cloud) {
    assert_eq!(cloud.releases.seen(), [format!("/agent-{}", std::env::consts::ARCH)]);
}

#[test]
fn a_bare_instance_brings_itself_up_and_back_after_a_reboot_and_is_upgraded_and_cleaned() {
    let cloud = Cloud::new();
    let machine = boot(&cloud, "bare", SCRIPT);
    assert!(get(&machine, "/docs").ends_with("200 OK"));
    assert_eq!(cloud.database.sql("SELECT count(*) FROM tasks"), "4", "migrated");
    one_download(&cloud);
    assert_eq!(migrations(&machine), 1);
    anybody_can_ask(&machine);
    the_journal_has_fields(&machine);
    the_metadata_service_is_out_of_reach_for_the_application(&machine);
    first_status_after_start(&machine);

    let (before, pulled, begun) = (app(&machine), cloud.pulled(), Instant::now());
    machine.reboot();
    machine.eventually("the end of cloud-init", || machine.try_sh("cloud-init status").1.contains("done"));
    let status = is_ready(&cloud, &machine);
    println!("rebooted and ready after {:.1} s", begun.elapsed().as_secs_f32());
    assert_eq!(app(&machine).split(' ').next(), before.split(' ').next(), "the same container");
    assert!(get(&machine, "/docs").ends_with("200 OK"));
    assert_eq!(status["migration"]["state"], "kept");
    assert_eq!(migrations(&machine), 0);
    // What the tag stands for is asked for; no layer is.
    let asked = cloud.pulled() - pulled;
    assert!(pulled > 1_000_000 && asked < 50_000, "{pulled} bytes at first, {asked} more");
    one_download(&cloud);

    an_upgrade_leaves_the_application_alone(&cloud, &machine);
    nothing_is_left_of_it(&machine);
}

#[test]
fn a_cloud_config_brings_up_an_instance_with_a_newer_systemd_and_engine() {
    let cloud = Cloud::new();
    let machine = boot(&cloud, "trixie", CLOUD_CONFIG);
    assert_eq!(machine.sh("docker version --format '{{.Server.APIVersion}}'"), "1.45");
    assert!(get(&machine, "/docs").ends_with("200 OK"));
    one_download(&cloud);
    assert_eq!(migrations(&machine), 1);
    anybody_can_ask(&machine);
}

/// The status needs no rights; Session Manager's user is in no group of Docker's.
fn anybody_can_ask(machine: &Machine) {
    for user in ["nobody", "ssm-user"] {
        let page = machine.sh_as(user, "agent status");
        assert!(page.contains("ready"), "{user}: {page}");
    }
    assert!(!machine.sh("id -nG ssm-user").contains("docker"));
}

/// The journal can be searched by the agent's own fields.
fn the_journal_has_fields(machine: &Machine) {
    let lines = machine.sh("journalctl -u preview-agent -o json --no-pager");
    let entries: Vec<Value> = lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let ours: Vec<&Value> = entries.iter().filter(|entry| entry["TARGET"].is_string()).collect();
    assert!(!ours.is_empty(), "{lines}");
    for phase in ["image", "database", "migrate", "health"] {
        let ended = |entry: &&&Value| entry["AGENT_PHASE"] == phase && entry["AGENT_STATE"] == "done";
        let entry = ours.iter().find(ended).unwrap_or_else(|| panic!("no end of {phase}: {lines}"));
        assert!(entry["AGENT_MS"].as_str().is_some_and(|ms| ms.parse::<u64>().is_ok()), "{entry}");
    }
    assert!(ours.iter().any(|entry| entry["AGENT_OUTCOME"] == "ready" && entry["PRIORITY"] == "6"));
}

/// A hop limit of one: the agent, on the host, has been answered; a container is not.
fn the_metadata_service_is_out_of_reach_for_the_application(machine: &Machine) {
    let ask = "import urllib.request as u; u.urlopen(u.Request('http://169.254.169.254/latest/api/token', \
               method='PUT', headers={'X-aws-ec2-metadata-token-ttl-seconds': '60'}), timeout=3)";
    machine.sh(&format!("python3 -c \"{ask}\""));
    let container = app(machine);
    let id = container.split(' ').next().unwrap();
    let (code, _) = machine.try_sh(&format!("docker exec {id} python3 -c \"{ask}\""));
    assert_eq!(code, Some(1), "the application's container must not reach the role's credentials");
}

fn first_status_after_start(machine: &Machine) {
    let millis =
        machine.sh("systemctl stop preview-agent; rm /run/preview-agent/status.json; begun=$(date +%s%N)
         systemctl start --no-block preview-agent
         until [ -e /run/preview-agent/status.json ]; do :; done
         echo $((($(date +%s%N) - begun) / 1000000))");
    println!("from systemctl start to the first status: {millis} ms");
    machine.eventually("ready again", || machine.status().is_some_and(|s| s["run"]["outcome"] == "ready"));
}

fn an_upgrade_leaves_the_application_alone(cloud: &Cloud, machine: &Machine) {
    let sum = |machine: &Machine| {
        machine
            .sh("sha256sum /usr/bin/agent /proc/$(systemctl show -P MainPID preview-agent)/exe | cut -c-64")
    };
    let (before, old) = (app(machine), sum(machine));
    // Another build of the same sources: other bytes.
    machine.copy(Path::new(env!("CARGO_BIN_EXE_agent")), "/root/agent");
    let page = machine.sh(&format!("/root/agent install --report {REPORT} && rm /root/agent"));
    assert!(!page.is_empty(), "the first status is shown");
    is_ready(cloud, machine);
    let new = sum(machine);
    assert_ne!(new, old);
    assert_eq!(new.lines().next(), new.lines().last(), "what runs is what is installed");
    assert_eq!(app(machine), before, "same container, same start");
}

fn nothing_is_left_of_it(machine: &Machine) {
    machine.sh("agent uninstall --purge");
    let left = "ls -d /usr/bin/agent /run/preview-agent /var/lib/preview-agent /etc/systemd/system/preview-agent.service \
                /etc/systemd/system/*.wants/preview-agent.service 2>/dev/null
                docker ps -aq; docker network ls -q --filter label=preview-agent.scope
                systemctl list-units --all --no-legend 'preview-agent*'; true";
    assert_eq!(machine.sh(left), "");
    // What others wrote stays: User Data the configuration, the test its drop-in.
    assert_eq!(machine.sh("ls /etc/preview-agent"), "config.yaml");
    assert_eq!(machine.sh("ls /etc/systemd/system/preview-agent.service.d"), "endpoint.conf");
    assert_eq!(machine.sh("systemctl is-active docker"), "active");
}
