//! Where users reach the application.

use super::sections::Instance;
use crate::config::Publish;

/// The instance's public address, else its private one, else this host; a port
/// published on one address only is reached there.
pub(super) fn url(instance: &Instance, publish: Publish) -> String {
    let host = if publish.ip.is_unspecified() {
        let known = instance.public_ip.clone().or_else(|| instance.private_ip.clone());
        known.unwrap_or_else(|| "127.0.0.1".to_owned())
    } else {
        publish.ip.to_string()
    };
    let host = if host.contains(':') { format!("[{host}]") } else { host };
    format!("http://{host}:{}", publish.port)
}
