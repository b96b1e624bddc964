//! A look at the preview from where this command runs, through a rule that is there while it looks.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use ipnet::IpNet;
use preview_agent::cause::innermost;
use tokio::time::{Instant, sleep, timeout};

use super::job::Job;
use crate::names::Preview;
use crate::settings::Settings;

/// What tells the address that the world sees: AWS's own.
const WHO_AM_I: &str = "https://checkip.amazonaws.com";
const TRY: Duration = Duration::from_secs(5);

impl Job {
    /// Looks at port and `/docs`; what it saw, as a note where that is not all well.
    pub(super) async fn reach(
        &self,
        settings: &Settings,
        preview: &Preview,
        address: IpAddr,
        port: u16,
    ) -> Option<String> {
        let Some(runner) = self.own_address().await else {
            return Some("Not looked at from this runner: it does not know its own address. The agent's health stages hold.".to_owned());
        };
        let admitted = settings.viewers.iter().any(|net| net.contains(&IpNet::from(runner)));
        let rule = match admitted {
            true => None,
            false => match self.open_to_runner(settings, preview, port, runner).await {
                Ok(rule) => rule,
                Err(failure) => return Some(format!("Not looked at from this runner: {}", failure.text())),
            },
        };
        let seen = self.look(SocketAddr::new(address, port)).await;
        if let Some(rule) = &rule {
            self.close_to_runner(rule).await;
        }
        match seen {
            Ok(status) => {
                self.output.say(&format!("/docs answers {status} from here"));
                None
            }
            Err(why) => Some(format!(
                "From this runner the preview was not reached: {why}. The agent's health stages hold."
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
                // An application without documentation answers all the same.
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

    /// The address from which this machine reaches the world.
    async fn own_address(&self) -> Option<IpAddr> {
        let url = self.variables.text("PREVIEW_CHECKIP_URL").unwrap_or_else(|| WHO_AM_I.to_owned());
        let ask = async { reqwest::get(url).await?.error_for_status()?.text().await };
        timeout(TRY, ask).await.ok()?.ok()?.trim().parse().ok()
    }
}
