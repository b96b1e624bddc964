//! `preview up`: launches a preview of a commit and replaces the one before.

use std::net::IpAddr;
use std::time::Duration;

use preview_agent::cli::exit;
use preview_agent::config::Publish;

use super::failure::Failure;
use super::finish::{self, stop_signal};
use super::job::Job;
use super::load::Loaded;
use super::plan::Plan;
use super::room;
use super::user_data::{Release, ReleaseError};
use super::watch::Watch;
use crate::aws::{Filter, Instance};
use crate::github::{Deployment, Pull};
use crate::names::Preview;
use crate::report::{Report, Stage};
use crate::settings::Settings;

/// How a command ended.
#[derive(Debug, Clone)]
pub struct Ended {
    /// One word: ready, failed, going, superseded, closed, skipped, cancelled.
    pub outcome: &'static str,
    /// The exit code.
    pub code: u8,
    /// The report.
    pub report: Report,
    /// The instance's address.
    pub address: Option<IpAddr>,
}

/// What is known so far, for the report of a run that ends early.
pub(super) struct Progress {
    pub(super) report: Report,
    pub(super) deployment: Option<Deployment>,
    pub(super) address: Option<IpAddr>,
}

impl Progress {
    pub(super) fn ended(&self, outcome: &'static str, code: u8) -> Ended {
        Ended { outcome, code, report: self.report.clone(), address: self.address }
    }
}

/// An instance with an address and rules.
struct Launched {
    preview: Preview,
    settings: Settings,
    plan: Plan,
    id: String,
    address: IpAddr,
}

/// Launches the preview of a pull request and waits for it.
///
/// # Errors
/// Why there was no launch.
pub async fn up(
    job: &Job,
    number: u64,
    sha: Option<&str>,
    label: Option<&str>,
    release: &Result<Release, ReleaseError>,
    limit: Duration,
) -> Result<Ended, Failure> {
    let pull = current(job, number, sha).await?;
    let report = Report::starting(&pull.head, job.run_url.clone());
    let nothing = |outcome, report| Ok(Ended { outcome, code: exit::OK, report, address: None });
    if !pull.open {
        job.output.say(&format!("#{number} is closed: no preview"));
        return nothing("closed", report);
    }
    if let Some(label) = label.filter(|label| job.github.is_some() && !pull.has_label(label)) {
        job.output.say(&format!("#{number} has no label {label}: no preview"));
        return nothing("skipped", report);
    }
    // A run that waited for its turn, or a re-run, has an old event.
    let is_head = |sha: &str| sha.len() >= 7 && pull.head.starts_with(&sha.to_lowercase());
    if let Some(asked) = sha.filter(|sha| !is_head(sha)) {
        job.output
            .say(&format!("#{number} has moved on from {asked} to {}, which has its own run", pull.head));
        return nothing("superseded", report);
    }
    let mut progress = Progress { report, deployment: None, address: None };
    // One handler for all signals: a second one does not interrupt the work that the first one started.
    let end = tokio::select! {
        end = launch_and_watch(job, &pull, release, limit, &mut progress) => Some(end),
        () = stop_signal() => None,
    };
    match end {
        Some(end) => end,
        None => Ok(finish::cancelled(job, number, progress).await),
    }
}

async fn launch_and_watch(
    job: &Job,
    pull: &Pull,
    release: &Result<Release, ReleaseError>,
    limit: Duration,
    progress: &mut Progress,
) -> Result<Ended, Failure> {
    progress.deployment = job.deploy(pull.number, &pull.head).await;
    job.publish(pull.number, progress.deployment, &progress.report).await;
    match bring_up(job, pull, release, progress).await {
        Ok(Launched { preview, settings, plan, id, address }) => {
            let port = plan.agent.config.app.publish.port;
            let url = url(address, port);
            job.output.say(&format!("Preview URL: {url}"));
            job.output.values(&[("instance_id", &id), ("public_ip", &address.to_string()), ("url", &url)]);
            let watch = Watch { preview: &preview, instance: &id, sha: &pull.head, limit };
            Ok(finish::finish(job, &settings, &watch, (address, port), progress).await)
        }
        Err(failure) => {
            progress.report.stage = Stage::Failed;
            progress.report.reason = Some(failure.text());
            if let Some(id) = &progress.report.instance {
                progress
                    .report
                    .notes
                    .push(format!("The instance {id} goes on; `preview down {}` ends it.", pull.number));
            }
            job.publish(pull.number, progress.deployment, &progress.report).await;
            Err(failure)
        }
    }
}

/// Waits for a preview that was launched before.
///
/// # Errors
/// There is none.
pub async fn wait(job: &Job, number: u64, limit: Duration) -> Result<Ended, Failure> {
    let pull = current(job, number, None).await?;
    let loaded = job.settings_of(&pull).await?;
    let preview = preview(job, &loaded.settings, number);
    let instance = find(job, number).await?;
    let sha = instance.commit().unwrap_or_default().to_owned();
    let address = job.address(&instance.id).await?;
    let Publish { port, ip } = publish(&loaded.settings, &preview, &sha)?;
    let mut report = Report::starting(&sha, job.run_url.clone());
    (report.instance, report.viewers) = (Some(instance.id.clone()), loaded.settings.viewers.clone());
    (report.url, report.is_local) = (Some(url(address, port)), ip.is_loopback());
    let watch = Watch { preview: &preview, instance: &instance.id, sha: &sha, limit };
    let mut progress = Progress { report, deployment: None, address: Some(address) };
    let end = tokio::select! {
        end = finish::finish(job, &loaded.settings, &watch, (address, port), &mut progress) => Some(end),
        () = stop_signal() => None,
    };
    match end {
        Some(end) => Ok(end),
        None => Ok(finish::cancelled(job, number, progress).await),
    }
}

/// The pull request as it is now; without GitHub, as the caller describes it.
async fn current(job: &Job, number: u64, sha: Option<&str>) -> Result<Pull, Failure> {
    match (&job.github, sha) {
        (Some(github), _) => {
            let pull = github.pull(number).await?;
            let pull = pull
                .ok_or_else(|| Failure::new(format!("{} has no pull request #{number}", job.repository)))?;
            if pull.open && !pull.trusted {
                return Err(Failure::new(format!(
                    "#{number} is from a fork or from Dependabot: its code gets no secrets"
                )));
            }
            Ok(pull)
        }
        (None, Some(sha)) => Ok(Pull::of_commit(number, sha)),
        (None, None) => Err(Failure::new("which commit? GITHUB_TOKEN is not set, so give --sha")),
    }
}

fn preview(job: &Job, settings: &Settings, number: u64) -> Preview {
    Preview { repository: job.repository.clone(), number, path: settings.path.clone() }
}

/// Launches an instance with an address and rules.
async fn bring_up(
    job: &Job,
    pull: &Pull,
    release: &Result<Release, ReleaseError>,
    progress: &mut Progress,
) -> Result<Launched, Failure> {
    let Loaded { settings, refused, notes } = job.settings_of(pull).await?;
    let report = &mut progress.report;
    (report.refused, report.notes) = (refused, notes);
    let preview = preview(job, &settings, pull.number);
    let plan = job.plan(&settings, &preview, &pull.head, release).await?;
    room::take_parameters(job, &settings, &preview).await?;
    let ending = room::make(job, &settings, &preview, progress.deployment).await?;
    let id = job.launch(&plan.launch, &ending).await?;
    report.instance = Some(id.clone());
    job.output.say(&format!("launched {id}"));
    let address = job.address(&id).await?;
    let Publish { port, ip } = plan.agent.config.app.publish;
    report.is_local = ip.is_loopback();
    progress.address = Some(address);
    room::settle(job, &settings, &preview, &id).await?;
    job.open(&settings, &preview, port, address).await?;
    // Nobody can open it before.
    (report.url, report.viewers) = (Some(url(address, port)), settings.viewers.clone());
    Ok(Launched { preview, settings, plan, id, address })
}

/// The instance of this pull request.
pub(super) async fn find(job: &Job, number: u64) -> Result<Instance, Failure> {
    let filter = Filter { repository: job.repository.clone(), number: Some(number) };
    let found = job.aws.previews(Some(&filter)).await?;
    found.into_iter().max_by_key(|instance| instance.launched).ok_or_else(|| Failure {
        message: format!("#{number} has no preview in {}", job.aws.region),
        hint: None,
        code: exit::NO_AGENT,
    })
}

/// Where the instance publishes the application.
fn publish(settings: &Settings, preview: &Preview, sha: &str) -> Result<Publish, Failure> {
    let fill = crate::settings::Fill { preview, sha, secrets: &settings.secrets };
    Ok(crate::settings::AgentConfig::new(settings, &fill)?.config.app.publish)
}

fn url(address: IpAddr, port: u16) -> String {
    format!("http://{}", std::net::SocketAddr::new(address, port))
}
