//! The published port: free, or held by whom.

use std::io::ErrorKind;
use std::net::{IpAddr, Ipv4Addr, TcpListener};

use super::found::Applications;
use crate::config::Publish;
use crate::docker::Engine;
use crate::status::{Code, Fault};

/// A port that none of ours holds must be free before the old application is stopped.
///
/// # Errors
/// [`Code::PortInUse`] names the holder.
pub(super) async fn is_free(engine: &Engine, publish: Publish, ours: &Applications) -> Result<(), Fault> {
    let taken = match TcpListener::bind((publish.ip, publish.port)) {
        Err(error) if error.kind() == ErrorKind::AddrInUse => true,
        // Below 1024 and without the capability, as the unit runs: the kernel's own list has no such limit.
        Err(error) if error.kind() == ErrorKind::PermissionDenied => is_listened_on(publish),
        // Whatever else is wrong with the address Docker says better.
        _ => false,
    };
    if !taken {
        return Ok(());
    }
    let holder = engine.holder_of_port(publish.port).await?;
    if ours.all().any(|container| Some(&container.name) == holder.as_ref()) {
        return Ok(());
    }
    Err(fault(publish, holder))
}

/// The fault of a port that turned out to be held.
pub(super) async fn held(engine: &Engine, publish: Publish) -> Fault {
    fault(publish, engine.holder_of_port(publish.port).await.ok().flatten())
}

fn fault(publish: Publish, container: Option<String>) -> Fault {
    let holder = container
        .map_or_else(|| "a process outside Docker".to_owned(), |name| format!("the container {name}"));
    Fault::new(Code::PortInUse, format!("port {} is held by {holder}", publish.port))
}

/// Whether anybody listens where the port is to be published (proc_net_tcp(5)).
fn is_listened_on(publish: Publish) -> bool {
    // Under the unit's `ProcSubset=pid` there is no /proc/net.
    ["/proc/self/net/tcp", "/proc/self/net/tcp6"].iter().any(|path| {
        let table = std::fs::read_to_string(path)
            .inspect_err(|error| tracing::warn!(%error, path, "nobody knows whether the port is free"));
        table
            .unwrap_or_default()
            .lines()
            .filter_map(listener)
            .any(|(ip, port)| port == publish.port && meet(ip, publish.ip))
    })
}

/// Address and port of a line that is a listener's (state 0A). Of an IPv6 address only
/// whether it is the unspecified one matters here.
fn listener(line: &str) -> Option<(Option<Ipv4Addr>, u16)> {
    let mut fields = line.split_whitespace().skip(1);
    let (ip, port) = fields.next()?.split_once(':')?;
    let state = fields.nth(1)?;
    let port = u16::from_str_radix(port, 16).ok()?;
    let ip = match ip.len() {
        // In the byte order of the machine.
        8 => Some(Ipv4Addr::from(u32::from_str_radix(ip, 16).ok()?.to_ne_bytes())),
        _ if ip.bytes().all(|byte| byte == b'0') => Some(Ipv4Addr::UNSPECIFIED),
        _ => None,
    };
    (state == "0A").then_some((ip, port))
}

fn meet(listens: Option<Ipv4Addr>, published: IpAddr) -> bool {
    match published {
        IpAddr::V4(ip) => listens.is_some_and(|on| on.is_unspecified() || ip.is_unspecified() || on == ip),
        IpAddr::V6(_) => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_listener_is_known_by_its_state_and_its_address_read_backwards() {
        let line =
            |address, state| format!("   0: {address} 00000000:0000 {state} 00000000:00000000 00:00000000");
        assert_eq!(listener(&line("0100007F:03D5", "0A")), Some((Some(Ipv4Addr::LOCALHOST), 981)));
        assert_eq!(listener(&line("0100007F:03D5", "01")), None);
        let any = "00000000000000000000000000000000:03D5";
        assert_eq!(listener(&line(any, "0A")), Some((Some(Ipv4Addr::UNSPECIFIED), 981)));
        assert_eq!(listener("  sl  local_address rem_address   st tx_queue"), None);
    }

    #[test]
    fn another_address_of_the_host_is_another_port() {
        let loopback = IpAddr::V4(Ipv4Addr::LOCALHOST);
        assert!(meet(Some(Ipv4Addr::LOCALHOST), loopback) && meet(Some(Ipv4Addr::UNSPECIFIED), loopback));
        assert!(!meet(Some(Ipv4Addr::new(10, 0, 0, 1)), loopback) && !meet(None, loopback));
        assert!(!meet(None, IpAddr::V4(Ipv4Addr::UNSPECIFIED)), "an IPv6 address of the host");
    }
}
