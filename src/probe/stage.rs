//! One health stage of the application, probed once, from the host as its users reach it.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use tokio::time::Instant;

use super::http::HttpProbe;
use super::tcp;
use crate::config::{Publish, Stage};
use crate::redact::Redactor;
use crate::status::{Code, Fault, HealthStage};

/// Probes the application at its published address.
#[derive(Debug, Clone)]
pub struct Prober {
    http: HttpProbe,
    address: SocketAddr,
    timeout: Duration,
}

/// What one probe of one stage saw.
#[derive(Debug, Clone)]
pub struct Probed {
    /// As the status shows it.
    pub shown: HealthStage,
    /// Why it does not hold.
    pub fault: Option<Fault>,
}

impl Prober {
    /// A prober of the published port; a probe may take `timeout`.
    ///
    /// # Errors
    /// The HTTP client could not be made.
    pub fn new(publish: Publish, timeout: Duration, redactor: &Redactor) -> Result<Self, Fault> {
        let address = reachable(publish);
        let http = HttpProbe::new(address, timeout, redactor.clone()).map_err(|error| {
            Fault::new(Code::Internal, format!("no HTTP client for health probes: {error}"))
        })?;
        Ok(Self { http, address, timeout })
    }

    /// Probes one stage once.
    pub async fn probe(&self, stage: &Stage) -> Probed {
        self.probe_before(stage, None).await
    }

    /// The same, ahead of a stage that asks for this path: an answer to that
    /// proves an open port at once, which otherwise takes a moment.
    pub async fn probe_before(&self, stage: &Stage, path: Option<&str>) -> Probed {
        let begun = Instant::now();
        let (name, result) = match stage {
            Stage::Tcp => {
                let answered = self.http.answers(path);
                let open = tcp::probe(self.address, self.timeout, answered).await;
                let fault = |message| (None, Fault::new(Code::HealthTimeout, message));
                ("tcp".to_owned(), open.map(|()| None).map_err(fault))
            }
            Stage::Http { path, json } => {
                (path.clone(), self.http.probe(path, json.as_ref()).await.map(Some))
            }
        };
        let (status, fault) = match result {
            Ok(status) => (status, None),
            Err((status, fault)) => (status, Some(fault)),
        };
        let ms = u64::try_from(begun.elapsed().as_millis()).ok();
        Probed { shown: HealthStage { stage: name, ok: fault.is_none(), skipped: false, status, ms }, fault }
    }
}

/// Where this host reaches a published port: an unspecified address listens on loopback too.
fn reachable(publish: Publish) -> SocketAddr {
    let ip = match publish.ip {
        IpAddr::V4(ip) if ip.is_unspecified() => IpAddr::V4(Ipv4Addr::LOCALHOST),
        IpAddr::V6(ip) if ip.is_unspecified() => IpAddr::V6(Ipv6Addr::LOCALHOST),
        ip => ip,
    };
    SocketAddr::new(ip, publish.port)
}
