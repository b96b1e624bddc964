//! Tests the preview's URL from this machine, through a rule that exists only meanwhile.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use ipnet::IpNet;
use preview_agent::cause::innermost;
use tokio::time::{Instant, sleep, timeout};

use super::job::Job;
use crate::names::Preview;
use crate::settings::Settings;

/// AWS's service that answers with the caller's public address.
const WHO_AM_I: &str = "https://checkip.amazonaws.com";
const TRY: Duration = Duration::from_secs(5);

impl Job {
    /// Requests `/docs`; returns a note if that failed.
    pub(super) async fn reach(
        &self,
        settings: &Settings,
        preview: &Preview,
        address: IpAddr,
        port: u16,
    ) -> Option<String> {
        let Some(runner) = self.own_address().await else {
            return Some("This runner has not tested the URL: it does not know its own address. On the instance all health stages passed.".to_owned());
        };
        let admitted = settings.viewers.iter().any(|net| net.contains(&IpNet::from(runner)));
        let rule = match admitted {
            true => None,
            false => match self.open_to_runner(settings, preview, port, runner).await {
                Ok(rule) => rule,
                Err(failure) => {
                    return Some(format!("This runner has not tested the URL: {}", failure.text()));
                }
            },
        };
        let seen = self.look(SocketAddr::new(address, port)).await;
        if let Some(rule) = &rule {
            self.close_to_runner(rule).await;
        }
        match seen {
            Ok(status) => {
                self.output.say(&format!("/docs answers {status} to this runner"));
                None
            }
            Err(why) => Some(format!(
                "This runner cannot open the URL: {why}. On the instance all health stages passed."
            )),
        }
    }

    async fn look(&self, at: SocketAddr) -> Result<u16, String> {
        let client = reqwest::Client::builder()
            .timeout(TRY)
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            .build();
        let client = client.map_err(|error| error.to_string())?;
        let begun = Instant::now();
        loop {
            let why = match client.get(format!("http://{at}/docs")).send().await {
                // An application without documentation answers 404.
                Ok(answer) if answer.status().as_u16() < 500 => return Ok(answer.status().as_u16()),
                Ok(answer) => format!("/docs answers {}", answer.status().as_u16()),
                Err(error) => innermost(&error).to_string(),
            };
            if begun.elapsed() > self.aws.pace.reach {
                return Err(why);
            }
            sleep(self.aws.pace.pause).await;
        }
    }

    /// This machine's public address.
    async fn own_address(&self) -> Option<IpAddr> {
        let url = self.variables.text("PREVIEW_CHECKIP_URL").unwrap_or_else(|| WHO_AM_I.to_owned());
        let ask = async { reqwest::get(url).await?.error_for_status()?.text().await };
        timeout(TRY, ask).await.ok()?.ok()?.trim().parse().ok()
    }
}
