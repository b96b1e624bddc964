//! The network of an instance: the metadata service at its real address with a hop limit of one, and an
//! instance whose seed is its User Data.
//!
//! The metadata service sits alone with the instances on a network of its own, in which the host has
//! no address: nothing on the host is led to it.

use std::fs::File;
use std::path::Path;

use super::aws_client::AwsClient;
use super::engine::{docker, remove_all};
use super::forwarder::{Forwarder, reachable};
use super::imds::FakeImds;
use super::machine::{Machine, image};

/// On everything of an instance in the host's engine.
pub const LABEL: &str = "preview-agent.test-machine";

/// The network on which 169.254.169.254 is ours.
const LINK_LOCAL: &str = "preview-agent-test-link-local";

/// Carries a server to an address and a port of its own. What it answers survives so many hops: one is that of
/// an instance's metadata service.
const PUMP: &str = "
import socket, sys, threading
def pump(source, sink):
    while data := source.recv(65536):
        sink.sendall(data)
    sink.shutdown(socket.SHUT_WR)
own, port, hops, behind, behind_port = sys.argv[1:]
server = socket.create_server((own, int(port)))
server.setsockopt(socket.IPPROTO_IP, socket.IP_TTL, int(hops))
while True:
    client = server.accept()[0]
    other = socket.create_connection((behind, int(behind_port)))
    for pair in (client, other), (other, client):
        threading.Thread(target=pump, args=pair, daemon=True).start()
";

/// One at a time on a host: a second network of these addresses is not possible. All of its instances are
/// removed with it.
pub struct LinkLocal {
    _front: Forwarder,
    _alone: File,
}

impl LinkLocal {
    /// With this metadata service.
    pub fn new(imds: &FakeImds) -> Self {
        let lock = Path::new(env!("CARGO_MANIFEST_DIR")).join(".cache/machine-tests.lock");
        let alone = File::create(lock).unwrap();
        alone.lock().unwrap();
        // What a killed run has left.
        sweep();
        let front = reachable(&imds.endpoint());
        let option = "com.docker.network.bridge.inhibit_ipv4=true";
        docker(
            &["network", "create", "--label", LABEL, "--subnet", "169.254.169.0/24"]
                .into_iter()
                .chain(["--gateway", "169.254.169.1", "-o", option, LINK_LOCAL])
                .collect::<Vec<_>>(),
        );
        let name = carried("metadata", "169.254.169.254", "1", front.address());
        docker(&["network", "connect", "--ip", "169.254.169.254", LINK_LOCAL, &name]);
        docker(&["start", &name]);
        Self { _front: front, _alone: alone }
    }

    /// Port 80 of an address of its own, which leads to this server on the address that containers reach.
    pub fn host(&self, name: &str, address: &str) -> String {
        let name = carried(name, "0.0.0.0", "64", address);
        docker(&["start", &name]);
        docker(&["inspect", "--format", "{{.NetworkSettings.Networks.bridge.IPAddress}}", &name])
    }

    /// Starts an instance of this image with this id and User Data, its `aws` and its agent asking this
    /// parameter store; `network: false` leaves it nothing but its metadata service.
    pub fn launch(&self, spec: &Spec<'_>) -> Machine {
        let mount = spec.aws.mount();
        let mut options = vec!["--label", LABEL, "-v", &mount];
        options.extend(spec.options);
        if !spec.network {
            options.extend(["--network", LINK_LOCAL]);
        }
        let machine = Machine::create(spec.image, &options);
        if spec.network {
            docker(&["network", "connect", LINK_LOCAL, &machine.name]);
        }
        machine.put(&[
            ("var/lib/cloud/seed/nocloud/meta-data", 0o644, format!("instance-id: {}\n", spec.id).as_bytes()),
            ("var/lib/cloud/seed/nocloud/user-data", 0o644, spec.user_data),
            ("usr/local/bin/aws", 0o755, spec.aws.command().as_bytes()),
            // The registry has no TLS, and the parameter store is not AWS's.
            (
                "etc/docker/daemon.json",
                0o644,
                format!("{{\"insecure-registries\": [\"{}\"]}}", spec.registry).as_bytes(),
            ),
            (
                "etc/systemd/system/preview-agent.service.d/endpoint.conf",
                0o644,
                format!("[Service]\nEnvironment=AWS_ENDPOINT_URL_SSM={}\n", spec.aws.endpoint()).as_bytes(),
            ),
        ]);
        machine.start();
        if !spec.network {
            // Docker gives a route to everybody, long before User Data is read.
            machine.sh("ip route del default");
        }
        machine
    }
}

impl Drop for LinkLocal {
    fn drop(&mut self) {
        sweep();
    }
}

/// An instance to be.
pub struct Spec<'a> {
    pub image: &'a str,
    pub id: &'a str,
    pub user_data: &'a [u8],
    pub aws: &'a AwsClient,
    /// `host:port` of the registry, which has no TLS.
    pub registry: &'a str,
    pub network: bool,
    /// More of `docker create`'s.
    pub options: &'a [&'a str],
}

/// A container, not yet started, that carries the server at `address` to an address and port 80; its name.
fn carried(name: &str, own: &str, hops: &str, address: &str) -> String {
    let (host, port) = address.split_once(':').unwrap();
    let name = format!("{LINK_LOCAL}-{name}");
    let image = image("bare");
    let create = ["create", "--name", &name, "--label", LABEL, &image];
    docker(&[create.as_slice(), &["python3", "-c", PUMP, own, "80", hops, host, port]].concat());
    name
}

fn sweep() {
    remove_all(&format!("label={LABEL}"), &[("ps -aq", "rm -f -v"), ("network ls -q", "network rm")]);
}
